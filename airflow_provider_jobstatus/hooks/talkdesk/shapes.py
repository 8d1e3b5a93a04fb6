"""The outward form of Talkdesk's responses: a report, a storage's address, the head of either."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_jobstatus.core.auth import origin
from airflow_provider_jobstatus.core.body import SMALL_BYTES
from airflow_provider_jobstatus.core.content import misfit
from airflow_provider_jobstatus.core.encodings import is_packed, text_of
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.json_errors import is_bare_error, is_bare_state
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES, JsonOutline
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.hooks.validators import is_loopback

#: Where a reply names its job: the status page has ``id``, the download page ``ID``.
ID_KEYS = ("id", "ID", "Id", "jobId", "job_id", "jobID", "JobId")
#: Members that say that something went wrong, beside whatever else.
ERROR_KEYS = (
    *("error", "errors", "fault", "exception", "Error", "Errors", "error_message", "errorMessage"),
    *("ErrorMessage", "error_code", "errorCode", "error_description", "errorDescription"),
)
#: Members that say whether something went well; and those that say how far it is, beside ``status``.
SUCCESS_KEYS = ("success", "ok", "Success")
STATE_KEYS = ("state", "jobStatus", "job_status", "Status", "State")
#: What errors consist of, Talkdesk's and a gateway's. The row of a report has other members, too.
OF_AN_ERROR = frozenset({*ERROR_KEYS, "code", "message", "description", "fields"})
# Members of a job, in small letters: no report has only these for columns.
_OF_A_JOB = frozenset(
    {
        *(name.lower() for name in (*ID_KEYS, *STATE_KEYS)),
        *("completed_at", "created_at", "files", "format", "job", "links", "_links", "name", "report"),
        *("report_type", "status", "timespan", "timezone", "type", "updated_at"),
    }
)
# What frameworks and proxies write into a redirect.
_NOTICE = re.compile(
    r"redirect|\bmoved\b|\blocation\b|see other|multiple choices|(?<!not )\bfound\b|(?<!\d)30[0-8](?!\d)",
    re.IGNORECASE,
)

#: Media types of text in columns, ...
_TEXT_TYPES = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
#: ... of one JSON object a line, ...
_LINE_TYPES = frozenset(f"application/{name}" for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonlines"))
#: ... and of files of any kind.
_FILE_TYPES = frozenset(
    {"application/octet-stream", "binary/octet-stream", "application/zip", "application/gzip"}
)

#: Query parameters by which a storage's address is signed, in small letters and without ``-`` and ``_``; ...
_SIGNATURES = frozenset({"xamzsignature", "xgoogsignature", "signature", "sig"})
#: ... those that S3, Google, CloudFront and Azure have beside it; ...
_OF_A_STORAGE = frozenset(
    {"xamzcredential", "awsaccesskeyid", "xgoogcredential", "googleaccessid", "keypairid", "se"}
)
#: ... and those of a login, which may be signed as well: SAML has a ``Signature``, Discourse a ``sig``.
_OF_A_LOGIN = re.compile(
    r"(?:saml|relaystate|sso|sigalg|login|redirect|return|continu|forward|target|dest|success)\w*"
    r"|wa|wreply|wctx|wtrealm|next|nexturl|goto|service|serviceurl|url|uri|fromuri|back\w*|callback\w*"
    r"|ref|referer|referrer|origin\w*|clientid|responsetype|scope|state|nonce|error\w*|code"
)
#: Parts of a host's name and of a path that name a login, or a page for everything.
_LOGIN_PLACE = re.compile(
    r"(?:log|sign)[-_]?(?:in|on|out)|sso|saml2?|cas|adfs|oauth2?|oidc|openid|auth[nz]?|authori[sz]e"
    r"|authenticat(?:e|ion)|id|idp|identity|accounts|session|password|consent|maintenance|unavailable"
    r"|error|captive|portal",
    re.IGNORECASE,
)


def is_report(response: Response, job: str, is_word: Callable[[str], bool], *, confirms: bool) -> bool:
    """
    Return whether a 200 may be a report: text in columns, JSON by lines or an array of JSON.

    :param job: the job's id: what is about the job itself is no report.
    :param is_word: whether a status is one of a job's.
    :param confirms: whether it is the file that shows a report to be there: then an empty one is none.
    """
    kind, whole = response.content_type, len(response.body) <= SMALL_BYTES
    text = text_of(response.body).strip()
    if text[:1] == "[":
        try:
            value = load_json(text)
        except ValueError:
            return False
        # Of a long array an outline is left, without its items.
        return isinstance(value, list) and all(item is None or _is_row(item, job, is_word) for item in value)
    if text[:1] == "{":
        return _is_lines(text, kind, job, is_word)
    # A line of text is no report, whatever it is labelled as: those of Talkdesk have many columns.
    if any(misfit(None, label, response.body, whole) for label in {kind, ""}):
        return False
    if not text:
        return kind in _TEXT_TYPES and not confirms
    attached = response.headers.get("content-disposition", "").lower().startswith("attachment")
    return kind in _TEXT_TYPES | _FILE_TYPES or (kind in _LINE_TYPES and is_packed(response.body)) or attached


def _is_lines(text: str, kind: str, job: str, is_word: Callable[[str], bool]) -> bool:
    """Return whether a text is one JSON object a line, by its type or by its second line."""
    line, _, rest = text.partition("\n")
    if kind not in _LINE_TYPES and not rest.lstrip().startswith("{"):
        return False
    try:
        return _is_row(load_json(line), job, is_word)
    except ValueError:
        return kind in _LINE_TYPES and len(line) >= SMALL_BYTES  # a row that was cut


def _is_row(value: object, job: str, is_word: Callable[[str], bool]) -> bool:
    """Return whether a value may be the row of a report, rather than an error or a job."""
    if not isinstance(value, dict) or "job" in value or is_bare_error(value) or is_bare_state(value):
        return False
    return not any(_is_job(place, job, is_word) for place in (value, *value.values()))


def _is_job(place: object, job: str, is_word: Callable[[str], bool]) -> bool:
    if not isinstance(place, dict):
        return False
    states = [place[name] for name in ("status", *STATE_KEYS) if name in place]
    if states and any(str(place.get(key)) == job for key in ID_KEYS):
        return True
    said = any(isinstance(state, str) and is_word(state) for state in states)
    return said and {name.lower() for name in place} <= _OF_A_JOB


def is_notice(body: bytes, location: str) -> bool:
    """
    Return whether the text of a redirect says no more than that it is one.

    :param location: where it leads.
    """
    text = html.unescape(text_of(body)).strip("\0 \t\r\n")
    path = urlsplit(location).path.strip("/")
    return text in ("", "null", "{}", "[]") or (len(path) > 1 and path in text) or bool(_NOTICE.search(text))


def is_storage(url: str, *own_urls: str) -> bool:
    """
    Return whether an address is one of a storage: https, of another host than ours, signed, and no login's.

    On one's own machine, where a sandbox has no TLS, another port is enough.

    :param own_urls: of the API and of its login.
    """
    values = [
        (re.sub("[-_]", "", name.lower()), value)
        for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
    ]
    names = {name for name, value in values if value}
    if not names & _SIGNATURES or any(_OF_A_LOGIN.fullmatch(name) for name, _ in values):
        return False
    if not all(_is_elsewhere(url, own_url) for own_url in own_urls):
        return False
    if names & _OF_A_STORAGE:
        return True
    segments = [segment.partition(".")[0] for segment in unquote(urlsplit(url).path).split("/")]
    return not any(map(_LOGIN_PLACE.fullmatch, [*origin(url)[1].split("."), *segments]))


def _is_elsewhere(url: str, own_url: str) -> bool:
    (scheme, host, port), (_, own_host, own_port) = origin(url), origin(own_url)
    host, own_host = host.rstrip("."), own_host.rstrip(".")
    if is_loopback(host) and is_loopback(own_host):
        return port != own_port
    return scheme == "https" and bool(host) and host != own_host


class ReplyOutline(JsonOutline):
    """
    A job, or the outline of a report itself, of whatever size: no row is kept.

    What is no JSON object or array is read no further than it takes to see that.
    """

    def __init__(self) -> None:
        keep = ("job", *ID_KEYS, "status", "entries", *OF_AN_ERROR, *SUCCESS_KEYS, *STATE_KEYS)
        super().__init__(keep, enough=lambda _: True)
        self._head = bytearray()
        self._is_text = False

    def feed(self, piece: bytes) -> bool:
        """Take in what comes next, and return whether no more is needed."""
        self._head += piece[: max(SMALL_BYTES - len(self._head), 0)]
        try:
            return super().feed(piece)
        except ValueError:
            self._is_text = True
            return True

    def finish(self) -> None:
        """Note that nothing follows."""
        try:
            super().finish()
        except ValueError:
            self._is_text = True

    def json(self) -> bytes:
        """Return what is kept, as JSON; a short array whole; of other text its head, marked as no JSON."""
        if self._is_text or self._is_unnamed():
            return bytes(self._head) + b"\0"
        if isinstance(self.kept, list) and not self._open and self._size <= SMALL_BYTES:
            return bytes(self._head)
        return super().json()

    def _is_unnamed(self) -> bool:
        """Return whether a job that is too long to be read to its end has no id in what was read of it."""
        if self._size <= AGREED_BYTES or not isinstance(self.kept, dict):
            return False
        told = self.kept.get("job", self.kept)
        if "status" not in self.kept and told is self.kept:
            return False  # rows
        places = [place for place in (self.kept, told) if isinstance(place, dict)]
        return not any(key in place for place in places for key in ID_KEYS)


class FileOutline(ReplyOutline):
    """The head of a report's file."""

    def feed(self, piece: bytes) -> bool:
        """Take in the head; no more is needed."""
        super().feed(piece)
        return True


def error_in(*places: Mapping[str, Any]) -> object:
    """Return the error that one of some JSON objects holds, in any form, or is in Talkdesk's; or None."""
    for place in places:
        for key in ERROR_KEYS:
            if place.get(key):
                return place[key]
        if place.get("code") and (told := place.get("message") or place.get("description")):
            return told
        for key in SUCCESS_KEYS:
            if place.get(key) in (False, "false") and key in place:
                return f"{key}: false"
    return None
