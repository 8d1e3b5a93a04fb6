"""
What travels from the triggerer to the worker: plain JSON that every database stores.

Of a few jobs the event carries all. Of many it carries at most :data:`ENTRY_BYTES` each, without their ids:
how the wait ended, the vendor's word, progress, times and counts; and once, at most :data:`MAX_WORDS` words.
A status that does not fit exactly, or has an explanation, is marked, and the worker asks the vendor for it
again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_jobstatus.core.jobs import COUNT_KEYS, JobStatus
from airflow_provider_jobstatus.core.text import MAX_INT, clean, storable
from airflow_provider_jobstatus.waiting.spec import JobEvent, Outcome
from airflow_provider_jobstatus.waiting.wait_log import FEW

#: Version of the trigger's arguments and of its event.
VERSION = 1
#: The most that one of many jobs takes in an event, as JSON with its comma.
ENTRY_BYTES = 64
#: Words of the vendor that an event of many jobs names. Nobody needs more, but a vendor may say anything.
MAX_WORDS = 32

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES = {
    "f": Outcome.FINISHED,
    "t": Outcome.TIMED_OUT,
    "g": Outcome.GAVE_UP,
    "r": Outcome.REFUSED,
    "u": Outcome.UNKNOWN_JOB,
    "b": Outcome.BAD_SETTINGS,
    "c": Outcome.CRASHED,
    "s": Outcome.STALLED,
    "l": Outcome.LEFT,
}
_LETTERS = {outcome: letter for letter, outcome in _OUTCOMES.items()}


def pack(events: Sequence[JobEvent], started_at: float) -> dict[str, Any]:
    """
    Return the event for these ends.

    :param started_at: of the wait; times are stored as microseconds from there.
    """
    if len(events) <= FEW:
        return {"version": VERSION, "jobs": [event.as_dict() for event in events]}
    words: dict[tuple[str, str, str], int] = {}
    examples: dict[str, str] = {}
    base = round(started_at * 1_000_000)
    entries = []
    for event in events:
        entries.append(_entry(event, words, base))
        if event.message:
            examples.setdefault(event.outcome.value, clean(event.message))
    return {
        "version": VERSION,
        "ids": _digest([event.job_id for event in events]),
        "base": base,
        "words": [list(word) for word in words],
        "examples": examples,
        "jobs": entries,
    }


def in_words(events: Sequence[JobEvent]) -> str:
    """Return these ends as a line for a log, such as ``"30 jobs: 28 succeeded, 2 timed out"``."""
    ends = Counter(
        event.status.state.value
        if event.outcome is Outcome.FINISHED and event.status
        else event.outcome.value
        for event in events
    )
    sums = ", ".join(f"{number} {end.replace('_', ' ')}" for end, number in ends.items())
    if len(events) == 1:
        return f"{storable(events[0].job_id)}: {sums.partition(' ')[2]}"
    return f"{len(events)} jobs: {sums}"


def unpack(payload: Mapping[str, Any], job_ids: Sequence[str]) -> tuple[list[JobEvent], set[str]]:
    """
    Read what :func:`pack` made.

    :param job_ids: that the task waits for.
    :return: the ends, and the ids of the jobs whose status is to be asked for again.
    :raises ValueError, TypeError, LookupError, AttributeError, OverflowError: it is something else.
    """
    if "words" not in payload:
        events = [JobEvent.from_dict(job) for job in payload["jobs"]]
        if [event.job_id for event in events] != list(job_ids):
            raise ValueError("it is of other jobs")
        return events, set()
    if payload["ids"] != _digest(job_ids) or len(payload["jobs"]) != len(job_ids):
        raise ValueError("it is of other jobs")
    events = [_read(job_id, entry, payload) for job_id, entry in zip(job_ids, payload["jobs"], strict=True)]
    again = {job_id for job_id, entry in zip(job_ids, payload["jobs"], strict=True) if entry[0].isupper()}
    return events, again


def _entry(event: JobEvent, words: dict[tuple[str, str, str], int], base: int) -> str:
    letter, status = _LETTERS[event.outcome], event.status
    if status is None:
        return letter
    word = _word(status, words)
    try:
        entry = letter + _join([word, *_facts(status, base)])
    except (ValueError, TypeError, OverflowError):
        entry = ""
    complete = entry and list(words)[word][:2] == (status.vendor, status.vendor_status)
    if complete and len(json.dumps(entry)) + 2 <= ENTRY_BYTES:
        return entry
    return letter.upper() + _join([word, _whole(status.progress)])


def _word(status: JobStatus, words: dict[tuple[str, str, str], int]) -> int:
    """Return the number of a status's word; one too many is shown as none."""
    word = (clean(status.vendor, 80), clean(status.vendor_status, 80), status.state.value)
    if word not in words and len(words) >= MAX_WORDS:
        word = (next(iter(words))[0], "", status.state.value)
    return words.setdefault(word, len(words))


