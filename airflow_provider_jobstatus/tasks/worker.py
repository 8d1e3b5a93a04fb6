"""The session of a wait on a worker with the vendor."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from time import sleep
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.clock import steady_clock
from airflow_provider_jobstatus.core.errors import (
    SettingsError,
    TransportError,
    VendorError,
    unreadable,
)
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE, Refusals
from airflow_provider_jobstatus.waiting.session_policy import Keys, Session, SessionPolicy
from airflow_provider_jobstatus.waiting.spec import LAST_POLL_PATIENCE
from airflow_provider_jobstatus.waiting.throttle import Throttle

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider_jobstatus.core.operation import Operation
    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.transports.blocking import BlockingClient

log = logging.getLogger(__name__)


class WorkerSession:
    """
    A connection as one wait on a worker sees it, by the rules of ``waiting/session_policy.py``.

    :param conn_id: of the connection.
    :param memory: what :meth:`memory` of an earlier session of the same wait returned; None for the first
        one. In a later one, a connection that cannot be read is an outage.
    :param now: clock of the wait, in epoch seconds; one that the wall clock does not move by default.
    :param pause: sleeps for some seconds.

    :ivar account: digest of the account that the jobs are of; empty if the connection was not read yet.
    """

    def __init__(
        self,
        conn_id: str,
        memory: Mapping[str, Any] | None = None,
        now: Callable[[], float] | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self.conn_id = conn_id
        self.now = now or steady_clock()
        self.pause = pause or sleep
        self._known = memory is not None
        memory = memory or {}
        self.account = str(memory.get("account", ""))
        self._remembered = memory.get("refusals")
        self._keys = Keys(self._remembered)
        # Each reading may take its time, and a list may have many jobs.
        lost = unreadable(conn_id, "takes too long")
        self._policy: SessionPolicy[Session[BatchJobHook]] = SessionPolicy(lost, failed_age=REFUSED_AGE)
        self._session: Session[BatchJobHook] | None = None
        self._stack = ExitStack()
        self._operations_of: BatchJobHook | None = None
        self._operations: dict[str, Operation[JobStatus]] = {}
        self._client: BlockingClient | None = None
        self._client_kind: tuple[str | None, float] | None = None

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
                flow = self._operation(self.hook, job_id).flow()
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
        return self._ready().hook

    @property
    def refusals(self) -> Refusals:
        """Refusals of the settings in use; none before they have been read."""
        return Refusals() if self._session is None else self._session.refusals

    def memory(self) -> dict[str, Any]:
        """Return plain JSON by which a later session of the same wait goes on."""
        refusals = self._remembered if self._session is None else self._session.memory()
        return {"account": self.account} | ({} if refusals is None else {"refusals": refusals})

    def forget_settings(self) -> None:
        """Read the connection again before the next request: its key may have been rotated."""
        self._policy.forget(self._session)

    def ask(self, job_id: str, deadline_at: float = math.inf) -> JobStatus | VendorError | SettingsError:
        """
        Return the job's status, or why there is none; if Airflow cannot be reached, that is an outage, too.

        Waits for its turn in the rate of the key. Nothing is sent later than a minute after the deadline.

        :param deadline_at: of the wait.
        """
        try:
            session = self._ready()
        except (SettingsError, VendorError) as error:
            return error
        key, refusals = session.key, session.refusals
        if (stopped := key.refusal(self.now(), self.conn_id)) is not None:
            return stopped
        if (held := refusals.hold(job_id, self.now(), self.conn_id)) is not None:
            return held
        if (reason := self._too_late(key.throttle, deadline_at)) is not None:
            late = TransportError(reason, vendor=session.hook.conn_type)
            late.asked, late.conn_id = False, self.conn_id
            return late
        refusals.asks(job_id)
        answer: JobStatus | VendorError | SettingsError | None = None
        sent_at = self.now()
        try:
            hook = session.hook
            answer = hook.call(self._operation(hook, job_id), self._client_of(hook))
        except (VendorError, SettingsError) as error:
            answer = error
        finally:
            refusals.observe(job_id, answer, self.now())
        if not isinstance(answer, SettingsError):
            key.observe(answer if isinstance(answer, VendorError) else None, sent_at, self.now())
        return answer

    def _operation(self, hook: BatchJobHook, job_id: str) -> Operation[JobStatus]:
        """Return the operation for a job's status; its id is parsed once. :raises SettingsError: unusable."""
        if self._operations_of is not hook:
            self._operations_of, self._operations = hook, {}
        if job_id not in self._operations:
            self._operations[job_id] = hook.status_operation(hook.parse_job_id(job_id))
        return self._operations[job_id]

    def _too_late(self, throttle: Throttle, deadline_at: float) -> str | None:
        """Wait until the rate allows a request. Returns why none is sent, if it is too late by then."""
        latest_at = deadline_at + LAST_POLL_PATIENCE
        reason = "was not asked in time, as other polls took too long"
        while (delay := throttle.delay(self.now())) > 0.0:
            left, reason = latest_at - self.now(), "was not asked in time, as its rate was used up"
            if left <= 0.0:
                return reason
            self.pause(min(delay, left))
        if self.now() > latest_at:
            return reason
        throttle.take(self.now())
        return None

    def _client_of(self, hook: BatchJobHook) -> BlockingClient:
        if self._client is None or self._client_kind != hook.client_kind:
            self._stack.close()
            self._client = None
            self._client = self._stack.enter_context(hook.connect())
            self._client_kind = hook.client_kind
        return self._client

    def _ready(self) -> Session[BatchJobHook]:
        """
        Return the session to use now; the connection is read if need be.

        :raises SettingsError: it cannot be used, or leads to another account than at the beginning.
        :raises TransportError: it cannot be read.
        """
        session = self._policy.usable(self.now(), refused=self.refusals.active) or self._load()
        session.hook.check_account(self.account)
        self.account = session.hook.account_digest
        return session

    def _load(self) -> Session[BatchJobHook]:
        # Loads Airflow and other providers' code, which must not find this package half imported.
        from airflow_provider_jobstatus.hooks.registry import hook_for

        policy = self._policy
        if (known := policy.failure(self.now())) is not None:
            raise known
        policy.begin(self.now())
        try:
            hook = hook_for(self._connection())
            _ = hook.account_digest
        except (SettingsError, VendorError) as error:
            if (line := policy.failed(error, policy.lookups, self.now())) is not None:
                log.warning(line)
            if policy.current is None:
                raise
            return policy.current
        self._session = self._keys.session(hook, policy.current)
        policy.loaded(self._session, policy.lookups, self.now())
        return self._session

    def _connection(self) -> Connection:
        from airflow_provider_jobstatus.hooks.connection_lookup import read_connection

        try:
            connection = read_connection(self.conn_id)
        except SettingsError:
            if not self._known:
                raise
            raise unreadable(self.conn_id, "not defined") from None
        self._known = True
        return connection
