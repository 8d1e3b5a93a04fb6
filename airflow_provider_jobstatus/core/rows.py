"""Rows read, and counted, in a stream of bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_jobstatus.core.scan import Outline

#: Longest CSV cell that is read, in characters; the module ``csv`` stops at 128 Ki unless told.
MAX_CELL = 8 * 1024 * 1024
#: Longest line, in characters, which is held whole.
MAX_LINE = 2 * MAX_CELL


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
        yield from filter(None, csv.reader(_lines(lines)))


def _lines(file: io.TextIOWrapper) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise csv.Error("a line is too long")
        yield line


def count_csv_rows(chunks: Iterable[bytes]) -> int | None:
    """Pull all of ``chunks`` and return the rows below the header, or None if they cannot be counted."""
    pulled = iter(chunks)
    try:
        return max(sum(1 for _ in csv_rows(pulled)) - 1, 0)
    except csv.Error:
        for _ in pulled:
            pass
        return None


def count_entries(chunks: Iterable[bytes]) -> int | None:
    """
    Pull all of ``chunks`` and return the number of rows of a report: JSON with ``entries`` and, mostly,
    ``total``.

    :return: None if they are JSON of another shape, or several texts of JSON one after the other.
    :raises ValueError: they are no whole JSON, ``total`` is not the number of entries, or they are a job.
    """
    outline = Outline(keep=("total", "job"))
    for chunk in chunks:
        outline.feed(chunk)
    if outline.followed:
        return None
    if not outline.whole:
        raise ValueError("the report is no whole JSON")
    if "job" in outline.members and "entries" not in outline.items:
        raise ValueError("the vendor sent the job instead of its report")
    rows = outline.items.get("entries", outline.items.get(""))
    total = outline.members.get("total", b"")
    if rows is not None and total.isdigit() and int(total) != rows:
        raise ValueError(f"the report holds {rows} entries and says that it has {int(total)}")
    return rows


def count_json_rows(chunks: Iterable[bytes]) -> int:
    """
    Pull all of ``chunks`` and return the number of items of a JSON array.

    :raises ValueError: they are no whole array.
    """
    outline = Outline()
    for chunk in chunks:
        outline.feed(chunk)
    if not outline.whole or "" not in outline.items:
        raise ValueError("the rows are no whole JSON array")
    return outline.items[""]


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
