"""What a wait writes into its log: each change of a few jobs, and a summary of what happens to many."""

from __future__ import annotations

from typing import Any, Protocol

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.waiting.outcome import LogEntry, OutcomeKind, WaitOutcome

#: More jobs than these are summed up: a line each would be ten thousand lines.
MAX_DETAILED = 16


class HasLog(Protocol):
    """Owner of a log, such as a task or a trigger."""

    @property
    def log(self) -> Any:
        """The log, with ``info`` and ``warning``."""


class WaitLog:
    """
    Writes one log.

    :param owner: of the ``log``, such as a task. Its ``log`` is read when there is a line to write: a trigger
        makes its own only then, and many never need one.
    :param jobs: how many there are.
    """

    def __init__(self, owner: HasLog, jobs: int) -> None:
        self._owner = owner
        self._jobs = jobs
        self._kinds: dict[str, int] = {}
        self._ended = 0

    def tell(self, entry: LogEntry | None) -> None:
        """
        Write what happened to one job; of many jobs only warnings and their ends, and of those alike ever
        fewer.
        """
        if entry is None:
            return
        write = self._owner.log.warning if entry.warning else self._owner.log.info
        if self._jobs <= MAX_DETAILED:
            write(entry.text)
        elif entry.warning or entry.kind == LogEntry.ANSWERS_AGAIN:
            times = self._kinds[entry.kind] = self._kinds.get(entry.kind, 0) + 1
            # The first, second, fourth, eighth of a kind.
            if times & (times - 1) == 0:
                write("%s (the like %d times so far, of %d jobs)", entry.text, times, self._jobs)

    def warn(self, text: str) -> None:
        """Write what concerns no single job."""
        self._owner.log.warning(text)

    def sign(self, text: str) -> None:
        """Write that the wait goes on."""
        self._owner.log.info(text)

    def ended(self, event: WaitOutcome) -> None:
        """
        Write that one of several jobs has ended; of many, each tenth end makes a line. What became of a
        single job is the task's own end.
        """
        status = event.status if event.outcome is OutcomeKind.FINISHED else None
        well = status is not None and status.state not in (JobState.FAILED, JobState.CANCELLED)
        if self._jobs > 1 and not (well and self._jobs > MAX_DETAILED):
            text = f"{event.job_id}: ended {status.describe()}" if status else event.message
            kind = f"ended {status.vendor_status}" if status else f"ended {event.outcome.value}"
            self.tell(LogEntry(event.job_id, kind, text, warning=not well))
        before, self._ended = self._ended, self._ended + 1
        if self._jobs > MAX_DETAILED and before * 10 // self._jobs < self._ended * 10 // self._jobs:
            self._owner.log.info("%d of %d jobs have ended", self._ended, self._jobs)
