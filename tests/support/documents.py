"""Replies of JSON as no vendor should send them, and what a status flow makes of each, read in either way."""

from __future__ import annotations

import json
import random
from typing import Any

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from tests.support.asking import status_flow

#: Hook, job id, and the names that a reply may have.
VENDORS: dict[str, tuple[type[BatchJobHook], str, list[str]]] = {
    "aftercare": (
        AftercareHook,
        "job-1",
        [
            "status",
            "batchJobId",
            "results",
            "code",
            "message",
            "jobId",
            "error",
            "state",
            "data",
            "ok",
            "x",
            "",
        ],
    ),
    "talkdesk": (
        TalkdeskHook,
        "calls/job-1",
        ["status", "job", "id", "ID", "entries", "error", "code", "message", "state", "data", "ok", "x", ""],
    ),
}
_WORDS = ["completed", "processing", "partial_failure", "total_failure", "done", "DONE", "failed", "created"]
_TEXTS = [
    *_WORDS,
    "job-1",
    "job-1",
    "job-2",
    "",
    'é"\\',
    "]",
    "{",
    ",",
    '","',
    "\ud83d\ude00",
    "\ud800",
    "a\tb",
    "\x7f",
]
_LEAVES = [0, -1.5, 10**30, True, False, None, 1e300, *_TEXTS]


def vendor_hook(vendor: str) -> BatchJobHook:
    """Return a hook that needs no Airflow."""
    hook = VENDORS[vendor][0]("c")
    hook.__dict__["settings"] = ConnectionSettings("c", "https://api.example.com")
    return hook


def document(dice: random.Random, vendor: str) -> bytes:
    """Return a reply: most are JSON, some are nearly so."""
    names = VENDORS[vendor][2]
    text = _written(dice, _object(dice, names, 0) if dice.random() < 0.95 else _value(dice, names, 0))
    body = text.encode("utf-8", "surrogatepass")
    if dice.random() < 0.03:
        body = b"\xef\xbb\xbf" + body
    return _spoilt(dice, body) if dice.random() < 0.2 else body


def _object(dice: random.Random, names: list[str], depth: int) -> list[tuple[str, Any]]:
    """Return the members of an object, in which a name may stand twice."""
    chosen = dice.sample(names, dice.randint(0, 4))
    if "status" not in chosen and dice.random() < 0.7:
        chosen.insert(dice.randint(0, len(chosen)), "status")
    members = [(name, _member(dice, names, name, depth)) for name in chosen]
    if members and dice.random() < 0.05:
        members.append((dice.choice(members)[0], _value(dice, names, depth)))
    return members


def _member(dice: random.Random, names: list[str], name: str, depth: int) -> Any:
    if name == "status" and dice.random() < 0.95:
        return dice.choice(_WORDS)
    if name in ("id", "ID", "batchJobId") and dice.random() < 0.95:
        return dice.choice(["job-1"] * 8 + ["job-2", None])
    if name in ("job", "results") and dice.random() < 0.9:
        return (
            dict(_object(dice, names, depth + 1)) if dice.random() < 0.5 else _object(dice, names, depth + 1)
        )
    return _value(dice, names, depth + 1)


def _value(dice: random.Random, names: list[str], depth: int) -> Any:
    kind = dice.random()
    if kind < 0.55 or depth > 4:
        return dice.choice(_LEAVES)
    if kind < 0.8:
        return {"": [_value(dice, names, depth + 1) for _ in range(dice.randint(0, 3))]}
    return _object(dice, names, depth + 1)


def _written(dice: random.Random, value: Any) -> str:
    """Return one of the many texts of a value: lists of pairs are objects, a dict under "" is an array."""
    space = dice.choice(["", "", "", " ", "\n\t", "\r"])
    if isinstance(value, list):
        members = (f"{_text(dice, name)}{space}:{_written(dice, inner)}" for name, inner in value)
        return f"{{{space}{','.join(members)}{space}}}"
    if isinstance(value, dict):
        if set(value) == {""} and isinstance(value[""], list):
            return f"[{space}{f'{space},'.join(_written(dice, inner) for inner in value[''])}]{space}"
        return _written(dice, list(value.items()))
    return space + (_text(dice, value) if isinstance(value, str) else json.dumps(value)) + space


def _text(dice: random.Random, text: str) -> str:
    if dice.random() < 0.1:
        units = text.encode("utf-16-be", "surrogatepass").hex()
        return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'
    surrogates = any("\ud800" <= character <= "\udfff" for character in text)
    return json.dumps(text, ensure_ascii=surrogates or dice.random() < 0.5)


def _spoilt(dice: random.Random, body: bytes) -> bytes:
    """Return a text with one thing changed, which may still be JSON."""
    at = dice.randint(0, len(body))
    kind = dice.randrange(6)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + body[at + 1 :]
    if kind == 2:
        return body + dice.choice([b"]", b"}", b"x", b" {}", b"\0", b" \n"])
    bits = [
        b",",
        b"]",
        b"}",
        b"[",
        b"{",
        b":",
        b'"',
        b"\\",
        b"\xff",
        b"\0",
        b"NaN",
        b"01",
        b"-",
        b"1e999",
        b" ",
    ]
    return body[:at] + dice.choice(bits) + body[at + (kind % 2) :]


def read_whole(vendor: str, body: bytes) -> str:
    """Return what a flow says of a reply that is parsed as a whole."""
    _, job_id, _ = VENDORS[vendor]
    flow = status_flow(vendor_hook(vendor), job_id)
    next(flow)
    return _said(flow, body)


def read_in_outline(vendor: str, body: bytes, dice: random.Random) -> str:
    """Return what a flow says of a reply that comes in pieces, and is read block by block."""
    _, job_id, _ = VENDORS[vendor]
    flow = status_flow(vendor_hook(vendor), job_id)
    request: Request = next(flow)
    assert request.outline is not None
    outline = request.outline()
    outline.block_bytes = dice.randint(4, 64)
    at = 0
    try:
        while at < len(body):
            size = dice.choice([1, 3, 10, 1000])
            # Only of what is no JSON is the rest of no interest.
            if outline.feed(body[at : at + size]):
                break
            at += size
        else:
            outline.finish()
    except ValueError:
        return "error"
    return _said(flow, outline.json())


def _said(flow: Flow[JobStatus], body: bytes) -> str:
    try:
        asked: Request = flow.send(Response(200, {"content-type": "application/json"}, body))
    except StopIteration as stop:
        status: JobStatus = stop.value
        return json.dumps(status.as_dict(), sort_keys=True)
    except VendorError:
        return "error"
    return f"asks on: {asked.url}"
