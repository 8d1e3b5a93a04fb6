"""
Whether a body is the requested file, by its media type and its first bytes.

A length or a digest shows that a body is whole, not that it is the file: a login page, an error in JSON or
the job itself may come whole, with 200, under any media type. A body that cannot be a file of the format is
refused here; one that may be passes, because servers label files carelessly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from airflow_provider_jobstatus.core.encodings import beginning_of_gzip, is_packed, text_of
from airflow_provider_jobstatus.core.errors import ServerError
from airflow_provider_jobstatus.core.file_kinds import (
    LINES,
    SENTENCE,
    SEPARATOR,
    end_of_prologue,
    first_object,
    is_answer,
    is_json,
    is_markup,
    is_name,
    is_prose,
    is_without_rows,
)
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.json_errors import (
    holds_job,
    is_bare_error,
    is_error,
    json_value,
    telling,
    tells_of_states,
)
from airflow_provider_jobstatus.core.redaction import redact
from airflow_provider_jobstatus.core.responses import error_of, expect, retry_after
from airflow_provider_jobstatus.core.text import clean

#: A body is judged by so many first bytes; a shorter one is seen whole.
JUDGED_BYTES = 64 * 1024
#: Longest part of a page or of an error that is shown, in characters.
SHOWN = 200

_A_PAGE = "a page of HTML"
_BYTES = "application/octet-stream"
_PAGES = ("text/html", "application/xhtml+xml")
_TABLES = ("text/csv", "application/csv", "text/comma-separated-values", "application/vnd.ms-excel")
# Never text, however carelessly a server labels its files.
_FOREIGN = re.compile(r"(?:image|audio|video|font)/|application/pdf\Z")
_FOREIGN_BYTES = (b"%PDF-", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"\x7fELF")
# No CSV or JSON, but maybe a file of a format that is not known: Excel's of old, Parquet, Avro, SQLite; or
# packed by 7z, RAR, bzip2, xz, zstd.
_OTHER_BYTES = (
    *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PAR1", b"Obj\x01", b"SQLite format 3\0"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"),
    *(b"BZh%d1AY&SY" % level for level in range(1, 10)),
)
# Also a page without its frame, such as a form that posts itself, and PHP's messages.
_PAGE = re.compile(
    r"<(?:!doctype\s+html|html|body|noscript)[\s>]|<(?:meta|form|base|link|iframe|script)\s"
    r"|(?:<br\s*/?>\s*+)?<b>(?:(?:\w+ )?(?:fatal|parse) error|warning|notice|deprecated)</b>:"
    r"|(?:PHP )?(?:fatal|parse) error: ",
    re.IGNORECASE,
)
# What is left of an upload to S3: a chunk with its size before it, and the next, signed or not.
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(;chunk-signature=[0-9A-Fa-f]+)?\r\n")
_RANGE = re.compile(r"bytes 0-([0-9]{1,18})/([0-9]{1,18})")
# May stand before a page without being of it.
_MARKS = "\ufeff\0 \t\r\n"
# Begins where a word does, so that a long one without an @ is read once.
_ADDRESS = re.compile(r"(?<![^\s@\"'<>])[^\s@\"'<>]++@[^\s@\"'<>]++")


@dataclass(frozen=True)
class Sent:
    """
    What was sent in place of a file.

    :param what: such as ``"a page of HTML"``.
    :param shown: the beginning of a page, or what an error in JSON says; empty for everything else, which may
        be the rows themselves.
    """

    what: str
    shown: str = ""

    def describe(self, secrets: Iterable[str] = ()) -> str:
        """Return it for a message, without our secrets and without addresses of people."""
        if not self.shown:
            return self.what
        shown = _ADDRESS.sub("***", redact(self.shown[: 20 * SHOWN], secrets))
        return f"{self.what}: {clean(shown, SHOWN)}"


def expect_file(request: Request, response: Response) -> Response:
    """
    Return a reply with 200, which alone may be a file; what it holds is judged by :func:`misfit`.

    :raises ApiError: another status; :class:`ServerError` for a 2xx that is not 200, such as "not yet" or a
        part that was not requested.
    :raises UnexpectedResponse: a redirect.
    """
    expect(request, response if 200 <= response.status < 300 else without_addresses(response))
    if response.status == 200 and not _is_part(response):
        return response
    reason = f"answered {response.status} instead of a file"
    if response.status == 200:
        reason = "answered with a part of a file"
    error = error_of(ServerError, request, reason, response.status)
    error.retry_after = retry_after(response)
    raise error


def _is_part(response: Response) -> bool:
    """Return whether a reply says that it is less than the whole of a file, whatever its status."""
    part = response.headers.get("content-range", "").strip()
    whole = _RANGE.fullmatch(part)
    return bool(part) and (whole is None or int(whole[1]) + 1 != int(whole[2]))


def without_addresses(response: Response) -> Response:
    """Return an error in place of a file without addresses of people: it may repeat a row."""
    return replace(response, body=_ADDRESS.sub("***", text_of(response.body[:JUDGED_BYTES])).encode())


def framing(headers: Mapping[str, str]) -> list[str]:
    """Return what of the reply's framing shows its end; the transport has raised if it was not reached."""
    if "content-length" in headers:
        return ["length"]
    return ["chunks"] if "chunked" in headers.get("transfer-encoding", "").lower() else []


