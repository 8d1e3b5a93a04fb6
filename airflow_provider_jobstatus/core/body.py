"""The body of a reply, read piece by piece: decoded, and held only up to a limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_jobstatus.core.json_outline import JsonOutline

#: A larger reply to a flow is an error. What may be larger is streamed, or only its outline is read.
MAX_BODY_BYTES = 2 * 1024 * 1024
#: A body of this size or less is read whole, without an outline.
SMALL_BYTES = 64 * 1024
#: Most bytes that are inflated and read in one step, so that an event loop is not held up.
PIECE_BYTES = 32 * 1024
#: Values of ``Content-Encoding`` that change nothing: labels of an upload, charsets.
_LABELS = frozenset({"", "identity", "none", "aws-chunked", "binary", "7bit", "8bit"})
_CHARSETS = frozenset({"utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "windows-1252"})
#: The first bytes of a gzip.
GZIP = b"\x1f\x8b"


def codings(encoding: str) -> list[str]:
    """Return the names in a ``Content-Encoding`` that change a body: none for one that comes as it is."""
    names = (word.strip().lower() for word in encoding.split(","))
    return [name for name in names if name not in _LABELS | _CHARSETS]


class Inflater:
    """
    Undoes a content coding, holding no more than one piece of output at a time.

    Requests ask for ``identity``. A proxy may compress all the same, and a storage may repeat the label with
    which a file was stored.

    :param encoding: value of ``Content-Encoding``.
    :raises ValueError: the coding is unknown.
    """

    def __init__(self, encoding: str) -> None:
        names = codings(encoding)
        if names and (len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate")):
            raise ValueError("the body has a content coding that was not requested")
        self._coding = names[0] if names else ""
        # gzip may have several members, one after the other.
        self._member: Any = None
        self._gzip = False
        self._head = b""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """
        Return the decoded pieces of ``data``, to be iterated over at once.

        :raises ValueError: while iterating, if the data is broken.
        """
        return (data,) if not self._coding and 0 < len(data) <= PIECE_BYTES else self._pieces(data)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for begin in range(0, len(data), PIECE_BYTES):
            piece = data[begin : begin + PIECE_BYTES]
            if self._coding:
                yield from self._inflate(piece)
            else:
                yield piece

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._member is None or self._member.eof:
                    data = self._begin(data)
                    if self._head:
                        return
                if data:
                    yield self._member.decompress(data, PIECE_BYTES)
                    data = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error:
            raise ValueError("the body is not what its content coding says") from None

    def _begin(self, data: bytes) -> bytes:
        """Begin a member once its kind shows, and return the data of it that has come."""
        data, self._head = self._head + data, b""
        if self._member is not None:
            # Behind a member, zeros are padding.
            data = data.lstrip(b"\0")
            if data and not (self._gzip and GZIP.startswith(data[:2])):
                raise ValueError("the body goes on after the end of its compressed data")
        if len(data) < 2:
            self._head = data
            return b""
        self._gzip = data.startswith(GZIP)
        # Some senders of "deflate" leave its header out, as RFC 9110, section 8.4.1.2, says.
        headed = self._gzip or (data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0)
        bare = self._coding == "deflate" and not headed
        self._member = zlib.decompressobj(wbits=-15 if bare else 47)
        return data

    def finish(self) -> bytes:
        """
        Return the rest of the output.

        :raises ValueError: the body is cut short.
        """
        if not self._coding:
            return b""
        rest: bytes = b"" if self._member is None else self._member.flush()
        if self._member is None or self._head or not self._member.eof:
            raise ValueError("the compressed body is cut short")
        return rest


def inflate(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """
    Undo the content coding of a body, pulled chunk by chunk.

    :raises ValueError: see :class:`Inflater`.
    """
    inflater = Inflater(encoding)
    for chunk in chunks:
        yield from inflater.feed(chunk)
    yield inflater.finish()


class BodyReader:
    """
    Collects a body: whole, or only its outline.

    :param encoding: value of ``Content-Encoding``.
    :param outline: what to read of a JSON body that is larger than :data:`SMALL_BYTES`.
    :raises ValueError: the coding is unknown.
    """

    def __init__(self, encoding: str, outline: JsonOutline | None = None) -> None:
        self._inflater = Inflater(encoding)
        self._outline = outline
        self._body = bytearray()
        self._size = 0
        self._enough = False

    def feed(self, data: bytes) -> Iterator[bool]:
        """
        Read the next bytes in steps; after each, yield whether the rest of the body is not needed.

        Bytes may inflate a thousandfold. Between two steps the caller checks its deadline, and an event loop
        has a turn.

        :raises ValueError: the body is broken, or too large to be held.
        """
        return map(self._add, self._inflater.feed(data))

    def finish(self) -> bytes:
        """
        Return the body; of an outline, the members that it kept, as JSON.

        :raises ValueError: the body is cut short, or has no outline.
        """
        if not self._enough:
            self._add(self._inflater.finish())
        if self._outline is None or self._size <= SMALL_BYTES:
            return bytes(self._body)
        if not self._enough:
            with _as_no_json():
                self._outline.finish()
        return self._outline.json()

    def _add(self, piece: bytes) -> bool:
        self._size += len(piece)
        self._body += piece
        if self._outline is None:
            if self._size > MAX_BODY_BYTES:
                raise ValueError(f"the body is larger than {MAX_BODY_BYTES} bytes")
        elif self._size > SMALL_BYTES:
            held, self._body = self._body, bytearray()
            with _as_no_json():
                self._enough = self._outline.feed(bytes(held))
        return self._enough


@contextmanager
def _as_no_json() -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise ValueError("the body is no whole JSON") from None
