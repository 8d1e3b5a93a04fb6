"""Rows of a report or an array of JSON, counted in a stream of bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_jobstatus.core.contradictions import MEMBERS, contradiction
from airflow_provider_jobstatus.core.encodings import is_packed, peek, utf8
from airflow_provider_jobstatus.core.json_counter import ItemCounter

# Members beside the rows of a report, by which its server takes it back; and what a state of that kind says.
_TAKES_BACK = ("error", "errors", "exception", "fault", "ok", "state", "status", "success")
_UNDONE = re.compile(
    r"err|exception|fail|fault|process|pending|queue|running|progress|wait|cancel|delet|expir|denied|refus|reject"
    r"|unavail|time.?out|throttl",
    re.IGNORECASE,
)


def count_entries(chunks: Iterable[bytes]) -> int | None:
    """
    Pull all of ``chunks`` and return the number of rows of a report: JSON with ``entries`` and, mostly,
    ``total``.

    :return: None if they are JSON of another shape, several texts of JSON one after the other, or compressed.
    :raises ValueError: they are no whole JSON, ``total`` is not the number of entries, they are a job, or
        what stands beside the entries or follows them says that they are an error.
    """
    outline = _outline_of(chunks, "total", "job", *_TAKES_BACK, *MEMBERS)
    if outline is None:
        return None
    if outline.followed:
        # Rows on lines of their own are of one kind, and a row has no entries.
        if "entries" in outline.items or ("" in outline.items and outline.followed != b"["):
            raise ValueError("something follows the end of the report")
        return None
    if not outline.whole:
        raise ValueError("the report is no whole JSON")
    if "job" in outline.members and "entries" not in outline.items:
        raise ValueError("the vendor sent the job instead of its report")
    rows = outline.items.get("entries", outline.items.get(""))
    total = _total(outline.members)
    if rows is not None and total is not None and total != rows:
        raise ValueError(f"the report holds {rows} entries and says that it has {total:.15g}")
    if rows is not None and (name := _taken_back(outline.members)):
        raise ValueError(f"the report holds {rows} entries, and its {name!r} says that it is none")
    if rows == 0 and (said := contradiction(_values(outline.members), lambda _: None)):
        raise ValueError(
            f"the report holds no entries, and its {said.partition(':')[0]!r} says that it is none"
        )
    return rows


def _values(members: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the values of members that are whole."""
    found = {}
    for name, raw in members.items():
        with suppress(ValueError):
            found[name] = json.loads(raw)
    return found


def _total(members: Mapping[str, bytes]) -> float | None:
    """Return the number of rows that a report says it has, in whichever form; None if it says none."""
    try:
        total = float(json.loads(members.get("total", b"null")))
    except (TypeError, ValueError):
        return None
    return total if total >= 0 else None


def _taken_back(members: Mapping[str, bytes]) -> str | None:
    """Return the member that says that a report is an error, or is not done."""
    for name in _TAKES_BACK:
        try:
            value = json.loads(members.get(name, b"null"))
        except ValueError:
            continue
        if name in ("ok", "success"):
            wrong = value is False or value in (0, "false")
        elif name in ("state", "status"):
            wrong = isinstance(value, str) and _UNDONE.search(value) is not None
        else:
            wrong = bool(value)
        if value is not None and wrong:
            return name
    return None


def count_json_rows(chunks: Iterable[bytes]) -> int | None:
    """
    Pull all of ``chunks`` and return the number of items of a JSON array, or None if they are compressed.

    :raises ValueError: they are no whole array.
    """
    outline = _outline_of(chunks)
    if outline is None:
        return None
    if not outline.whole or "" not in outline.items:
        raise ValueError("the rows are no whole JSON array")
    return outline.items[""]


def _outline_of(chunks: Iterable[bytes], *keep: str) -> ItemCounter | None:
    """Pull all of ``chunks`` and return the outline of their JSON, or None if they are compressed."""
    head, chunks = peek(chunks)
    outline = None if is_packed(head) else ItemCounter(keep)
    for chunk in chunks if outline is None else utf8(chunks):
        if outline is not None:
            outline.feed(chunk)
    return outline
