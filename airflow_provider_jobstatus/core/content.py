"""
Whether a file is what was asked for, by its media type and its first bytes.

A length or a digest shows that a body is whole, not that it is the file: a login page, an error in JSON and
the job itself come whole, with 200, and under any media type. What is no file of the format is refused here;
what may be one passes, because servers label files carelessly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_jobstatus.core.encodings import beginning_of_gzip, is_packed, text_of
from airflow_provider_jobstatus.core.errors import ServerError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.json_errors import (
    holds_job,
    is_bare_error,
    is_error,
    telling,
    tells_of_states,
)
from airflow_provider_jobstatus.core.redaction import redact
from airflow_provider_jobstatus.core.responses import error_of, expect, retry_after
from airflow_provider_jobstatus.core.text import clean

#: First bytes of a body by which it is judged; a shorter body is seen whole.
JUDGED_BYTES = 64 * 1024
#: Longest part of a page or of an error that is shown, in characters.
SHOWN = 200

_A_PAGE = "a page of HTML"
_BYTES = "application/octet-stream"
_PAGES = ("text/html", "application/xhtml+xml")
_TABLES = ("text/csv", "application/csv", "text/comma-separated-values", "application/vnd.ms-excel")
_OBJECTS = ("application/json", "text/json", "application/problem+json")
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
# Never text, whatever a server does not know about its files.
_FOREIGN = re.compile(r"(?:image|audio|video|font)/|application/pdf\Z")
_FOREIGN_BYTES = (b"%PDF-", b"\x89PNG\r\n")
_PAGE = re.compile(r"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
_PROLOGUE = re.compile(r"(?:<\?xml[^>]*+>\s*+|<!--.*?-->\s*+)+", re.DOTALL)
_ROOT = re.compile(r"<([a-z_][\w.:-]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_JSON = re.compile(r'\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})|\[\s*(?:[\[{"\]]|-?\d|true|false|null)')
_SEPARATOR = re.compile(r"[,;|](?:\S|\s?\")|\t")
# Three words or more: no header of a single column.
_SENTENCE = re.compile(r"\S++(?: \S++){2,}+")
# The name of a single column on a line of its own; and one word that rather answers than names a column.
_NAME = re.compile(r'("?)[^\W\d][\w.-]*\1\r?\n')
_ANSWER = re.compile(
    r"\W*(?:ok|okay|yes|no|nil|none|null|nan|true|false|undefined)\W*\Z|err|exception|fail|fault|busy|pending|"
    r"process|queue|progress|running|wait|retry|later|slow|throttl|limit|gateway|upstream|denied|forbid|refus|reject|unauth|expir|"
    r"time.?out|unavail|maint|down\b|no.?such|not.?|invalid|missing|empty|done|ready|success|complet|cancel|delet",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")


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
        part that was not asked for.
    :raises UnexpectedResponse: a redirect.
    """
    expect(request, response if 200 <= response.status < 300 else without_addresses(response))
    if response.status == 200:
        return response
    reason = f"answered {response.status} instead of a file"
    error = error_of(ServerError, request, reason, response.status)
    error.retry_after = retry_after(response)
    raise error


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


def misfit(file_format: str | None, content_type: str, head: bytes, whole: bool) -> Sent | None:
    """
    Return what was sent if it is no file, or None if it may be one.

    :param file_format: ``"csv"``, ``"json"``, or None where the vendor does not say which.
    :param content_type: media type, in lower case.
    :param head: up to :data:`JUDGED_BYTES` of the body.
    :param whole: whether that is all of the body.
    """
    raw = text_of(head)
    text = raw.strip()
    begin = _end_of_prologue(text)
    if _PAGE.match(text, begin) or (not whole and text.startswith("<!--") and not begin):
        return Sent(_A_PAGE, text)
    if not text and not whole:
        return Sent("white space")
    if (unpacked := beginning_of_gzip(head).strip()) and (
        within := misfit(file_format, _BYTES, unpacked, False)
    ):
        return replace(within, what=f"{within.what}, compressed")
    if content_type in _PAGES:
        # Labelled so carelessly, it may be the rows.
        return Sent(_A_PAGE, text if _is_markup(text[begin:], "", whole) else "")
    if is_packed(head) or not text:
        return None
    if _FOREIGN.match(content_type) or head.startswith(_FOREIGN_BYTES):
        return Sent("another kind of file")
    if _is_markup(text, content_type, whole) or _is_markup(text[begin:], content_type, whole):
        return Sent("XML")
    value = _json_value(text) if whole else None
    if value is text and tells_of_states(text):
        return Sent("errors in JSON")
    if isinstance(value, Mapping) and is_error(value, content_type in _LINES):
        return Sent("an error in JSON", json.dumps(telling(value), ensure_ascii=False))
    if isinstance(value, list) and value and all(map(is_bare_error, value)):
        return Sent("errors in JSON", json.dumps(telling(value[0]), ensure_ascii=False))
    if any(map(holds_job, value if isinstance(value, list) else [_first_object(text)])):
        return Sent("a job in JSON")
    if file_format == "csv" and _is_json(text, content_type, whole, value):
        return Sent(f"JSON with {len(value)} items" if isinstance(value, list) else "JSON")
    is_line = raw.endswith("\n") and "\n" not in text
    if _is_without_rows(text, content_type, value, whole=whole, is_line=is_line):
        return Sent("JSON without rows")
    if whole and _is_prose(text):
        return Sent("lines of text")
    if (
        file_format != "json"
        and (content_type not in _TABLES or _SENTENCE.fullmatch(text) or _is_answer(raw, value))
        and whole
        and len(text.splitlines()) == 1
        and not _SEPARATOR.search(text)
        and not isinstance(value, (Mapping, list))
        and not (content_type.endswith("octet-stream") and _is_name(raw))
    ):
        return Sent("a line of text")
    return None


