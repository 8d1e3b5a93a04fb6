"""What a wait for several jobs is waiting for, and whose turn it is to be asked."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import JobEvent, Outcome, WaitFor


@dataclass(frozen=True, slots=True)
class Goal:
    """
    When a wait for several jobs is over.

    :param wait_for: ``"all"`` of the jobs have ended, or ``"any"`` of them well.
    :param fail_fast: whether one job that does not end well is the end.
    :param good_states: terminal states that are well.
    """

    wait_for: WaitFor = "all"
    fail_fast: bool = False
    good_states: frozenset[JobState] = frozenset({JobState.SUCCEEDED, JobState.PARTIAL})

    def decided_by(self, event: JobEvent) -> bool:
        """Return whether the wait is over for every job, now that one has ended so."""
        ended_well = (
            event.outcome is Outcome.FINISHED
            and event.status is not None
            and event.status.state in self.good_states
        )
        return ended_well if self.wait_for == "any" else self.fail_fast and not ended_well


class Queue:
    """
    Pollers in the order in which they are due.

    :param pollers: that still wait.
    """

    def __init__(self, pollers: Iterable[JobPoller]) -> None:
        self._heap = [(poller.next_poll_at, number, poller) for number, poller in enumerate(pollers)]
        self._pushed = len(self._heap)
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def pop(self) -> JobPoller:
        """Take out the one that is due first."""
        return heapq.heappop(self._heap)[2]

    def push(self, poller: JobPoller) -> None:
        """Put one back, to be asked again."""
        self._pushed += 1
        heapq.heappush(self._heap, (poller.next_poll_at, self._pushed, poller))
