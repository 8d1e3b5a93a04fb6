"""Rows read, and counted, in a stream of bytes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

#: Longest CSV cell that is read, in characters; the module ``csv`` stops at 128 Ki unless told.
MAX_CELL = 8 * 1024 * 1024

_IN_STRING = re.compile(rb'["\\]')
_IN_JSON = re.compile(rb'["\[\]{},]|[^\s"\[\]{},]+')


def csv_rows(chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """
    Yield the rows of a CSV, the header among them, as lists: cells may hold line breaks, rows may be ragged,
    and a header may name a column twice. Blank lines are no rows. Bytes that are no UTF-8 become U+FFFD.

    :param chunks: pulled as rows are.
    :raises csv.Error: a cell is longer than :data:`MAX_CELL`.
    """
    lines = io.TextIOWrapper(
        io.BufferedReader(_ChunkReader(chunks), 256 * 1024),
        encoding="utf-8-sig",
        errors="replace",
        newline="",
    )
    with _long_cells():
        yield from filter(None, csv.reader(lines))


def count_csv_rows(chunks: Iterable[bytes]) -> int | None:
    """Pull all of ``chunks`` and return the rows below the header, or None if they cannot be counted."""
    pulled = iter(chunks)
    try:
        return max(sum(1 for _ in csv_rows(pulled)) - 1, 0)
    except csv.Error:
        for _ in pulled:
            pass
        return None


def count_json_rows(chunks: Iterable[bytes]) -> int:
    """
    Pull all of ``chunks`` and return the number of items of a JSON array.

    :raises ValueError: they are no whole array.
    """
    counter = _JsonItems()
    for chunk in chunks:
        counter.feed(chunk)
    if not counter.whole:
        raise ValueError("the rows are no whole JSON array")
    return counter.items


class _JsonItems:
    """Counts the items of a JSON array in constant memory. Knows nesting and strings, and no more of JSON."""

    def __init__(self) -> None:
        self.items = 0
        self.whole = False
        self._array = True
        self._depth = 0
        self._in_item = False
        self._in_string = False
        #: Characters at the start of the next chunk that are escaped.
        self._escaped = 0

    def feed(self, chunk: bytes) -> None:
        at, self._escaped = self._escaped, 0
        while at < len(chunk):
            found = (_IN_STRING if self._in_string else _IN_JSON).search(chunk, at)
            if found is None:
                return
            at = found.end()
            if not self._in_string:
                self._token(found[0])
            elif found[0] == b'"':
                self._in_string = False
            else:
                at += 1
        self._escaped = at - len(chunk)

    def _token(self, token: bytes) -> None:
        if self._depth == 0 and (token != b"[" or self.whole or not self._array):
            self._array = self.whole = False
        if token in (b"]", b"}"):
            self._depth -= 1
            self.whole = self._array and self._depth == 0
            return
        if token == b",":
            self._in_item = self._in_item and self._depth != 1
            return
        if self._depth == 1 and not self._in_item:
            self.items += 1
            self._in_item = True
        if token in (b"[", b"{"):
            self._depth += 1
        self._in_string = token == b'"'


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


@contextmanager
def _long_cells() -> Iterator[None]:
    # The limit is one for the whole process.
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, MAX_CELL))
    try:
        yield
    finally:
        csv.field_size_limit(before)
