"""What the first bytes of a file look like: markup, JSON, sentences, the name of a column."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import StringIO
from itertools import islice, zip_longest
from typing import Any

from airflow_provider_jobstatus.core.json_errors import first_value, is_bare_error

_OBJECTS = ("application/json", "text/json", "application/problem+json")
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
_PROLOGUE = re.compile(r"(?:<\?xml[^>]*+>\s*+|<!--.*?-->\s*+)*", re.DOTALL)
_ROOT = re.compile(r"<([a-z_][\w.:-]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_JSON = re.compile(r'\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})|\[\s*(?:[\[{"\]]|-?\d|true|false|null)')
SEPARATOR = re.compile(r"[,;|](?:\S|\s?\")|\t")
# Three words or more: no header of a single column.
SENTENCE = re.compile(r"\A\S++(?: \S++){2,}+")
# The name of a single column on a line of its own; and words of a reply rather than of a column.
_NAME = re.compile(r'\A("?)[^\W\d][\w.-]*\1\r?\n')
_ANSWER = re.compile(
    r"(?:ok|okay|yes|no|nil|none|null|nan|true|false|undefined)\W*\Z|err|exception|fail|fault|busy|pending|"
    r"process|queue|progress|running|wait|retry|later|slow|throttl|limit|gateway|upstream|denied|forbid|refus|reject|unauth|expir|"
    r"time.?out|unavail|maint|down\b|no.?such|not.?|invalid|missing|empty|done|ready|success|complet|cancel|delet",
    re.IGNORECASE,
)


def is_without_rows(text: str, content_type: str, value: Any, *, whole: bool, is_line: bool) -> bool:
    """
    Return whether a text is a single JSON object without ``entries``, and no row of a file by lines.

    :param is_line: whether it is one line with its end, as a file of one row is.
    """
    if not whole:
        if not _JSON.match(text) or not text.startswith("{"):
            return False
        first, end = first_value(text)
        return is_bare_error(first) if end else '"entries"' not in text
    if not isinstance(value, Mapping) or isinstance(value.get("entries"), list) or content_type in LINES:
        return False
    return _is_wrapped(value) or (content_type in _OBJECTS and not is_line)


def first_object(text: str) -> Any:
    """Return the object with which a text of JSON begins, or an array in it; something else if none does."""
    begin = text.removeprefix("[").lstrip()
    return first_value(begin)[0] if begin.startswith("{") else None


def _is_wrapped(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds a job or an error as a member."""
    return any(isinstance(value.get(name), Mapping) for name in ("job", "data", "meta", "result", "response"))


def is_prose(text: str) -> bool:
    """Return whether a text is a few sentences."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (
        1 < len(lines) <= 5
        and all(map(SENTENCE.fullmatch, lines))
        and any(line.endswith((".", "!", "?")) for line in lines)
        and not SEPARATOR.search(text)
    )


def first_row(text: str) -> dict[str, str]:
    """Return a table's first row by the names of its columns; with empty cells if there is only a header."""
    separator = max(",;\t|", key=text.partition("\n")[0].count)
    try:
        rows = list(islice(csv.reader(StringIO(text, newline=""), delimiter=separator), 2))
    except csv.Error:
        return {}
    names, cells = rows[0] if rows else [], rows[1] if len(rows) > 1 else []
    return {name.strip(): cell for name, cell in zip_longest(names, cells[: len(names)], fillvalue="")}


def is_name(text: str) -> bool:
    """Return whether a text is the header of a single column, as a storage may send it."""
    return _NAME.fullmatch(text) is not None and _ANSWER.search(text) is None


def is_answer(raw: str, value: object) -> bool:
    """
    Return whether a line is a short reply rather than the header of a table of one column.

    :param value: its value as JSON, or itself.
    """
    if not isinstance(value, str):
        return True
    return not raw.endswith(("\n", "\r")) and _ANSWER.search(value) is not None


def end_of_prologue(text: str) -> int:
    """Return where a declaration of XML and comments end with which a text begins."""
    return _PROLOGUE.match(text).end()  # type: ignore[union-attr]


def is_markup(text: str, content_type: str, whole: bool) -> bool:
    """Return whether a text is XML, or HTML without its frame, rather than a table whose cells have tags."""
    if not text.startswith("<"):
        return False
    if text.startswith("<?xml") or content_type.endswith(("/xml", "+xml")):
        return True
    root = _ROOT.match(text)
    if root is None:
        return False
    if root[0].endswith("/>"):
        return root[0] == text
    closing = re.compile(rf"</{re.escape(root[1])}\s*>", re.IGNORECASE).search(text, root.end())
    rest = text[(closing or root).end() :].lstrip()
    if closing is None:
        return not whole and rest.startswith("<")
    return (whole and not rest) or rest.startswith("<")


def is_json(text: str, content_type: str, whole: bool, value: Any) -> bool:
    """Return whether a text is JSON, one or more, rather than a table that begins with a cell of JSON."""
    if whole and value is not text and (text[0] in "[{" or content_type.endswith(("/json", "+json"))):
        return True
    if not _JSON.match(text):
        return False
    _, end = first_value(text)
    # Without an end, it is cut, or too long to be seen whole.
    rest = text[end:] if end else ""
    return not rest.strip() or rest.lstrip(" \t")[:1] in ("\r", "\n", "{", "[")
