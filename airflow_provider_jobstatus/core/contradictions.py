"""
What in a reply speaks against the success that it names: an error, another state, another job.

Vendors document few members, but a gateway, a cache or a new version adds others. A success beside such a
member is not believed. One table of members serves all vendors; each is known by its usual spellings, such as
``job_id``, ``jobId``, ``JobID`` and ``jobid``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.text import clean


def _spelled(*names: str) -> frozenset[str]:
    """Return names, given as words, in the ways in which APIs write them."""
    found: set[str] = set()
    for words in map(str.split, names):
        capitals = [word.capitalize() for word in words]
        for tail in (capitals, [word.upper() if word == "id" else word.capitalize() for word in words]):
            found |= {words[0] + "".join(tail[1:]), "".join(tail), "_".join(tail)}
        for joint in ("", "_", "-"):
            found |= {joint.join(words), joint.join(words).upper()}
    return frozenset(found)


#: Members that name the job, its site, and its report type.
JOB = _spelled("id", "job id", "batch id", "batch job id")
SITE = _spelled("site id")
REPORT_TYPE = _spelled("report type")
#: Members that hold the state of a job.
STATE = _spelled("status", "state", "job status", "job state", "batch status")
#: Members that say that something went wrong, unless they are empty.
ERROR = _spelled(
    *("error", "errors", "fault", "exception", "failure", "error message", "error code"),
    *("error description", "error detail", "error details", "failure reason", "failed reason"),
)
#: Members by which an error explains the code beside it.
_CODE = _spelled("code")
_EXPLANATION = _spelled("message", "msg", "description", "title", "detail", "details", "reason")
_RESULT = _spelled("result", "outcome", "phase", "status code", "http status", "http status code")
#: Flags that are false, or true, where something went wrong. Zero of some may be a count.
_GOOD = _spelled("success", "successful", "ok", "ready", "is success", "is ready")
_GOOD_OR_COUNT = _spelled("succeeded", "done", "finished", "completed", "available", "is complete", "is done")
_BAD = _spelled("failed", "is error", "has error", "has errors", "is failed")
#: Objects around a job, and around what it has made.
_AROUND_A_JOB = _spelled("job", "data", "response")
_AROUND = _AROUND_A_JOB | _spelled("result", "results", "payload")

#: Members whose value may speak against a success.
_TELLING = frozenset().union(STATE, ERROR, _CODE, _RESULT, _GOOD, _GOOD_OR_COUNT, _BAD)
#: All members that count here: an outline keeps them.
MEMBERS = _TELLING.union(JOB, SITE, REPORT_TYPE, _EXPLANATION, _AROUND)

# A word that no vendor lists and that is no success in any language of APIs.
_NO_SUCCESS = re.compile(
    r"\A(?:fail|err(?:or)?\b|fault|abort|cancel|reject|refus|denied|invalid|expired|deleted|crash|killed"
    r"|timed? ?out|unauthori[sz]ed|forbidden|unavailable|unsuccess|incomplete|not |pending|process|running"
    r"|queued|waiting|in progress|upload|retry|generating|building).*"
    r"|\A(?!no |without |any |0 )(?:\w+ ){1,2}(?:failed|failure|error)"
)
#: Longest text that is taken for a word.
_MAX_WORD = 80


def named(reply: Mapping[str, Any], names: frozenset[str]) -> list[object]:
    """Return what a reply has under some names, in itself and in the objects around a job."""
    found: list[object] = []
    for name, value in reply.items():
        if name in names and value is not None:
            found.append(value)
        if name in _AROUND_A_JOB and isinstance(value, Mapping):
            found += named(value, names)
    return found


def contradiction(
    reply: Mapping[str, Any], state_of: Callable[[str], JobState | None], *, anywhere: bool = False
) -> str | None:
    """
    Return what in a reply speaks against a success, as the member's name and its value, or None.

    :param state_of: returns the state that a word means to the vendor.
    :param anywhere: whether to look into all objects within, and not only into those around a job or result.
    """
    for place in _all_places(reply) if anywhere else _places(reply, _AROUND):
        for name, value in place.items():
            if name in _TELLING and _contradicts(name, value, place, state_of):
                return f"{name}: {clean(value, 200)}"
    return None


def _contradicts(
    name: str, value: Any, place: Mapping[str, Any], state_of: Callable[[str], JobState | None]
) -> bool:
    word = value.strip().lower() if isinstance(value, str) else ""
    if name in ERROR:
        return word not in ("", "none", "null", "false", "0") if isinstance(value, str) else bool(value)
    if name in _CODE:
        return _is_code_of_error(value) and any(map(place.get, _EXPLANATION & place.keys()))
    if name in _BAD:
        return value is True or word == "true"
    if name in _GOOD or name in _GOOD_OR_COUNT:
        return value is False or word == "false" or (name in _GOOD and value == 0)
    return (name in STATE or name in _RESULT) and _is_no_success(value, state_of)


def _is_code_of_error(code: Any) -> bool:
    return bool(code) and re.fullmatch(r"2\d\d|0|ok|success", str(code)[:_MAX_WORD].strip().lower()) is None


def _is_no_success(value: Any, state_of: Callable[[str], JobState | None]) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 400 <= value < 600
    if not isinstance(value, str) or len(value) > _MAX_WORD:
        return False
    state = state_of(value)
    if state is not None:
        return state is not JobState.SUCCEEDED
    return _NO_SUCCESS.fullmatch(re.sub(r"[-_\s]+", " ", value.strip().lower())) is not None


def _places(reply: Mapping[str, Any], names: frozenset[str]) -> list[Mapping[str, Any]]:
    """Return an object, and those within it that stand under some names, one in the other."""
    places = [reply]
    for name, value in reply.items():
        if name in names and isinstance(value, Mapping):
            places += _places(value, names)
    return places


def _all_places(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, (Mapping, list)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _all_places(inner)