def _facts(status: JobStatus, base: int) -> list[int | None]:
    """
    Return what an entry holds of a status besides its word.

    :raises ValueError, TypeError, OverflowError: they would not be all of it.
    """
    counts: Mapping[str, Any] = dict.fromkeys(COUNT_KEYS) if status.counts is None else status.counts
    numbers = [status.progress, *(counts.get(key) for key in COUNT_KEYS)]
    if (
        status.detail is not None
        or set(counts) != set(COUNT_KEYS)
        or [_whole(number) for number in numbers] != numbers
        or (status.counts is not None and not any(number is not None for number in numbers[1:]))
    ):
        raise ValueError("more than an entry can say")
    progress, *rows = numbers
    return [progress, _microseconds(status.created_at, base), _microseconds(status.completed_at, base), *rows]


def _read(job_id: str, entry: str, payload: Mapping[str, Any]) -> JobEvent:
    outcome = _OUTCOMES[entry[0].lower()]
    message = ""
    if outcome is not Outcome.FINISHED:
        example = payload["examples"].get(outcome.value)
        message = f"{job_id}: {outcome.value.replace('_', ' ')}; of one of these jobs: {example}"
    if len(entry) == 1:
        return JobEvent(job_id, outcome, None, message)
    facts: list[Any] = [int(fact, 16) if fact else None for fact in entry[1:].split(",")]
    word, progress, created, completed, *counts = facts + [None] * (8 - len(facts))
    vendor, vendor_status, state = payload["words"][word]
    status = {
        "job_id": job_id,
        "vendor": vendor,
        "state": state,
        "vendor_status": vendor_status,
        "detail": None,
        "progress": progress,
        "counts": None if counts == [None] * 4 else dict(zip(COUNT_KEYS, counts, strict=True)),
        "created_at": _time(created, payload["base"]),
        "completed_at": _time(completed, payload["base"]),
    }
    return JobEvent.from_dict({"job_id": job_id, "outcome": outcome, "status": status, "message": message})


def _join(facts: Sequence[int | None]) -> str:
    # In hex, which Python reads and writes, and which is short.
    return ",".join("" if fact is None else f"{fact:x}" for fact in facts).rstrip(",")


def _whole(number: object) -> int | None:
    # A hook of another provider may put anything there.
    return number if type(number) is int and abs(number) <= MAX_INT else None


def _microseconds(text: str | None, base: int) -> int | None:
    """
    Return a time as microseconds from ``base``.

    :raises ValueError, TypeError, OverflowError: it is no time, or one in another offset than UTC's.
    """
    if text is None:
        return None
    microseconds = (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) - base
    if _time(microseconds, base) != text:
        raise ValueError("a time in another form")
    return microseconds


def _time(microseconds: int | None, base: int) -> str | None:
    if microseconds is None:
        return None
    return (_EPOCH + timedelta(microseconds=base + microseconds)).isoformat()


def _digest(job_ids: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([storable(job_id) for job_id in job_ids]).encode()).hexdigest()[:32]
