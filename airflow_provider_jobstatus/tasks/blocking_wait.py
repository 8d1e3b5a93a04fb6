"""A wait on a worker: its first polls, and with ``deferrable=False`` all of it."""

from __future__ import annotations

import heapq
from http import HTTPStatus

from airflow_provider_jobstatus.core.errors import AccessDenied
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.tasks.task_state import TaskState
from airflow_provider_jobstatus.tasks.worker import WorkerSession
from airflow_provider_jobstatus.waiting.completion import durations_of
from airflow_provider_jobstatus.waiting.failed_polls import RECONNECT_DELAY
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.refusals import FORBIDDEN_ALIKE
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.status_lines import StatusLines, sign, told_until
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED, HasLog, WaitLog


class BlockingWait:
    """
    Polls jobs until the wait for them is over.

    :param spec: of the wait.
    :param ids: of the jobs.
    :param session: with the vendor; its clock and its pauses are those of the wait.
    :param owner: of the log that the wait is written into, such as a task.
    :param state: what a rescheduled wait remembers between two pokes; None for a wait that is one call.

    :ivar pollers: of the jobs.
    :ivar causes: by job id, the exception behind what became of it.
    """

    def __init__(
        self,
        spec: WaitSpec,
        ids: list[str],
        session: WorkerSession,
        owner: HasLog,
        state: TaskState | None = None,
    ) -> None:
        self.spec = spec
        self.causes: dict[str, Exception] = {}
        self._session = session
        self._now = session.now
        # A poke may come late. Its polls have a minute to begin, as those of a triggerer that takes over.
        self._deadline_at = max(spec.deadline_at, self._now())
        self._later = state is not None and state.later
        self._wait_log = WaitLog(owner, len(ids))
        self._status_lines = StatusLines(spec.started_at, self._told_at(state))
        self.pollers = [
            JobPoller(
                job_id,
                spec,
                self._now(),
                state.of(job_id) if state else None,
                durations=durations_of(session.conn_id, job_id),
            )
            for job_id in ids
        ]
        for poller in self.pollers:
            if self._later and (seen := poller.known_status) is not None and seen.state.terminal:
                # As in one long call: what has ended is not polled again, and may be gone by now.
                poller.event = WaitOutcome(poller.job_id, OutcomeKind.FINISHED, seen)

    def run(self) -> list[WaitOutcome]:
        """Poll every job until the wait is over, and return how it ended for each."""
        if waiting := self.poll_each():
            self._poll_to_the_end(waiting)
        return self.events()

    def poll_each(self) -> list[JobPoller]:
        """Poll every job once that may be polled, and return the pollers of those to go on with."""
        # A refused key is tried with one job after the other: first with the one polled longest ago.
        for poller in sorted(self._waiting(), key=lambda poller: poller.polled_at or 0.0):
            if self._poll_first(poller):
                return []
        waiting = self._waiting()
        if waiting and len(self.pollers) > MAX_DETAILED and not self._later:
            # Of a few jobs, there is a line for each.
            self._wait_log.sign(sign(self.pollers, self._now()))
        return waiting

    def first_waiting(self) -> JobPoller | None:
        """Poll jobs until one has not ended yet, and return it; None if the wait is over before."""
        for poller in self.pollers:
            if self._poll_first(poller):
                return None
            if poller.event is None:
                return poller
        return None

    def events(self) -> list[WaitOutcome]:
        """Return how the wait ended for each job. Jobs that have not ended are waited for no longer."""
        for poller in self._waiting():
            poller.leave()
        return [poller.event for poller in self.pollers if poller.event is not None]

    def seen(self) -> list[JobStatus | None]:
        """Return what the vendor said last of each job."""
        return [poller.event.status if poller.event else poller.known_status for poller in self.pollers]

    def give_sign(self) -> float:
        """Write that the wait goes on, if that is due; return until when that has been done."""
        if self._status_lines.due(self.pollers, self._now()):
            self._wait_log.sign(sign(self.pollers, self._now()))
        return self._status_lines.told_at

    def _waiting(self) -> list[JobPoller]:
        return [poller for poller in self.pollers if poller.event is None]

    def _told_at(self, state: TaskState | None) -> float:
        """Return until when signs of life have been given."""
        started_at = self.spec.started_at
        if state is None or not state.later:
            return started_at
        if state.lasts:
            return state.told_at or started_at
        return told_until(started_at, self._now(), self.spec.poll_interval)

    def _poll_first(self, poller: JobPoller) -> bool:
        """Poll a job if that may be done now, and return whether the wait is over."""
        if poller.may_ask(self._now()) and poller.not_before <= self._now():
            self._poll(poller)
        return self._over(poller)

    def _poll_to_the_end(self, waiting: list[JobPoller]) -> None:
        queue = [(poller.next_poll_at, number, poller) for number, poller in enumerate(waiting)]
        heapq.heapify(queue)
        while queue:
            _, number, poller = heapq.heappop(queue)
            self._session.pause(max(poller.next_poll_at - self._now(), 0.0))
            if poller.may_ask(self._now()):
                self._poll(poller)
            if self._over(poller):
                return
            if poller.event is None:
                heapq.heappush(queue, (poller.next_poll_at, number, poller))
                self.give_sign()

    def _poll(self, poller: JobPoller) -> None:
        """Poll once; after a refusal once more, with settings read again."""
        while True:
            answer = self._session.ask(poller.job_id, self._deadline_at)
            if isinstance(answer, Exception):
                self.causes[poller.job_id] = answer
            self._wait_log.tell(poller.observe(answer, self._now()))
            if not poller.reconnect:
                return
            poller.reconnect = False
            self._session.forget_settings()
            if poller.not_before > self._now() + RECONNECT_DELAY:
                # The refusal says when to try again.
                return
            self._session.pause(max(poller.next_poll_at - self._now(), 0.0))

    def _over(self, poller: JobPoller) -> bool:
        """Return whether the wait is over for all, as it may be once a job has ended."""
        if poller.event is None:
            return False
        self._wait_log.ended(poller.event)
        self._session.refusals.forget(poller.job_id)
        if poller.event.outcome is OutcomeKind.BAD_SETTINGS:
            return True
        return self._credentials_refused(poller) or self.spec.decided_by(poller.event)

    def _credentials_refused(self, poller: JobPoller) -> bool:
        """Return whether every other job would be refused as well."""
        refusal = self.causes.get(poller.job_id)
        if not isinstance(refusal, AccessDenied) or any(other.known_status for other in self.pollers):
            return False
        alike = sum(isinstance(cause, AccessDenied) for cause in self.causes.values())
        return refusal.status != HTTPStatus.FORBIDDEN or alike >= FORBIDDEN_ALIKE
