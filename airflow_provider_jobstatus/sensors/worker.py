"""What a wait on the worker stands on: the vendor, and a memory between two pokes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.poller import JobPoller

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.transports.blocking import BlockingClient

MEMORY_KEY = "airflow_provider_jobstatus.wait"

log = logging.getLogger(__name__)


class Vendor:
    """
    The vendor as the worker sees it: the connection read once, and again after a refusal.

    :param conn_id: of the connection.
    """

    def __init__(self, conn_id: str) -> None:
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
        """
        flow = self._ready_hook().status_flow(job_id)
        next(flow)
        flow.close()

    def caveats(self) -> Iterator[str]:
        """Yield what a person should know before a wait on this connection."""
        return self._ready_hook().caveats()

    def forget_settings(self) -> None:
        """Read the connection again before the next question: its key may have been rotated."""
        self._hook = None

    def ask(self, job_id: str) -> JobStatus | VendorError | SettingsError:
        """Return the job's status, or why there is none; an Airflow that is away is an outage, too."""
        try:
            hook = self._ready_hook()
        except SettingsError as error:
            return error
        except (AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
            reason = f"connection {self._conn_id!r} cannot be read ({type(error).__name__})"
            return TransportError(reason, vendor="Airflow")
        try:
            if self._client is None:
                self._client = self._stack.enter_context(hook.connect())
            return self._client.run(hook.job_status_flow(job_id))
        except (VendorError, SettingsError) as error:
            return error

    def _ready_hook(self) -> BatchJobHook:
        if self._hook is None:
            from airflow_provider_jobstatus.hooks.connections import read_connection
            from airflow_provider_jobstatus.hooks.registry import hook_for

            self._hook = hook_for(read_connection(self._conn_id))
        return self._hook


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
        self._jobs: dict[str, Any] = (
            kept["jobs"] if isinstance(kept, dict) and kept.get("try") == self._try else {}
        )

    def of(self, job_id: str) -> dict[str, Any]:
        """Return what is remembered of one job."""
        known: dict[str, Any] = self._jobs.get(job_id, {})
        return known

    def keep(self, pollers: list[JobPoller], statuses: bool) -> None:
        """
        Remember what later pollers need.

        :param statuses: whether they need to know what was seen last.
        """
        jobs = {}
        for poller in pollers:
            memory = poller.memory()
            if statuses and poller.last_status is not None:
                memory["status"] = poller.last_status.as_dict()
            if memory:
                jobs[poller.job_id] = memory
        if self._store is not None and (jobs or self._jobs):
            self._store.set(MEMORY_KEY, {"try": self._try, "jobs": jobs})
        if self._says_so:
            log.warning(
                "In reschedule mode Airflow below 3.3 keeps no memory between two pokes: an outage ends at"
                " timeout, not after max_outage. With deferrable=True it ends as it should."
            )
