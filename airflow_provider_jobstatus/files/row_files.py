"""Files that are made of rows: NDJSON and CSV."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, BinaryIO, Literal

from airflow_provider_jobstatus.core.row_layout import RowLayout
from airflow_provider_jobstatus.core.row_runs import RowRun, escapes_are_many

RowFormat = Literal["ndjson", "csv", "parquet"]

#: Bytes that are written in one step.
BLOCK_BYTES = 256 * 1024

_SURROGATE = re.compile("[\ud800-\udfff]")
_other_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*+|.)")
#: No byte of UTF-8.
_BACKSLASH = b"\xff"
#: What escapes mean in a cell; those with numbers apart.
_PLAIN = {
    b"\\" + name: meant
    for name, meant in zip(
        (b'"', b"\\", b"/", b"n", b"r", b"t", b"b", b"f"),
        (b'""', _BACKSLASH, b"/", b"\n", b"\r", b"\t", b"\b", b"\f"),
        strict=True,
    )
}


class DigestFile:
    """
    A file that hashes and counts what is written to it.

    :param file: that is open.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """Write bytes."""
        data = memoryview(data).cast("B")
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: the file flushes when it is published."""

    def close(self) -> None:
        """Do nothing: who has opened the file closes it."""

    @property
    def sha256(self) -> str:
        """Digest of all that was written, in hex."""
        return self._digest.hexdigest()


class RowFile:
    """
    Writes rows as NDJSON: an object on each line.

    :param file: takes the bytes.
    :param layout: of the rows.
    :param watch: is called with the bytes of each block of rows.

    :ivar rows: how many there were.
    :ivar replaced: how many halves of a character of UTF-16 became U+FFFD: no file of UTF-8 can hold them.
    """

    def __init__(self, file: DigestFile, layout: RowLayout, watch: Callable[[bytes], None]) -> None:
        self.rows = self.replaced = 0
        self._file, self._layout, self._watch = file, layout, watch
        self._parts: list[bytes] = []
        self._size = 0
        self._first, self._second = (f'"{name}":'.encode() for name in list(layout.own)[:2])
        self._middle = b"," + self._second
        self._shared = [(name, f'"{name}":') for name in layout.shared]

    def share(self, cells: Mapping[str, Any]) -> bytes:
        """Return the cells that rows have in common, to be given with each of the rows."""
        get = cells.get
        return self._bytes("{" + "".join([f"{name}{json_text(get(key))}," for key, name in self._shared]))

    def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
        """Take a row; a cell that is missing is empty."""
        own = {
            name: cells.get(name)
            for name in self._layout.own
            if name not in self._layout.rare or cells.get(name) is not None
        }
        self._put(1, shared, self._bytes(json_text(own)[1:]), b"\n")

    def add_run(self, shared: bytes, run: RowRun) -> None:
        """Take the rows of a run; its texts are the first two own columns."""
        text, head = run.text, shared + self._first
        if run.middle != self._middle:
            text = text.replace(run.middle, self._middle)
        self._put(run.rows, head, text.replace(run.between, b"}\n" + head), b"}\n")

    def flush(self) -> None:
        """Write what has come so far."""
        block, self._parts, self._size = b"".join(self._parts), [], 0
        if block:
            self._watch(block)
            self._write(block)

    def close(self) -> None:
        """Write the rest, without closing the file."""
        self.flush()

    def _write(self, block: bytes) -> None:
        self._file.write(block)

    def _put(self, rows: int, *parts: bytes) -> None:
        self.rows += rows
        self._parts += parts
        self._size += sum(map(len, parts))
        if self._size >= BLOCK_BYTES:
            self.flush()

    def _bytes(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            whole, replaced = _SURROGATE.subn("\ufffd", text)
            self.replaced += replaced
            return whole.encode()


class CsvFile(RowFile):
    """
    Writes rows as CSV (RFC 4180): texts in quotes, everything else bare, an empty cell for null.

    Lists and other values of JSON stand there as its text. What begins like a formula stays as it is.
    """

    def __init__(self, file: DigestFile, layout: RowLayout, watch: Callable[[bytes], None]) -> None:
        super().__init__(file, layout, watch)
        self._file.write(",".join((*layout.shared, *layout.own)).encode() + b"\r\n")
        self._rest = b"," * (len(layout.own) - 2) + b"\r\n"

    def share(self, cells: Mapping[str, Any]) -> bytes:
        """Return the cells that rows have in common, to be given with each of the rows."""
        return self._bytes("".join(f"{_cell(cells.get(name))}," for name in self._layout.shared))

    def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
        """Take a row; a cell that is missing is empty."""
        own = ",".join(_cell(cells.get(name)) for name in self._layout.own)
        self._put(1, shared, self._bytes(own), b"\r\n")

    def add_run(self, shared: bytes, run: RowRun) -> None:
        """Take the rows of a run; its texts are the first two own columns."""
        text = run.text
        if b"\\" in text:
            if escapes_are_many(text):
                text = text.replace(rb"\\", _BACKSLASH).replace(rb"\"", b'""')
            text = _ESCAPE.sub(_characters, text)
            text = text.replace(_BACKSLASH, b"\\")
        text = text.replace(run.middle, b",").replace(run.between, self._rest + shared)
        self._put(run.rows, shared, text, self._rest)


def json_text(value: Any) -> str:
    """Return the JSON of a value, as rows have it."""
    if type(value) is str:
        quoted: str = encode_basestring(value)
        return quoted
    if type(value) is int:
        return int.__repr__(value)
    if type(value) is list:
        return f"[{','.join(map(json_text, value))}]"
    return "null" if value is None else _other_json(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not str:
        if isinstance(value, (int, float)):
            return json_text(value)
        value = json_text(value)
    doubled: str = value.replace('"', '""')
    return f'"{doubled}"'


def _characters(escapes: re.Match[bytes]) -> bytes:
    if (plain := _PLAIN.get(escapes[0])) is not None:
        return plain
    text: str = json.loads(b'"' + escapes[0] + b'"')
    return text.replace('"', '""').encode().replace(b"\\", _BACKSLASH)
