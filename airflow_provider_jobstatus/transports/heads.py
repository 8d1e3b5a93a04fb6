"""The head of a reply, read alike by both transports."""

from __future__ import annotations

from collections.abc import Mapping

#: Longest line of a reply's head, in bytes, and most headers: as in http.client, which the blocking transport
#: stands on; aiohttp before 3.13.4 has no limit of the second kind.
MAX_LINE_BYTES = 64 * 1024
MAX_HEADERS = 99


def content_coding(status: int, headers: Mapping[str, str]) -> str:
    """Return the ``Content-Encoding`` of a body, or an empty text where it is known that there is no body."""
    coding = headers.get("content-encoding", "")
    return "" if coding and (status in (204, 304) or headers.get("content-length") == "0") else coding


def header_text(text: str, coding: str = "latin-1") -> str:
    """
    Return a header's text: in UTF-8 if its bytes are that, else in Latin-1.

    :param coding: by which the library has read the bytes.
    """
    if not text.isascii():
        raw = text.encode(coding, "surrogateescape")
        try:
            text = raw.decode()
        except UnicodeError:
            text = raw.decode("latin-1")
    return text.strip()


def check_length(headers: dict[str, str]) -> None:
    """
    Refuse a length that the libraries let pass although it is none, and write one without leading zeros.

    :raises ValueError: a negative, repeated or garbled ``Content-Length``, or one beside
        ``Transfer-Encoding``, or a transfer coding besides ``chunked``: then two readers see two bodies.
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None and coding.strip().lower() not in ("chunked", "identity", ""):
        raise ValueError("the reply has a transfer coding that was not requested")
    if length is not None and coding is not None:
        raise ValueError("the reply has a Content-Length and a Transfer-Encoding")
    if length is not None and not (length.isascii() and length.strip().isdigit()):
        raise ValueError("the reply has no proper Content-Length")
    if length is not None:
        headers["content-length"] = length.strip().lstrip("0") or "0"