def announces_nothing(headers: Mapping[str, str]) -> bool:
    """Return whether a body without a byte is whole: by its length, or as its coding has come to its end."""
    coding = headers.get("content-encoding", "").lower()
    return headers.get("content-length", "") == "0" or any(name in coding for name in ("gzip", "deflate"))


def _is_framed(head: bytes) -> bool:
    """Return whether a file begins with a chunk, its size before it, and another chunk after it."""
    chunk = _CHUNK.match(head)
    if chunk is None:
        return False
    end = chunk.end() + int(chunk[1], 16)
    return bool(chunk[2]) or (head[end : end + 2] == b"\r\n" and _CHUNK.match(head, end + 2) is not None)


def misfit(file_format: str | None, content_type: str, head: bytes, whole: bool) -> Sent | None:
    """
    Return what was sent if it is no file, or None if it may be one.

    :param file_format: ``"csv"``, ``"json"``, or None where the vendor does not say which.
    :param content_type: media type, in lower case.
    :param head: up to :data:`JUDGED_BYTES` of the body.
    :param whole: whether that is all of the body.
    """
    raw = text_of(head)
    text = raw.lstrip(_MARKS).rstrip()
    begin = end_of_prologue(text)
    if _PAGE.match(text, begin) or (not whole and text.startswith("<!--") and not begin):
        return Sent(_A_PAGE, text)
    if not text and not whole:
        return Sent("white space")
    unpacked, all_of_it = beginning_of_gzip(head)
    if unpacked.strip() and (within := misfit(file_format, _BYTES, unpacked, whole and all_of_it)):
        return replace(within, what=f"{within.what}, compressed")
    if content_type in _PAGES:
        # Labelled so carelessly, it may be the rows.
        return Sent(_A_PAGE, text if is_markup(text[begin:], "", whole) else "")
    if is_packed(head) or not text:
        return None
    if _is_framed(head):
        return Sent("a file in the chunks of its upload")
    if file_format is not None and head.startswith(_OTHER_BYTES):
        return Sent("another kind of file")
    if _FOREIGN.match(content_type) or head.startswith(_FOREIGN_BYTES):
        return Sent("another kind of file")
    if is_markup(text, content_type, whole) or is_markup(text[begin:], content_type, whole):
        return Sent("XML")
    value = json_value(text) if whole else None
    if value is text and tells_of_states(text):
        return Sent("errors in JSON")
    if isinstance(value, Mapping) and is_error(value, content_type in LINES):
        return Sent("an error in JSON", json.dumps(telling(value), ensure_ascii=False))
    if isinstance(value, list) and value and all(map(is_bare_error, value)):
        return Sent("errors in JSON", json.dumps(telling(value[0]), ensure_ascii=False))
    if any(map(holds_job, value if isinstance(value, list) else [first_object(text)])):
        return Sent("a job in JSON")
    if file_format == "csv" and is_json(text, content_type, whole, value):
        return Sent(f"JSON with {len(value)} items" if isinstance(value, list) else "JSON")
    is_line = raw.endswith("\n") and "\n" not in text
    if is_without_rows(text, content_type, value, whole=whole, is_line=is_line):
        return Sent("JSON without rows")
    if whole and is_prose(text):
        return Sent("lines of text")
    if (
        file_format != "json"
        and (content_type not in _TABLES or SENTENCE.fullmatch(text) or is_answer(raw, value))
        and whole
        and len(text.splitlines()) == 1
        and not SEPARATOR.search(text)
        and not isinstance(value, (Mapping, list))
        and not (content_type.endswith("octet-stream") and is_name(raw))
    ):
        return Sent("a line of text")
    return None
