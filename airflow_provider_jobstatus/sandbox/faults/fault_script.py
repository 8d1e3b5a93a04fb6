"""Fault scripts: a line such as ``status:503*2,reset,drip,status:200:running,truncate,status:200:done``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from aiohttp import web

from airflow_provider_jobstatus.sandbox.dialects import DIALECTS, Dialect
from airflow_provider_jobstatus.sandbox.faults import FAULTS
from airflow_provider_jobstatus.sandbox.faults.of_connections import CONNECTION_FAULTS
from airflow_provider_jobstatus.sandbox.faults.of_ends import END_FAULTS
from airflow_provider_jobstatus.sandbox.faults.of_lists import LIST_FAULTS
from airflow_provider_jobstatus.sandbox.script import Entry
from airflow_provider_jobstatus.sandbox.vendor import Vendor

#: Instructions that take something after a colon.
WITH_ARGUMENTS = {
    "ok": "the usual answer",
    "status:CODE": "the vendor's own error with this HTTP status, 200 to 599",
    "status:200:WORD": "the vendor's own answer with this word: running, done, failed, partial or cancelled "
    "stand for the vendor's word for it, any other is sent as it is",
}
ALL_FAULTS = FAULTS | CONNECTION_FAULTS | END_FAULTS | LIST_FAULTS
_INSTRUCTION = re.compile(r"([^*]+?)(?:\*([1-9][0-9]{0,3}))?", re.DOTALL)


def list_faults() -> dict[str, str]:
    """Return every instruction and what it does."""
    return WITH_ARGUMENTS | {name: fault.description for name, fault in ALL_FAULTS.items()}


def instructions(text: str) -> Iterator[str]:
    """Yield the instructions of a script one by one, repeated ones again.

    :raises ValueError: It is no script.
    """
    for part in text.split(","):
        match = _INSTRUCTION.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"script: {part!r} is no instruction, or a wrong number of them.")
        for _ in range(int(match[2] or 1)):
            yield match[1]


def read_faults(text: str, vendor: Vendor, *, of_job: bool, dialect: Dialect | None = None) -> list[Entry]:
    """Read a fault script.

    :param vendor: Whose words it speaks.
    :param of_job: Whether the entries are for a job, whose own answer a word changes; else they are for a
        path, and a word makes the smallest whole reply.
    :param dialect: How the vendor puts it there, if not as in the reply to a status request.
    :raises ValueError: It has an unknown instruction.
    """
    dialect = dialect or DIALECTS[vendor.name]
    return [_entry(each, vendor, dialect, of_job) for each in instructions(text)]


def read_listed_words(text: str, vendor: Vendor) -> list[str | None]:
    """Read what lists are to show of a job, such as ``running*2,absent,done``.

    :raises ValueError: The vendor has no such word.
    """
    dialect = DIALECTS[vendor.name]
    return [None if each == "absent" else dialect.word(each) for each in instructions(text)]


def _entry(instruction: str, vendor: Vendor, dialect: Dialect, of_job: bool) -> Entry:
    name, _, argument = instruction.partition(":")
    if instruction == "ok":
        return Entry()
    if name == "status":
        return _status(argument, vendor, dialect, of_job)
    if instruction not in ALL_FAULTS:
        raise ValueError(f"script: there is no instruction {instruction!r}, only {', '.join(list_faults())}.")
    return ALL_FAULTS[instruction].make(dialect)


def _status(argument: str, vendor: Vendor, dialect: Dialect, of_job: bool) -> Entry:
    code, _, word = argument.partition(":")
    if not (code.isascii() and code.isdigit() and 200 <= int(code) <= 599) or (word and code != "200"):
        raise ValueError(f"script: status:{argument} is no status from 200 to 599, or 200 and a word.")
    if word and of_job:
        return Entry(fields={"status": dialect.word(word)})
    if not word and code in ("204", "304"):
        return Entry(http=int(code))

    async def send(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        error = vendor.error_body(int(code), "A fault script says so.", path)
        body = dialect.reply(request, dialect.word(word)) if word else error
        return web.Response(
            status=int(code), text=json.dumps(body), content_type="application/json", charset="utf-8"
        )

    return Entry(send=send)
