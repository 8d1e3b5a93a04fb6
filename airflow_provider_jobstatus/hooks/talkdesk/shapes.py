"""The outward form of Talkdesk's responses: a report, or the notice of a redirect."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from airflow_provider_jobstatus.core.body import SMALL_BYTES
from airflow_provider_jobstatus.core.content import misfit
from airflow_provider_jobstatus.core.contradictions import JOB, REPORT_TYPE, STATE
from airflow_provider_jobstatus.core.encodings import EMPTY_ZIP, beginning_of_gzip, is_packed, text_of
from airflow_provider_jobstatus.core.file_kinds import SEPARATOR, first_row
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.json_errors import is_bare_error, is_bare_state
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.hooks.talkdesk.outlines import CUT_ROW, first_items

# Members of a job, in small letters: no report has only these for columns.
_OF_A_JOB = frozenset(
    {
        *(name.lower() for name in JOB | STATE | REPORT_TYPE),
        *("completed_at", "created_at", "files", "format", "job", "links", "_links", "name", "report"),
        *("timespan", "timezone", "type", "updated_at"),
    }
)
#: No error and no job has more columns.
_FEW_COLUMNS = 50
# Words of a text that is more than the notice of a redirect, in whatever format.
_NO_NOTICE = re.compile(
    r"(?<![a-z])(?:process(?:ing)?|pending|queued?|wait(?:ing)?|running|uploading|generating|in progress"
    r"|fail(?:ed|ure)?|errors?|unavailable|cancell?ed|deleted|expired|denied|forbidden|unauthori[sz]ed"
    r"|maintenance|not (?:ready|found|yet)|try again)(?![a-z])",
    re.IGNORECASE,
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
            load_json(response.body)
        except ValueError:
            return False
        items, _ = first_items(response.body)
        return all(_is_row(item, job, is_word) for item in items) and not (confirms and CUT_ROW in items)
    if text[:1] == "{":
        return _is_lines(text, kind, job, is_word)
    # A line of text is no report, whatever it is labelled as: those of Talkdesk have many columns.
    if any(misfit(None, label, response.body, whole) for label in {kind, ""}):
        return False
    if not text:
        return kind in _TEXT_TYPES and not confirms
    if confirms and not _has_rows(response.body, job, is_word):
        return False
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


def _has_rows(body: bytes, job: str, is_word: Callable[[str], bool]) -> bool:
    """Return whether a file that is no JSON has columns, and rows of a report, as far as can be seen."""
    if body.startswith(b"PK"):
        return not body.startswith(EMPTY_ZIP)
    text = text_of(beginning_of_gzip(body)[0] if is_packed(body) else body).strip()
    if text[:1] in ("{", "["):
        return True  # packed, and judged
    if not SEPARATOR.search(text.partition("\n")[0]):
        return False
    row = first_row(text)
    return len(row) > _FEW_COLUMNS or not (is_bare_state(row) or _is_job(row, job, is_word))


def _is_row(value: object, job: str, is_word: Callable[[str], bool]) -> bool:
    """Return whether a value may be the row of a report, rather than an error or a job."""
    if not isinstance(value, dict) or not value or "job" in value:
        return False
    if is_bare_error(value) or is_bare_state(value):
        return False
    return not any(_is_job(place, job, is_word) for place in (value, *value.values()))


def _is_job(place: object, job: str, is_word: Callable[[str], bool]) -> bool:
    if not isinstance(place, dict):
        return False
    states = [place[name] for name in place if name in STATE]
    if states and any(str(place[name]) == job for name in place if name in JOB):
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
    if _NO_NOTICE.search(unquote(text).replace(unquote(path), "") if path else text):
        return False
    return text in ("", "null", "{}", "[]") or (len(path) > 1 and path in text) or bool(_NOTICE.search(text))
