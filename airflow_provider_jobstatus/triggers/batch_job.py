"""Wait for jobs in the triggerer."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_jobstatus.core.clock import steady_clock
from airflow_provider_jobstatus.core.errors import SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.poller import JobPoller
from airflow_provider_jobstatus.core.wait import JobEvent, Outcome, WaitPlan
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connections import aread_connection, hook_for

#: Version of the trigger's arguments and of its event.
VERSION = 1
#: Calls of one trigger that are under way at once.
MAX_CALLS = 10


class BatchJobTrigger(BaseTrigger):
    """
    Asks for the status of jobs until each has ended, then fires one event.

    Airflow stores the arguments readable, so they name a connection and jobs, and hold no secret. The
    constructor only stores them, and takes ones that it does not know: an exception here would end the whole
    triggerer.

    Reading is all it does, so that it does no harm if two triggerers run it for a while.

    :param conn_id: connection of a type whose hook is a ``BatchJobHook``.
    :param job_ids: of jobs at that vendor.
    :param poll_interval: seconds between two polls of a running job.
    :param started_at: of the first look, on the worker; epoch seconds, as all points in time here.
    :param first_poll_at: of this trigger's first poll; the following lie on a grid from there.
    :param deadline_at: of the last look.
    :param max_outage: seconds without a usable answer after which the wait is given up; None for never.
    :param exponential_backoff: double the interval after each poll of a running job.
    :param max_wait: longest interval that doubling leads to, in seconds; None for any.
    :param version: of these arguments.

    The event is ``{"version": 1, "jobs": [...]}`` with one
    :class:`~airflow_provider_jobstatus.core.poller.JobEvent` a job, in the order of ``job_ids``.
    """

    def __init__(
        self,
        conn_id: str = "",
        job_ids: list[str] | None = None,
        poll_interval: float = 60.0,
        started_at: float = 0.0,
        first_poll_at: float = 0.0,
        deadline_at: float = 0.0,
        max_outage: float | None = 3600.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        version: int = VERSION,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.job_ids = job_ids
        self.poll_interval = poll_interval
        self.started_at = started_at
        self.first_poll_at = first_poll_at
        self.deadline_at = deadline_at
        self.max_outage = max_outage
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.version = version

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, no secret."""
        return (
            "airflow_provider_jobstatus.triggers.batch_job.BatchJobTrigger",
            {
                "conn_id": self.conn_id,
                "job_ids": self.job_ids,
                "poll_interval": self.poll_interval,
                "started_at": self.started_at,
                "first_poll_at": self.first_poll_at,
                "deadline_at": self.deadline_at,
                "max_outage": self.max_outage,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "version": self.version,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for every job, then yield the one event."""
        try:
            events = await self._wait()
        except Exception:
            # The outer boundary: an exception that left here would make Airflow run the task's execute()
            # again.
            self.log.exception("The wait was ended by a fault of this provider")
            message = "a fault of this provider ended the wait; its traceback is in the trigger's log"
            events = [JobEvent(job_id, Outcome.CRASHED, None, message) for job_id in self.job_ids or ()]
        payload = {"version": VERSION, "jobs": [event.as_dict() for event in events]}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def _wait(self) -> list[JobEvent]:
        job_ids = self.job_ids or []
        if self.version != VERSION:
            message = (
                f"this triggerer's airflow-provider-jobstatus does not know waits of version {self.version}; "
                "install the same version everywhere"
            )
            return [JobEvent(job_id, Outcome.BAD_SETTINGS, None, message) for job_id in job_ids]
        plan = WaitPlan(
            poll_interval=self.poll_interval,
            started_at=self.started_at,
            first_poll_at=self.first_poll_at,
            deadline_at=self.deadline_at,
            max_outage=self.max_outage,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
        )
        now = steady_clock()
        free = asyncio.Semaphore(MAX_CALLS)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            vendor = _Vendor(self.conn_id, stack)
            pollers = [JobPoller(job_id, plan, now()) for job_id in job_ids]
            waits = [group.create_task(self._wait_for(poller, vendor, free, now)) for poller in pollers]
        return [wait.result() for wait in waits]

    async def _wait_for(
        self, poller: JobPoller, vendor: _Vendor, free: asyncio.Semaphore, now: Callable[[], float]
    ) -> JobEvent:
        while poller.event is None:
            await sleep(max(poller.next_poll_at - now(), 0.0))
            if not poller.may_ask(now()):
                continue
            if poller.reconnect:
                poller.reconnect = False
                vendor.forget_settings()
            async with free:
                answer = await vendor.ask(poller.job_id)
            if news := poller.observe(answer, now()):
                self.log.warning(news)
        return poller.event


class _Vendor:
    """
    The vendor as one trigger sees it: the connection read once, and again after a refusal.

    :param conn_id: of the connection.
    :param stack: closes the session.
    """

    def __init__(self, conn_id: str, stack: AsyncExitStack) -> None:
        self._conn_id = conn_id
        self._stack = stack
        self._lock = asyncio.Lock()
        self._hook: BatchJobHook | None = None
        self._client: Any = None

    def forget_settings(self) -> None:
        """Read the connection again before the next question: its key may have been rotated."""
        self._hook = None

    async def ask(self, job_id: str) -> JobStatus | VendorError | SettingsError:
        """Return the job's status, or why there is none."""
        try:
            hook = await self._ready_hook()
            status: JobStatus = await self._client.run(hook.job_status_flow(job_id))
        except (VendorError, SettingsError) as error:
            return error
        return status

    async def _ready_hook(self) -> BatchJobHook:
        async with self._lock:
            if self._hook is None:
                try:
                    connection = await aread_connection(self._conn_id)
                except (SettingsError, AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
                    # It could be read when the wait began: a secrets backend or the API server is away.
                    reason = f"connection {self._conn_id!r} cannot be read ({type(error).__name__})"
                    raise TransportError(reason, vendor="Airflow") from None
                # Imports code, and its first use of Airflow's registry takes half a second.
                hook = await asyncio.to_thread(hook_for, connection)
                if self._client is None:
                    self._client = await self._stack.enter_async_context(hook.aconnect())
                self._hook = hook
            return self._hook
