"""Files that are made while they are sent, so that their size costs no memory."""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from aiohttp import web

PIECE_BYTES = 64 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


@dataclass(frozen=True, kw_only=True)
class Content:
    """The bytes of a file. All rows are equally long, so a part can be made without what lies before it.

    :param head: What stands before the rows.
    :param row: Makes a row by its number, which counts from 0.
    :param rows: How many rows there are.
    :param tail: What stands behind the rows.
    """

    head: bytes = b""
    row: Callable[[int], bytes] = lambda number: b""
    rows: int = 0
    tail: bytes = b""

    @property
    def size_bytes(self) -> int:
        """The length of the whole."""
        return len(self.head) + self.rows * len(self.row(0)) + len(self.tail)

    def pieces(self, begin: int, end: int) -> Iterator[bytes]:
        """Make the bytes from one position up to another."""
        while begin < end:
            piece = self._piece(begin)[: end - begin]
            yield piece
            begin += len(piece)

    def _piece(self, begin: int) -> bytes:
        if begin < len(self.head):
            return self.head[begin:]
        row_bytes = len(self.row(0)) or 1
        number, within = divmod(begin - len(self.head), row_bytes)
        if number < self.rows:
            numbers = range(number, min(number + 1 + PIECE_BYTES // row_bytes, self.rows))
            return b"".join(self.row(each) for each in numbers)[within:]
        return self.tail[begin - len(self.head) - self.rows * row_bytes :]


def _new_etag() -> str:
    return f'"{secrets.token_hex(16)}"'


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file as it is offered for download.

    :param content: Its bytes.
    :param content_type: What they are.
    :param disposition: The ``Content-Disposition`` header, if it has one.
    :param etag: A strong one, anew for each file.
    :param breaks: Positions at which a connection that sends the file ends, each once, from the first.
    :param zipped: Whether the whole is compressed on its way for a client that takes gzip.
    """

    content: Content
    content_type: str
    disposition: str | None = None
    etag: str = field(default_factory=_new_etag)
    breaks: list[int] = field(default_factory=list)
    zipped: bool = False


def send_file(request: web.Request, file: StoredFile) -> web.Response:
    """Answer with a file, or with the requested part of it."""
    size = file.content.size_bytes
    headers = {
        "Content-Type": file.content_type,
        "ETag": file.etag,
        "Accept-Ranges": "bytes",
    }
    if file.disposition is not None:
        headers["Content-Disposition"] = file.disposition
    begin, end, status = 0, size, 200
    if (
        file.zipped
        and "gzip" in request.headers.get("Accept-Encoding", "")
        and "Range" not in request.headers
    ):
        # Another form of the same file has another validator, and a length that is not known yet.
        headers |= {"Content-Encoding": "gzip", "ETag": f"W/{file.etag}", "Accept-Ranges": "none"}
        pieces = _broken(file.content.pieces(0, size), 0, file.breaks)
        return web.Response(headers=headers, body=_sent(_compressed(pieces)))
    found = RANGE.match(request.headers.get("Range", ""))
    # A part of another version than the one that the client has begun with would be of no use.
    if found and any(found.groups()) and request.headers.get("If-Range", file.etag) == file.etag:
        first, last = found.groups()
        begin = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if begin >= size or begin >= end:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    pieces = _broken(file.content.pieces(begin, end), begin, file.breaks)
    headers["Content-Length"] = str(end - begin)
    return web.Response(status=status, headers=headers, body=_sent(pieces))


def send_content(
    content: Content, begin: int = 0, end: int | None = None, *, status: int = 200, headers: Mapping[str, str]
) -> web.Response:
    """Answer with content, or a part of it, that is made while it is sent."""
    end = content.size_bytes if end is None else end
    all_headers = {**headers, "Content-Length": str(end - begin)}
    return web.Response(status=status, headers=all_headers, body=_sent(content.pieces(begin, end)))


def _broken(pieces: Iterator[bytes], begin: int, breaks: list[int]) -> Iterator[bytes]:
    """Pass pieces on up to the next break, if it lies within them."""
    for piece in pieces:
        if breaks and begin <= breaks[0] < begin + len(piece):
            yield piece[: breaks.pop(0) - begin]
            raise ConnectionResetError("The file breaks here.")
        begin += len(piece)
        yield piece


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        # Flushed, so that a break of the file is one of what is sent.
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def _sent(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
