"""
What Ruler says of an upload that it refuses, without anything of its rows.

A 400 has row-level errors, whose form is on no page. Their texts may repeat cells, which are personal data:
of a text only those words are shown that no cell is likely to hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.hooks.ruler.upload_check import MAX_NAMED
from airflow_provider_jobstatus.hooks.ruler.upload_columns import OF_FAILURES, UPLOADS

#: Largest body that is read, in bytes.
_MAX_BYTES = 2 * 1024 * 1024
#: Characters of a text that are looked at.
_MAX_TEXT = 500
_COLUMNS = {name.casefold(): name for kind in UPLOADS.values() for name in (*kind.columns, *OF_FAILURES)}
_PLAIN = (
    "a an and any are as at be but by can cannot contain contains could does each empty error errors "
    "exceeds expected failed field file for format found future given greater has have header headers "
    "in incorrect integer invalid is it iso length less line long longer lines malformed match maximum "
    "may minimum missing more must no not null number of one only or out past please range read "
    "recognised recognized refused rejected required row rows short should supported than that the this "
    "time too uploaded upload unable unexpected unique unknown unreadable unsupported utc valid value "
    "values was were with without wrong column columns currency code codes date dates datetime decimal "
    "duplicate duplicated already exists exist identifier identifiers least csv multipart part form "
    "data content type size large limit 4217"
)
_WORDS = frozenset(_PLAIN.split())
_WORD = re.compile(r"[A-Za-z0-9_]+")
_NUMBERED = re.compile(r"(?:row|line)s?(?:number)?[\s:#]{0,3}(\d{1,12})\b", re.IGNORECASE)
_ROW_KEY = re.compile(r"(?:row|line)(?:_?(?:number|no|index|id))?", re.IGNORECASE)
_COLUMN_KEY = re.compile(r"(?:column|field|property|header)(?:_?name)?", re.IGNORECASE)
_TEXT_KEY = re.compile(
    r"(?:error_?)?(?:message|messages|error|errors|reason|detail|details|description)|title", re.IGNORECASE
)


def is_json(body: bytes) -> bool:
    """Return whether a refusal is an object or an array."""
    return _read(body) is not None


def _read(body: bytes) -> dict[str, Any] | list[Any] | None:
    try:
        told = load_json(body) if len(body) <= _MAX_BYTES else None
    except ValueError:
        return None
    return told if isinstance(told, (dict, list)) else None


def explained(body: bytes) -> str:
    """Return what a refusal says, row by row as far as it names them, or nothing of what is no JSON."""
    told = _read(body)
    found: dict[str, None] = {}
    count = 0
    for line in _lines(told):
        count += 1
        if len(found) < MAX_NAMED:
            found[line] = None
    more = f"; and {count - len(found)} more" if count > len(found) else ""
    return "; ".join(found) + more


def _lines(told: Any, depth: int = 6) -> Iterator[str]:
    """Yield what each part of a reply says that says anything."""
    if isinstance(told, list) and depth:
        for item in told:
            yield from _lines(item, depth - 1)
    elif isinstance(told, str):
        if words := _shown(told):
            numbered = _NUMBERED.search(told[:_MAX_TEXT])
            yield f"row {numbered[1]}: {words}" if numbered else words
    elif isinstance(told, Mapping) and depth:
        row, column = "", ""
        texts: list[str] = []
        below: list[Any] = []
        for key, value in told.items():
            if (
                _ROW_KEY.fullmatch(key)
                and isinstance(value, (int, str))
                and re.fullmatch(r"\d{1,12}", str(value))
            ):
                row = f"row {value}"
            elif _COLUMN_KEY.fullmatch(key) and isinstance(value, str) and value.casefold() in _COLUMNS:
                column = _COLUMNS[value.casefold()]
            elif _TEXT_KEY.fullmatch(key) and isinstance(value, str):
                texts.append(_shown(value))
            elif isinstance(value, list) and key.casefold() in _COLUMNS:
                found = (line for item in value for line in _lines(item, depth - 1))
                yield from (f"{_COLUMNS[key.casefold()]}: {line}" for line in found)
            elif isinstance(value, (list, Mapping)):
                below.append(value)
        place = ", ".join(filter(None, (row, column)))
        text = " ".join(filter(None, texts))
        if place or text:
            yield ": ".join(filter(None, (place, text)))
        for value in below:
            yield from _lines(value, depth - 1)


def _shown(text: str) -> str:
    """Return a text with three dots in the place of each word that may be of a cell."""
    shown: list[str] = []
    for word in _WORD.findall(text[:_MAX_TEXT]):
        safe = _COLUMNS.get(word.casefold()) or (word if word.casefold() in _WORDS else "...")
        if safe != "..." or shown[-1:] != ["..."]:
            shown.append(safe)
    return " ".join(shown) if set(shown) - {"..."} else ""
