"""What a wait on the worker stands on: the vendor, and a memory between two pokes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.refusals import REFUSED_AGE, Refusals
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.transports.blocking import BlockingClient

MEMORY_KEY = "airflow_provider_jobstatus.wait"

log = logging.getLogger(__name__)


class Vendor:
    """
    The vendor as the worker sees it: the connection read once, and again after a refusal.

    :param conn_id: of the connection.
    :param clock: seconds.
    :param account: digest of the account that the wait began with; empty for the one that is read first.
    :param refusals: what :meth:`Refusals.memory` of an earlier one returned.
    :param known: whether the connection was read before, so that one that cannot be read now is away.

    :ivar refusals: of the key.
    """

    def __init__(
        self,
        conn_id: str,
        clock: Callable[[], float] = time.monotonic,
        account: str = "",
        refusals: object = None,
        known: bool = False,
    ) -> None:
        self._known = known
        self._away: TransportError | None = None
        self._away_at = 0.0
        self.refusals = Refusals(refusals)
        self._refusals_of = ""
        self._account = account
        self._clock = clock
        self._read_at = 0.0
        self._conn_id = conn_id
        self._stack = ExitStack()
        self._hook: BatchJobHook | None = None
        self._client: BlockingClient | None = None

    def __enter__(self) -> Vendor:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check(self, job_id: str) -> None:
        """
        Take a first step on the way to a job's status, and send nothing.

        :raises SettingsError: the connection or the id cannot be used.
        :raises TransportError: the connection cannot be read.
        """
        flow = self._ready_hook().status_flow(job_id)
        next(flow)
        flow.close()

    @property
    def hook(self) -> BatchJobHook:
        """The hook of the connection. :raises SettingsError, TransportError: as :meth:`check`."""
        return self._ready_hook()

    @property
    def account(self) -> str:
        """Digest of the account that the jobs are of; empty if the connection was not read yet."""
        return self._account

    def forget_settings(self) -> None:
        """Read the connection again before the next question: its key may have been rotated."""
        self._hook = None

    def ask(self, job_id: str) -> JobStatus | VendorError | SettingsError:
        """Return the job's status, or why there is none; an Airflow that is away is an outage, too."""
        if self.refusals.active and self._clock() - self._read_at >= REFUSED_AGE - SAME_POINT:
            self.forget_settings()
        try:
            hook = self._ready_hook()
        except (SettingsError, VendorError) as error:
            return error
        if (held := self.refusals.hold(job_id, self._clock(), self._conn_id)) is not None:
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
            self.refusals.observe(job_id, answer, self._clock())
        return answer

    def _ready_hook(self) -> BatchJobHook:
        if self._hook is None:
            from airflow_provider_jobstatus.hooks.registry import hook_for

            hook = hook_for(self._connection())
            self._read_at = self._clock()
            hook.check_account(self._account)
            if self._refusals_of and self._refusals_of != hook.settings_digest:
                self.refusals = Refusals()
            self._account, self._refusals_of = hook.account_digest, hook.settings_digest
            self._hook = hook
        return self._hook

    def _connection(self) -> Connection:
        from airflow_provider_jobstatus.hooks.connection_lookup import read_connection, unreadable

        if self._away is not None and self._clock() - self._away_at < REFUSED_AGE:
            # Each try may take its time, and a list may have many jobs.
            raise self._away
        self._away = None
        try:
            connection = read_connection(self._conn_id)
        except SettingsError:
            if not self._known:
                raise
            self._away = unreadable(self._conn_id, "not defined")
        except TransportError as error:
            self._away = error
        if self._away is not None:
            self._away_at = self._clock()
            raise self._away
        self._known = True
        return connection


class Memory:
    """
    What a rescheduled wait remembers from one poke to the next, of failed polls, stalls, and of what was seen
    last: on Airflow 3.3 and later, which keep a task's state. Before, an outage in this mode ends with
    ``timeout``; the first poke says so.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")
        self._try = context["ti"].try_number
        # Once a wait: at its first poke.
        self._says_so = self._store is None and not context["ti"].get_first_reschedule_date(context)
        kept: Any = self._store.get(MEMORY_KEY) if self._store is not None else None
        # The store outlives a try; what an earlier one saw of the vendor is of no use to this one.
        self._kept: dict[str, Any] = kept if isinstance(kept, dict) and kept.get("try") == self._try else {}
        self._jobs: dict[str, Any] = self._kept.get("jobs", {})

    @property
    def account(self) -> str:
        """Digest of the account that the wait began with, or empty."""
        return str(self._kept.get("account", ""))

    @property
    def lasts(self) -> bool:
        """Whether Airflow keeps what is to be remembered."""
        return self._store is not None

    @property
    def told_at(self) -> float:
        """When the last sign of life was given; 0 if there was none."""
        return float(self._kept.get("told_at", 0.0))

    @property
    def refusals(self) -> object:
        """What is remembered of refused logins."""
        return self._kept.get("refusals")

    def of(self, job_id: str) -> dict[str, Any]:
        """Return what is remembered of one job."""
        return {**self._jobs.get(job_id, {}), "looked": bool(self._kept)}

    def keep(self, pollers: list[JobPoller], statuses: bool, vendor: Vendor, told_at: float) -> None:
        """
        Remember what later pokes need.

        :param statuses: whether they need to know what was seen last.
        :param told_at: up to when signs of life have been given.
        """
        jobs = {}
        for poller in pollers:
            memory = poller.memory()
            if statuses and poller.last_status is not None:
                memory["status"] = poller.last_status.as_dict()
            if memory:
                jobs[poller.job_id] = memory
        kept: dict[str, Any] = {"try": self._try, "jobs": jobs, "account": vendor.account}
        if (refusals := vendor.refusals.memory()) is not None:
            kept["refusals"] = refusals
        if told_at > pollers[0].plan.started_at:
            kept["told_at"] = told_at
        if self._store is not None and kept != self._kept:
            self._store.set(MEMORY_KEY, kept)
        if self._says_so:
            log.warning(
                "In reschedule mode Airflow below 3.3 keeps no memory between two pokes: an outage ends at"
                " timeout, not after max_outage, and a refused key ends the wait at once, without a grace."
                " With deferrable=True both end as they should."
            )
