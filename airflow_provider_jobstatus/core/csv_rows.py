"""Rows of CSV read, and counted, in a stream of bytes."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from airflow_provider_jobstatus.core.encodings import NotText, is_binary, is_packed, peek, utf8

#: Longest CSV cell that is read, in characters; the module ``csv`` stops at 128 Ki by default.
MAX_CELL = 8 * 1024 * 1024
#: Longest line, in characters, which is held whole.
MAX_LINE = 2 * MAX_CELL

# One quoted cell, or several next to each other, or the beginning of one that goes on in the next chunk. A
# quote that is not the first character of its cell is a character like any other.
_QUOTED_CELLS = re.compile(rb'"(?<![^,\r\n]")[^"]*+(?:"(?:"|,")[^"]*+)*+(?:"|\Z)')


_OPEN_QUOTE = "the rows end within a quoted cell"
_OPEN_ROW = "the last row has no line end, and nothing else shows that it is whole"


def csv_rows(chunks: Iterable[bytes], to_line_end: bool = False, strict: bool = False) -> Iterator[list[str]]:
    """
    Yield the rows of a CSV, the header among them, as lists: cells may hold line breaks, rows may be ragged,
    and a header may name a column twice. Blank lines are no rows. UTF-16 and UTF-32 are read as well; bytes
    that are no text become U+FFFD.

    :param chunks: pulled as rows are.
    :param to_line_end: whether a last row without a line end is no row: nothing else shows that it is whole.
    :param strict: whether text after a closing quote is an error: a quote that is not closed swallows rows up
        to the next one.
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
        for row in filter(None, _csv.reader(all_lines(), strict=strict)):
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
    # Where in a row the next chunk begins: empty at the start of a row, ',' at the start of a cell, '"' in a
    # quoted cell, '""' after its last quote, which may be half of a doubled one, and 'x' anywhere else.
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


class Lines(list[str]):
    """Lines of CSV, as ``csv.writer`` writes them."""

    write = list.append


class _ChunkReader(io.RawIOBase):
    """Chunks of bytes as a file; each is pulled when it is read."""

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

    The limit of ``csv`` holds for the whole process: a stream that raised it would change it for all other
    code, and the first of two streams to end would lower it for the other.
    """
    spec: Any = importlib.util.find_spec("_csv")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.field_size_limit(MAX_CELL)
    return module


_csv = _private_csv()