def _is_without_rows(text: str, content_type: str, value: Any, *, whole: bool, is_line: bool) -> bool:
    """
    Return whether a text is a single JSON object without ``entries``, and no row of a file by lines.

    :param is_line: whether it is one line with its end, as a file of one row is.
    """
    if not whole:
        if not _JSON.match(text) or not text.startswith("{"):
            return False
        try:
            first, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return '"entries"' not in text
        return is_bare_error(first)
    if not isinstance(value, Mapping) or isinstance(value.get("entries"), list) or content_type in _LINES:
        return False
    return _is_wrapped(value) or (content_type in _OBJECTS and not is_line)


def _first_object(text: str) -> Any:
    """Return the object with which a text of JSON begins, or an array in it; None if there is none."""
    begin = text.removeprefix("[").lstrip()
    try:
        return json.JSONDecoder().raw_decode(begin)[0] if begin.startswith("{") else None
    except (ValueError, RecursionError):
        return None


def _is_wrapped(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds a job or an error as a member."""
    return any(isinstance(value.get(name), Mapping) for name in ("job", "data", "meta", "result", "response"))


def _is_prose(text: str) -> bool:
    """Return whether a text is a few sentences."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (
        1 < len(lines) <= 5
        and all(map(_SENTENCE.fullmatch, lines))
        and any(line.endswith((".", "!", "?")) for line in lines)
        and not _SEPARATOR.search(text)
    )


def _is_name(text: str) -> bool:
    """Return whether a text is the header of a single column, as a storage may label it without a look."""
    return _NAME.fullmatch(text) is not None and _ANSWER.search(text) is None


def _is_answer(raw: str, value: object) -> bool:
    """
    Return whether a line rather answers than heads a table of one column.

    :param value: its value as JSON, or itself.
    """
    if not isinstance(value, str):
        return True
    return not raw.endswith(("\n", "\r")) and _ANSWER.search(value) is not None


def _end_of_prologue(text: str) -> int:
    found = _PROLOGUE.match(text)
    return found.end() if found else 0


def _is_markup(text: str, content_type: str, whole: bool) -> bool:
    """Return whether a text is XML, or HTML without its frame, rather than a table whose cells have tags."""
    if not text.startswith("<"):
        return False
    if text.startswith("<?xml") or content_type.endswith(("/xml", "+xml")):
        return True
    root = _ROOT.match(text)
    if root is None:
        return False
    if root[0].endswith("/>"):
        return root[0] == text
    closing = re.compile(rf"</{re.escape(root[1])}\s*>", re.IGNORECASE).search(text, root.end())
    rest = text[(closing or root).end() :].lstrip()
    if closing is None:
        return not whole and rest.startswith("<")
    return (whole and not rest) or rest.startswith("<")


def _json_value(text: str) -> Any:
    """Return a JSON text's value; of what is none, the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_json(text: str, content_type: str, whole: bool, value: Any) -> bool:
    """Return whether a text is JSON, one or more, rather than a table whose first cell looks so."""
    if whole and value is not text and (text[0] in "[{" or content_type.endswith(("/json", "+json"))):
        return True
    if not _JSON.match(text):
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        # Cut, or too long to be seen whole.
        return True
    rest = text[end:]
    return not rest.strip() or rest.lstrip(" \t")[:1] in ("\r", "\n", "{", "[")
