"""The body of a reply, taken in piece by piece: decoded, and never more of it held than is allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_jobstatus.core.outline import JsonOutline

#: A reply to a flow that is larger is an error; what may be larger is streamed, or only its outline is read.
MAX_BODY_BYTES = 2 * 1024 * 1024
#: What is no larger is not worth an outline.
SMALL_BYTES = 64 * 1024
#: Most bytes that are inflated and looked at in one step: what an event loop can spare the time for.
PIECE_BYTES = 32 * 1024


class Inflater:
    """
    Undoes a content coding, holding no more than one piece of output at a time.

    We ask for ``identity``; a proxy on the way may compress all the same.

    :param encoding: value of ``Content-Encoding``.
    :raises ValueError: a coding that we do not know.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ValueError("the body has a content coding that was not asked for")
        self._inflater = None if name in ("", "identity") else zlib.decompressobj(wbits=47)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """
        Return what ``data`` decodes to, to be iterated over at once.

        :raises ValueError: it is broken, as the iteration shows.
        """
        return (data,) if self._inflater is None and 0 < len(data) <= PIECE_BYTES else self._pieces(data)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            for begin in range(0, len(data), PIECE_BYTES):
                yield data[begin : begin + PIECE_BYTES]
            return
        try:
            while data:
                if self._inflater.eof:
                    raise ValueError("the body goes on after the end of its compressed data")
                yield self._inflater.decompress(data, PIECE_BYTES)
                data = self._inflater.unconsumed_tail or self._inflater.unused_data
        except zlib.error:
            raise ValueError("the body is not what its content coding says") from None

    def finish(self) -> bytes:
        """
        Return what is left to put out.

        :raises ValueError: the body is cut short.
        """
        if self._inflater is None:
            return b""
        rest = self._inflater.flush()
        if not self._inflater.eof:
            raise ValueError("the compressed body is cut short")
        return rest


def inflate(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """
    Undo a content coding of a body that is pulled.

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
    :param max_bytes: size above which a body is an error, if it is kept whole.
    :raises ValueError: a coding that we do not know.
    """

    def __init__(
        self, encoding: str, outline: JsonOutline | None = None, max_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._max_bytes = max_bytes
        self._inflater = Inflater(encoding)
        self._outline = outline
        self._body = bytearray()
        self._size = 0
        self._enough = False

    def feed(self, data: bytes) -> Iterator[bool]:
        """
        Take in what comes next, step by step; after each, yield whether the rest is of no interest.

        Some bytes may inflate to a thousand times as many, so that the caller looks at its clock between two
        steps, and lets others have theirs.

        :raises ValueError: it is broken, or too large to be held.
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
            if self._size > self._max_bytes:
                raise ValueError(f"the body is larger than {self._max_bytes} bytes")
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
