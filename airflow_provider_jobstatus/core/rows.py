"""Rows read, and counted, in a stream of bytes."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_jobstatus.core.encodings import NotText, is_binary, is_packed, peek, utf8
from airflow_provider_jobstatus.core.json_counter import ItemCounter

#: Longest CSV cell that is read, in characters; the module ``csv`` stops at 128 Ki unless told.
MAX_CELL = 8 * 1024 * 1024
#: Longest line, in characters, which is held whole.
MAX_LINE = 2 * MAX_CELL

# One quoted cell, or several next to each other, or the beginning of one that goes on in the next chunk. A
# quote that is not the first character of its cell is a character like any other.
_QUOTED_CELLS = re.compile(rb'"(?<![^,\r\n]")[^"]*+(?:"(?:"|,")[^"]*+)*+(?:"|\Z)')


# Members beside the rows of a report, by which its server takes it back; and what a state of that kind says.
_TAKES_BACK = ("error", "errors", "exception", "fault", "ok", "state", "status", "success")
_UNDONE = re.compile(
    r"err|exception|fail|fault|process|pending|queue|running|progress|wait|cancel|delet|expir|denied|refus|reject"
    r"|unavail|time.?out|throttl",
    re.IGNORECASE,
)

_OPEN_QUOTE = "the rows end within a quoted cell"
_OPEN_ROW = "the last row has no line end, and nothing else shows that it is whole"


def csv_rows(chunks: Iterable[bytes], to_line_end: bool = False) -> Iterator[list[str]]:
    """
    Yield the rows of a CSV, the header among them, as lists: cells may hold line breaks, rows may be ragged,
    and a header may name a column twice. Blank lines are no rows. UTF-16 and UTF-32 are read as well; bytes
    that are no text become U+FFFD.

    :param chunks: pulled as rows are.
    :param to_line_end: whether a last row without a line end is no row: nothing else shows that it is whole.
    :raises csv.Error: a cell is longer than :data:`MAX_CELL`, the file is compressed, or it ends within a
        quoted cell or, with ``to_line_end``, within a row.
    """
    head, chunks = peek(chunks)
    if is_packed(head):
        raise csv.Error("the file is compressed")
    lines = io.TextIOWrapper(
        io.BufferedReader(_ChunkReader(utf8(chunks, "replace")), 256 * 1024),
        encoding="utf-8",
        errors="replace",
        newline="",
    )
    ended = False

    def all_lines() -> Iterator[str]:
        nonlocal ended
        yield from _lines(lines, to_line_end)
        ended = True
        # A blank line is no row, but goes on with one whose quote is still open.
        yield "\n"

    try:
        for row in filter(None, _csv.reader(all_lines())):
            if ended:
                raise csv.Error(_OPEN_QUOTE)
            yield row
    except _csv.Error as error:
        raise csv.Error(*error.args) from None


def _lines(file: io.TextIOWrapper, to_line_end: bool) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error("a line is too long")
        if to_line_end and not line.endswith(("\n", "\r")):
            raise csv.Error(_OPEN_ROW)
        yield line


def count_csv_rows(chunks: Iterable[bytes], to_line_end: bool = False) -> int | None:
    """
    Pull all of ``chunks`` and return the rows below the header: as many as :func:`csv_rows` yields, at some
    five times its pace. None if they cannot be counted: the file is compressed or otherwise no text; it holds
    a NUL, so that its encoding is most likely another one; or a quoted cell is longer than :data:`MAX_CELL`,
    so that its quote is most likely none.

    :param to_line_end: as of :func:`csv_rows`.
    :raises ValueError: the file ends within a quoted cell or, with ``to_line_end``, within a row.
    """
    pulled = iter(chunks)
    try:
        rows = _counted(pulled, to_line_end)
    except NotText:
        rows = None
    for _ in pulled:
        pass
    return rows


def _counted(chunks: Iterator[bytes], to_line_end: bool) -> int | None:
    """Return the rows below the header, or None at the first thing for which they cannot be counted."""
    head, chunks = peek(chunks)
    if is_binary(head):
        return None
    rows = 0
    last = b""
    quoted_bytes = 0
    # What of the row that is being read matters to what follows it: nothing at the start of a row, ',' at the
    # start of a cell, '"' within a quoted cell, '""' after its last quote, which may be half of a doubled
    # one, and 'x' anywhere else.
    row = b""
    for chunk in utf8(chunks):
        quoted_bytes = quoted_bytes + len(chunk) if row == b'"' and b'"' not in chunk else 0
        if quoted_bytes > MAX_CELL or b"\0" in chunk:
            return None
        last = (last + chunk)[-1:]
        text = row + chunk
        plain = _QUOTED_CELLS.sub(b"x", text) if b'"' in text else text
        lines = plain.splitlines()
        rows += len(lines) - lines.count(b"")
        row = plain[-1:].strip(b"\r\n")
        if row:
            # The last line has not ended yet. A whole quoted cell has an even number of quotes.
            rows -= 1
            if (text.count(b'"') - plain.count(b'"')) % 2:
                row = b'"'
            elif row != b",":
                row = b'""' if text.endswith(b'"') and row != b'"' else b"x"
    if row == b'"':
        raise ValueError(_OPEN_QUOTE)
    # Half a line end, if the header's has a second half.
    if to_line_end and (row or (last == b"\r" and b"\n" in head)):
        raise ValueError(_OPEN_ROW)
    return max(rows + bool(row) - 1, 0)


def count_entries(chunks: Iterable[bytes]) -> int | None:
    """
    Pull all of ``chunks`` and return the number of rows of a report: JSON with ``entries`` and, mostly,
    ``total``.

    :return: None if they are JSON of another shape, several texts of JSON one after the other, or compressed.
    :raises ValueError: they are no whole JSON, ``total`` is not the number of entries, they are a job, or
        what stands beside the entries or follows them says that they are an error.
    """
    outline = _outline_of(chunks, "total", "job", *_TAKES_BACK)
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
    return rows


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


class _ChunkReader(io.RawIOBase):
    """Chunks of bytes as a file, read as they are asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _private_csv() -> Any:
    """
    Return another instance of the C module behind ``csv``, with a limit of its own.

    The limit of ``csv`` is one for the whole process: a stream that raises it would change it for everybody,
    and the first of two streams to end would lower it for the other.
    """
    spec: Any = importlib.util.find_spec("_csv")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.field_size_limit(MAX_CELL)
    return module


_csv = _private_csv()
