"""JSON that describes an error, a job or the state of some work, and so is no row of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Members of an error, by which a small JSON object is known for one; and those of a job.
_SAYS_ERROR = frozenset({"error", "errors", "error_description", "errormessage", "exception", "fault"})
_TELLING = _SAYS_ERROR | {
    *("code", "description", "detail", "details", "error_code", "errorcode", "message", "msg", "reason"),
    *("status", "status_code", "statuscode", "success", "title", "type"),
    *("exceptionmessage", "exceptiontype", "faultstring", "stacktrace"),
}
_BESIDE = _TELLING | {
    *("_links", "created_at", "fields", "format", "id", "instance", "job", "links", "name", "path"),
    *("request_id", "requestid", "timespan", "timestamp", "timezone", "trace_id", "traceid"),
    *("correlationid", "correlation_id", "data", "meta", "progress", "resource", "result", "trace"),
}

# Members that describe the state of some work. An object of these and of an error's members alone is no row.
# Names are in small letters here, without "_" and "-".
_OF_A_STATE = frozenset(
    {
        *("eta", "jobstatus", "level", "ok", "percent", "phase", "position", "progress", "queueposition"),
        *("retry", "retryafter", "retryin", "severity", "stage", "state", "type"),
    }
)
_OF_A_JOB = frozenset({"jobid", "reportid", "reporttype"})

# An object of these members alone is no row. An `errorMessage` is a column of Ruler's.
_OF_AN_ERROR = _TELLING - {"errormessage"} | {"fields", "instance", "timestamp", "path"}


def is_bare_error(value: object) -> bool:
    """Return whether a value is an object of an error's members alone, and so no row of a file."""
    return isinstance(value, Mapping) and bool(value) and {name.lower() for name in value} <= _OF_AN_ERROR


def is_bare_state(value: object) -> bool:
    """Return whether a value is an object of the members of errors and of states alone."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and _plain_names(value) <= _plain_names(_OF_AN_ERROR) | _OF_A_STATE
    )


def holds_job(value: object) -> bool:
    """Return whether a value is an object around a job, as a status is, and no row."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("job"), Mapping)
        and not isinstance(value.get("entries"), list)
    )


def is_error(value: Mapping[str, Any], row: bool) -> bool:
    """
    Return whether a small object is an error, or a job, and nothing of a report.

    :param row: whether it may well be the only row of a file.
    """
    said = {name.lower() for name, member in value.items() if member not in (None, False, "", [], {})}
    says_error, knows_no_more = bool(said & _SAYS_ERROR), {name.lower() for name in value} <= _BESIDE
    if is_bare_state(value):
        return True
    if row:
        return says_error and knows_no_more
    return says_error or _plain_names(value) <= _plain_names(_BESIDE) | _OF_A_STATE | _OF_A_JOB


def tells_of_states(text: str) -> bool:
    """Return whether a text is lines of JSON that all describe errors or states alone."""
    lines = text.splitlines()
    return text.startswith("{") and all(is_bare_state(json_value(line)) for line in lines if line.strip())


def _plain_names(names: Iterable[str]) -> set[str]:
    return {re.sub("[-_]", "", name.lower()) for name in names}


def telling(value: Any) -> Any:
    """Return the members of an error that explain it; others may hold personal data."""
    if isinstance(value, Mapping):
        return {name: telling(member) for name, member in value.items() if name.lower() in _TELLING}
    return f"{len(value)} items" if isinstance(value, list) else value


def json_value(text: str) -> Any:
    """Return a JSON text's value; of what is none, the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def fault_of_json(text: str) -> str:
    """Return what is wrong with a text of JSON, or nothing; control characters in its texts are taken."""
    try:
        json.JSONDecoder(strict=False).decode(text.strip())
    except RecursionError:
        return ""
    except ValueError:
        return "it ends as JSON does, and is none"
    return ""


def first_value(text: str) -> tuple[Any, int]:
    """Return the value of JSON with which a text begins, and where it ends; the text and 0 if none does."""
    try:
        return json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text, 0
