"""What can be wrong with a list of jobs: instructions for the path of a list, beside those for any path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

from aiohttp import web

from airflow_provider_jobstatus.sandbox.dialects import Dialect
from airflow_provider_jobstatus.sandbox.faults import Fault
from airflow_provider_jobstatus.sandbox.faults.builders import Maker
from airflow_provider_jobstatus.sandbox.lists import ListDialect, NumberedPage, Page
from airflow_provider_jobstatus.sandbox.script import Entry

STRANGERS, CROWD, ENDLESS = 100_000, 10_000, 10**9


def _list_fault(make: Callable[[ListDialect, Page], object]) -> Maker:
    """Answer with what is made of the requested list, or refuse the request as the vendor does."""

    async def send(dialect: ListDialect, request: web.Request) -> web.StreamResponse:
        return web.json_response(make(dialect, dialect.page(request, None)))

    return lambda dialect: Entry(send=partial(send, _of_list(dialect)))


def _entries_fault(make: Callable[[ListDialect, list[dict[str, object]]], object]) -> Maker:
    """Answer with the requested list, but for its entries."""
    return _list_fault(lambda dialect, page: page.reply(make(dialect, page.entries)))


def _pages_fault(first_for_ever: bool) -> Maker:
    """Answer with a page that names a next one, for ever."""

    async def send(dialect: ListDialect, request: web.Request) -> web.StreamResponse:
        if first_for_ever:
            request = request.clone(rel_url=request.rel_url.update_query(page=1))
        # Whatever a client goes by, the total, the link or a page that is not full: there is more.
        page = replace(cast(NumberedPage, dialect.page(request, None)), total=ENDLESS)
        entries = page.entries
        if not first_for_ever:
            entries = _strangers(dialect, page.size, (page.number - 1) * page.size)
        return web.json_response(page.reply(entries))

    return lambda dialect: Entry(send=partial(send, _of_list(dialect, numbered=True)))


def _of_list(dialect: Dialect, numbered: bool = False) -> ListDialect:
    if not isinstance(dialect, ListDialect):
        raise ValueError("script: a jobs- instruction is for the path of a vendor's list of jobs.")
    if numbered and not dialect.numbered:
        raise ValueError("script: this vendor's list has no pages.")
    return dialect


def _strangers(dialect: ListDialect, count: int, first: int = 0) -> list[dict[str, object]]:
    return [{**dialect.job, dialect.id_key: f"nobodys-{first + number}"} for number in range(count)]


def _again(entries: list[dict[str, object]], **differs: object) -> list[dict[str, object]]:
    return entries + [entry | differs for entry in entries[:1]]


def _nameless(dialect: ListDialect, entry: dict[str, object]) -> dict[str, object]:
    return {key: entry[key] for key in entry if key != dialect.id_key}


LIST_FAULTS: dict[str, Fault] = {
    "jobs-empty": Fault("a list without any job", _entries_fault(lambda dialect, entries: [])),
    "jobs-gap": Fault("a list without its first job", _entries_fault(lambda dialect, entries: entries[1:])),
    "jobs-twice": Fault(
        "a list that names its first job twice", _entries_fault(lambda dialect, entries: _again(entries))
    ),
    "jobs-two-words": Fault(
        "a list that names its first job twice, the second time as done",
        _entries_fault(lambda dialect, entries: _again(entries, status=dialect.word("done"))),
    ),
    "jobs-nameless": Fault(
        "a list whose entries have no id",
        _entries_fault(lambda dialect, entries: [_nameless(dialect, entry) for entry in entries]),
    ),
    "jobs-no-objects": Fault(
        "a list whose entries are no objects: ids, a number, null, a list",
        _entries_fault(lambda dialect, entries: [*(entry[dialect.id_key] for entry in entries), 7, None, []]),
    ),
    "jobs-object": Fault(
        "an object by id in place of the list's array",
        _entries_fault(lambda dialect, entries: {str(entry[dialect.id_key]): entry for entry in entries}),
    ),
    "jobs-null": Fault("null in place of the list's array", _entries_fault(lambda dialect, entries: None)),
    "jobs-crowd": Fault(
        "10,000 unknown jobs before the list's own, on one page",
        _entries_fault(lambda dialect, entries: _strangers(dialect, CROWD) + entries),
    ),
    "jobs-strangers": Fault(
        "a list of 100,000 unknown jobs, on one page",
        _entries_fault(lambda dialect, entries: _strangers(dialect, STRANGERS)),
    ),
    "jobs-endless": Fault(
        "a page full of unknown jobs, of a billion; where a list has pages", _pages_fault(False)
    ),
    "jobs-same-page": Fault(
        "the first page, whichever is requested, of a billion jobs; where a list has pages",
        _pages_fault(True),
    ),
}
