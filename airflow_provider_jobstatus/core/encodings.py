"""What a file's first bytes say about the encoding of its text, and whether it is text at all."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

#: First bytes by which an encoding is known.
HEAD_BYTES = 4096

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A header and JSON begin with ASCII: one character of UTF-32, or two of UTF-16, show where its zeros stand.
_UNMARKED = (
    (re.compile(rb"[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]"), "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
#: How a zip begins that holds nothing.
EMPTY_ZIP = b"PK\x05\x06"
_PACKED = (_GZIP, b"PK\x03\x04", EMPTY_ZIP)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1b]")


class NotText(ValueError):
    """Bytes that are not the text as which they begin."""


def peek(chunks: Iterable[bytes], size: int = HEAD_BYTES) -> tuple[bytes, Iterator[bytes]]:
    """Return the first ``size`` bytes, less only if there are no more, and all chunks again."""
    pulled = iter(chunks)
    head = b""
    while len(head) < size and (chunk := next(pulled, None)) is not None:
        head += chunk
    return head[:size], chain([head], pulled)


def beginning_of_gzip(head: bytes) -> tuple[bytes, bool]:
    """Return the beginning of what a gzip holds, and whether that is all; nothing of what is no gzip."""
    if not head.startswith(_GZIP):
        return b"", False
    gzip = zlib.decompressobj(wbits=31)
    try:
        return gzip.decompress(head, HEAD_BYTES), gzip.eof and not gzip.unused_data
    except zlib.error:
        return b"", False


def is_packed(head: bytes) -> bool:
    """Return whether a file is a gzip or a zip."""
    return head.startswith(_PACKED)


def is_binary(head: bytes) -> bool:
    """Return whether a file is no text in any encoding that is known here."""
    if is_packed(head):
        return True
    if encoding_of(head) != "utf-8" or not _CONTROL.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return True
    return False


def encoding_of(head: bytes) -> str:
    """Return the codec of a text that begins with ``head``: by its mark, its zeros, or else UTF-8."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec
    return next((codec for beginning, codec in _UNMARKED if beginning.match(head)), "utf-8")


def text_of(head: bytes) -> str:
    """Return the text with which a file begins, without a mark; what cannot be read becomes U+FFFD."""
    return codecs.getincrementaldecoder(encoding_of(head))("replace").decode(head)


def utf8(chunks: Iterable[bytes], errors: str = "strict") -> Iterator[bytes]:
    """
    Yield a text in UTF-8, without a mark, whichever encoding its beginning shows.

    What is UTF-8 already passes as it is, valid or not.

    :param errors: ``"strict"`` or ``"replace"``, as of a codec: what becomes of broken UTF-16 and UTF-32.
    :raises NotText: it is broken, and ``errors`` is ``"strict"``.
    """
    head, chunks = peek(chunks)
    codec = encoding_of(head)
    if codec.startswith("utf-8"):
        yield next(chunks).removeprefix(codecs.BOM_UTF8)
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(codec)(errors)
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", True).encode()
    except UnicodeError:
        raise NotText(f"the text begins as {codec} and is none") from None


def strict_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    Pass a text on that is UTF-8, with or without a mark.

    :raises NotText: it is compressed, of another encoding, or holds a NUL.
    """
    head, chunks = peek(chunks)
    if is_packed(head):
        raise NotText("it is compressed")
    if not (codec := encoding_of(head)).startswith("utf-8"):
        raise NotText(f"it is in {codec.upper()}; save it as UTF-8")
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = 0
    try:
        for chunk in chunks:
            if b"\0" in chunk:
                raise NotText(f"byte {before + chunk.index(0) + 1} is a NUL")
            if not chunk.isascii() or decoder.getstate()[0]:
                pending = len(decoder.getstate()[0])
                before -= pending
                decoder.decode(chunk)
                before += pending
            before += len(chunk)
            yield chunk
        before -= len(decoder.getstate()[0])
        decoder.decode(b"", True)
    except UnicodeDecodeError as error:
        raise NotText(f"byte {before + error.start + 1} is no UTF-8; save it as UTF-8") from None
