"""A job's state in our words, the vendor's words for it, and the status that one poll finds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from types import NoneType
from typing import Any, NamedTuple

from airflow_provider_jobstatus.core.text import MAX_INT, STORED_TEXT_LIMIT, clean, storable

#: Keys of :attr:`JobStatus.counts`.
COUNT_KEYS = ("total", "processed", "succeeded", "failed")

_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


class JobState(StrEnum):
    """The state of a job, in one vocabulary for all vendors."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    #: Ended, with some of its rows done and some not.
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self is not JobState.RUNNING


TERMINAL_STATES = tuple(state for state in JobState if state.terminal)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """
    The status of a job, as one poll found it.

    :param job_id: as the user gave it.
    :param vendor: the connection type, such as ``"ruler"``.
    :param state: in our words.
    :param vendor_status: the vendor's word.
    :param detail: the vendor's explanation, if it gives one.
    :param progress: whole percent, 0 to 100, or None.
    :param counts: rows as ``{"total", "processed", "succeeded", "failed"}``, each a number or None; or None.
    :param created_at: ISO 8601 with offset, or None.
    :param completed_at: ISO 8601 with offset, or None.
    :param known: whether the vendor's word is in the table of words; not part of the result.
    :param retry_after: seconds of the reply's ``Retry-After``, or None; not part of the result.
    """

    job_id: str
    vendor: str
    state: JobState
    vendor_status: str
    detail: str | None = None
    progress: int | None = None
    counts: Mapping[str, int | None] | None = None
    created_at: str | None = None
    completed_at: str | None = None
    known: bool = True
    retry_after: float | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the plain dict that sensors return and events carry: JSON that every database stores."""
        plain = {name: storable(getattr(self, name)) for name in _PLAIN_TYPES}
        if not isinstance(plain["progress"], _PLAIN_TYPES["progress"]):
            # NaN, or more digits than JSON readers hold: no progress, and no reason to lose the status.
            plain["progress"] = None
        return plain

    @classmethod
    def from_dict(cls, value: object) -> JobStatus:
        """
        Read what :meth:`as_dict` wrote.

        :raises ValueError: it is something else.
        """
        if not isinstance(value, Mapping) or set(value) != set(_PLAIN_TYPES):
            raise ValueError("not the status of a job")
        if not all(isinstance(value[name], kinds) for name, kinds in _PLAIN_TYPES.items()):
            raise ValueError("a status of a job that holds other types")
        return cls(**{**value, "state": JobState(value["state"])})

    @classmethod
    def or_none(cls, value: object) -> JobStatus | None:
        """Read what :meth:`as_dict` wrote; None if it is something else, as of another version."""
        try:
            return cls.from_dict(value)
        except ValueError:
            return None

    def or_fuller(self, earlier: JobStatus | None) -> JobStatus:
        """Return this status, or an earlier one of the same word if only that one has counts."""
        return earlier if earlier and earlier.counts and not self.counts else self

    def describe(self) -> str:
        """Return the status in one line, such as ``'processing' (40 %, 40 of 100 rows)``."""
        facts = [] if self.progress is None else [f"{self.progress} %"]
        counts = self.counts or {}
        if counts.get("processed") is not None and counts.get("total") is not None:
            facts.append(f"{counts['processed']} of {counts['total']} rows")
        if counts.get("failed"):
            facts.append(f"{counts['failed']} failed")
        if self.detail:
            facts.append(self.detail)
        return repr(self.vendor_status) + (f" ({', '.join(facts)})" if facts else "")


def job_result(job_id: str, status: JobStatus | None) -> dict[str, Any]:
    """Return what a sensor returns of a job: only its id if no poll has found a status."""
    return {**dict.fromkeys(_PLAIN_TYPES), "job_id": job_id} if status is None else status.as_dict()


#: What :meth:`JobStatus.as_dict` makes of each field.
_PLAIN_TYPES: dict[str, tuple[type, ...]] = {
    "job_id": (str,),
    "vendor": (str,),
    "state": (str,),
    "vendor_status": (str,),
    "detail": (str, NoneType),
    "progress": (int, float, NoneType),
    "counts": (Mapping, NoneType),
    "created_at": (str, NoneType),
    "completed_at": (str, NoneType),
}


class Listed(NamedTuple):
    """
    A job in a vendor's list.

    :param word: the vendor's.
    :param progress: whole percent, or None.
    """

    word: str
    progress: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A vendor's list of jobs.

    :param jobs: by the key that names a job in the list. A job that is listed twice is left out.
    :param requests: how many requests the list took.
    """

    jobs: Mapping[str, Listed]
    requests: int = 1

    @classmethod
    def of(cls, entries: Iterable[tuple[str, Listed]], requests: int = 1) -> Listing:
        """Return a listing without the jobs that are listed twice."""
        entries = list(entries)
        times = Counter(key for key, _ in entries)
        return cls({key: listed for key, listed in entries if times[key] == 1}, requests)


class StatusTable:
    """
    A vendor's words and what they mean. Words are compared without the case of ASCII letters and without
    surrounding white space. Letters that only Unicode takes for the same make another word.

    :param words: vendor word to state.
    """

    def __init__(self, words: Mapping[str, JobState]) -> None:
        self._states = {self._key(word): state for word, state in words.items()}

    def merged(self, words: Mapping[str, JobState]) -> StatusTable:
        """Return a table in which ``words`` win over this one's."""
        return StatusTable({**self._states, **{self._key(word): state for word, state in words.items()}})

    def state(self, word: str) -> JobState | None:
        """Return the state that ``word`` means, or None if it is not known."""
        # As most replies spell it, before the spelling is looked at.
        return self._states.get(word) or self._states.get(self._key(word))

    @staticmethod
    def _key(word: str) -> str:
        return word.strip().translate(_SMALL)


def text_or_none(value: object) -> str | None:
    """
    Return a vendor's free text, cleaned, or None if there is none.

    It is cut to what is shown only after our secrets are taken out: a cut could leave the beginning of one.
    """
    if value is None:
        return None
    return clean(value, 2 * STORED_TEXT_LIMIT) or None


def whole_percent(value: object) -> int | None:
    """Return a progress figure as 0 to 100, or None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # isfinite() refuses an int that is no float any more.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(min(max(value, 0), 100))


def row_counts(**values: object) -> dict[str, int | None] | None:
    """Return counts under :data:`COUNT_KEYS`, None for what is no whole number, also as text or
    with a fraction of zero; None if none is."""
    counts = {key: _count(values.get(key)) for key in COUNT_KEYS}
    return counts if any(count is not None for count in counts.values()) else None


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INT:
        return None
    return value


def utc_time(value: object) -> str | None:
    """
    Return a vendor's time as ISO 8601 with offset, or None for what is no time. A time without offset is UTC.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        return None
