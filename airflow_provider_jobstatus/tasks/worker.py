"""The session of a wait on a worker with the vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from time import sleep
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.clock import steady_clock
from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE, Refusals
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.transports.blocking import BlockingClient


class WorkerSession:
    """
    The vendor as the worker sees it: the connection read once, and again after a refusal.

    :param conn_id: of the connection.
    :param memory: what :meth:`memory` of an earlier session of the same wait returned; None for the first
        one. Later, a connection that cannot be read is away.
    :param now: clock of the wait, in epoch seconds; one that the wall clock does not move by default.
    :param pause: sleeps for some seconds.

    :ivar refusals: of the key.
    """

    def __init__(
        self,
        conn_id: str,
        memory: Mapping[str, Any] | None = None,
        now: Callable[[], float] | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self._known = memory is not None
        memory = memory or {}
        self._away: TransportError | None = None
        self._away_at = 0.0
        self.refusals = Refusals(memory.get("refusals"))
        self._refusals_of = ""
        self._account = str(memory.get("account", ""))
        self.now = now or steady_clock()
        self.pause = pause or sleep
        self._read_at = 0.0
        self.conn_id = conn_id
        self._stack = ExitStack()
        self._hook: BatchJobHook | None = None
        self._client: BlockingClient | None = None

    def __enter__(self) -> WorkerSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, ids: list[str]) -> BatchJobHook | None:
        """
        Read the connection and check the ids of the jobs, and send nothing.

        :return: the hook; None if the connection was known before and cannot be read now: the first poll says
            the same, as an outage.
        :raises SettingsError: the connection or an id cannot be used.
        :raises TransportError: the connection cannot be read.
        """
        known = self._known
        try:
            for job_id in ids:
                # The first step on the way to a job's status.
                flow = self.hook.status_flow(job_id)
                next(flow)
                flow.close()
            return self.hook
        except VendorError:
            if not known:
                raise
            return None

    @property
    def hook(self) -> BatchJobHook:
        """The hook of the connection. :raises SettingsError, TransportError: as :meth:`begin`."""
        return self._ready_hook()

    @property
    def account(self) -> str:
        """Digest of the account that the jobs are of; empty if the connection was not read yet."""
        return self._account

    def memory(self) -> dict[str, Any]:
        """Return plain JSON by which a later session of the same wait goes on."""
        refusals = self.refusals.memory()
        return {"account": self._account} | ({} if refusals is None else {"refusals": refusals})

    def forget_settings(self) -> None:
        """Read the connection again before the next question: its key may have been rotated."""
        self._hook = None

    def ask(self, job_id: str) -> JobStatus | VendorError | SettingsError:
        """Return the job's status, or why there is none; an Airflow that is away is an outage, too."""
        if self.refusals.active and self.now() - self._read_at >= REFUSED_AGE - SAME_POINT:
            self.forget_settings()
        try:
            hook = self._ready_hook()
        except (SettingsError, VendorError) as error:
            return error
        if (held := self.refusals.hold(job_id, self.now(), self.conn_id)) is not None:
            return held
        self.refusals.asks(job_id)
        answer: JobStatus | VendorError | SettingsError | None = None
        try:
            if self._client is None:
                self._client = self._stack.enter_context(hook.connect())
            answer = self._client.run(hook.job_status_flow(job_id))
        except (VendorError, SettingsError) as error:
            answer = error
        finally:
            self.refusals.observe(job_id, answer, self.now())
        return answer

    def _ready_hook(self) -> BatchJobHook:
        if self._hook is None:
            from airflow_provider_jobstatus.hooks.registry import hook_for

            hook = hook_for(self._connection())
            self._read_at = self.now()
            hook.check_account(self._account)
            if self._refusals_of and self._refusals_of != hook.settings_digest:
                self.refusals = Refusals()
            self._account, self._refusals_of = hook.account_digest, hook.settings_digest
            self._hook = hook
        return self._hook

    def _connection(self) -> Connection:
        from airflow_provider_jobstatus.hooks.connection_lookup import read_connection, unreadable

        if self._away is not None and self.now() - self._away_at < REFUSED_AGE:
            # Each try may take its time, and a list may have many jobs.
            raise self._away
        self._away = None
        try:
            connection = read_connection(self.conn_id)
        except SettingsError:
            if not self._known:
                raise
            self._away = unreadable(self.conn_id, "not defined")
        except TransportError as error:
            self._away = error
        if self._away is not None:
            self._away_at = self.now()
            raise self._away
        self._known = True
        return connection
