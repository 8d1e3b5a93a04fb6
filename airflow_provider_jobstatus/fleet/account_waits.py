"""
The connection of the waits: when it is read, and what becomes of waits for another account than it leads to.

The third of the five layers of the :class:`~airflow_provider_jobstatus.fleet.scheduler.Scheduler`, whose
theory of operation stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError, unreadable
from airflow_provider_jobstatus.fleet.actions import LoadConnection
from airflow_provider_jobstatus.fleet.job_places import NOW
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.fleet.waits import Waits
from airflow_provider_jobstatus.fleet.watched_job import WatchedJob
from airflow_provider_jobstatus.waiting.poller import JobPoller


class AccountWaits(Waits):
    """
    The waits on one connection, and the account to which it leads.

    :param conn_id: of the connection.
    """

    def loaded(self, session: VendorSession, attempt: int, now: float) -> None:
        """Take in the connection as it was read. The session is the same object while nothing has changed."""
        self.wake_at = NOW
        if self._policy.loaded(session, attempt, now):
            session.refusals.renew(self._last_start)
            self._do(len(self._jobs), self._place_all(session, now))

    def not_loaded(self, error: VendorError | SettingsError, attempt: int, now: float) -> str | None:
        """Take in why the connection was not read. Returns a line for the log, if there is one."""
        self.wake_at = NOW
        return self._policy.failed(error, attempt, now)

    @property
    def session(self) -> VendorSession | None:
        """What polls use; None if the connection must be read first."""
        return self._policy.current

    def _read_first(self, job: WatchedJob, now: float) -> float | None:
        """Read the connection again before a job is polled: it may lead to the account of a wait by now."""
        if self._policy.lookups > max(wait.lookups for wait in job.pollers.values()):
            self._deliver(job, unreadable(self._conn_id, "was changed, and is read again"), now)
            return None
        self._policy.expire()
        if (until := self._load(now)) > now:
            return until
        # The lookup that is under way takes long; the others go on with the settings of before.
        self._deliver(job, unreadable(self._conn_id, "takes too long"), now)
        return None

    def _load(self, now: float) -> float:
        """Read the connection, unless that is under way; return until when everything waits."""
        if (attempt := self._policy.begin(now)) is not None:
            self._out.append(LoadConnection(attempt))
        return self._policy.next_at

    @staticmethod
    def _strangers(pollers: Iterable[JobPoller], session: VendorSession) -> list[JobPoller]:
        """Return the pollers that are of another account than the settings in use lead to."""
        here = ("", session.hook.account_digest)
        return [poller for poller in pollers if poller.spec.account not in here]

    def _is_doubtful(self, job: WatchedJob, strangers: Iterable[JobPoller]) -> bool:
        """
        Return whether the connection may lead to the account of one of these pollers by now.

        Its lookup began before their wait.
        """
        return any(self._policy.found_by <= job.pollers[poller].lookups for poller in strangers)

    def _end_elsewhere(
        self, job: WatchedJob, strangers: Iterable[JobPoller], session: VendorSession, now: float
    ) -> None:
        """End the waits for a job that are of another account than the one that the connection leads to."""
        for poller in strangers:
            try:
                session.hook.check_account(poller.spec.account)
            except SettingsError as error:
                self._observe(job, poller, error, now)

    def _place_all(self, session: VendorSession, now: float) -> Iterator[None]:
        """Put each job where it belongs by settings that were read just now."""
        for job in list(self._jobs.values()):
            if self._jobs.get(job.job_id) is job and self._policy.current is session:
                strangers = self._strangers(job.awaited(now), session)
                if strangers and not self._is_doubtful(job, strangers):
                    self._end_elsewhere(job, strangers, session, now)
                self._place(job, session, now)
                if not job.pollers:
                    self._settle(job)
            yield
