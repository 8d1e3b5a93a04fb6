"""Wait for batch jobs, at any vendor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseSensorOperator, conf

from airflow_provider_jobstatus import arguments
from airflow_provider_jobstatus._compat import (
    AirflowRescheduleException,
    TaskDeferralError,
    TaskDeferralTimeout,
)
from airflow_provider_jobstatus.core.clock import steady_clock
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import job_ids
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.poller import JobPoller
from airflow_provider_jobstatus.core.wait import JobEvent, Outcome, WaitPlan
from airflow_provider_jobstatus.exceptions import BadSettings, BadTriggerEvent, JobTimedOut
from airflow_provider_jobstatus.sensors.settle import Policy, read_event
from airflow_provider_jobstatus.sensors.worker import Memory, Vendor

if TYPE_CHECKING:
    from airflow.sdk import Context

#: A trigger that fires at once loses tasks to a race in Airflow's scheduler, so its first poll waits this
#: long.
MIN_DEFERRAL = 5.0
#: Airflow's own time-out of a deferral comes this much after ours, in case the triggerer is away.
BACKSTOP = 300.0
#: Shortest interval between two polls of a job, in seconds.
MIN_POLL_INTERVAL = 1.0


class BatchJobSensor(BaseSensorOperator):
    """
    Wait until batch jobs have ended, at whatever vendor the connection is of.

    The vendor is known by the connection's type. The first look is taken on the worker: a job that has ended
    already costs no wait, and unusable settings, a malformed id or refused credentials fail there. With
    ``deferrable=True`` the rest of the wait runs in the triggerer and holds no worker slot. A question that
    brings no answer is never taken for a failed job: the wait goes on, see ``max_outage``.

    :param conn_id: (templated) connection of one of this provider's types, or of any whose hook is a
        ``BatchJobHook``.
    :param job_id: (templated) one id or a list: literal, template (the text of a list is read as that list),
        output of another task, also of mapped ones, or the dict that an earlier sensor returned.
    :param allowed_states: terminal states that count as success. A ``partial`` job, which passes by default,
        is logged as a warning; ``("succeeded",)`` is strict.
    :param skipped_states: terminal states that skip the task. Any other terminal state fails it.
    :param max_outage: seconds or timedelta without one usable answer after which the wait is given up.
        Default one hour.
    :param deferrable: wait in the triggerer. Default: Airflow's ``[operators] default_deferrable``.
    :param poke_interval: seconds or timedelta between two polls of a running job, at least one second.
        Default 60.
    :param timeout: seconds or timedelta from the first look to the deadline, at least ``poke_interval``.
        Default: Airflow's ``[sensors] default_timeout``. At the deadline the vendor is asked one last time.
    :param mode: ``"poke"`` or ``"reschedule"``, for ``deferrable=False``.
    :param soft_fail: a time-out skips the task instead of failing it; a failed job still fails it.
    :param never_fail: whatever would fail the task skips it.
    :param silent_fail: never give up because of an outage, as if ``max_outage`` were endless.
    :param exponential_backoff: double the interval after each poll, up to ``max_wait``.

    :return: a dict a job: ``{"job_id", "vendor", "state", "vendor_status", "detail", "progress", "counts",
        "created_at", "completed_at"}``; for a list of ids a list in the same order. Times are ISO 8601 with
        offset or None, ``progress`` is a whole percent or None, ``counts`` is ``{"total", "processed",
        "succeeded", "failed"}`` or None.

    :raises JobFailed, JobCancelled: the vendor says so. A retry asks again, and gets the same answer.
    :raises JobTimedOut: Airflow does not retry.
    :raises PollingFailed: no usable answer for ``max_outage``. A retry asks again.
    :raises UnknownJob: 404 for two minutes. A retry asks again.
    :raises VendorRefused: credentials, permission, spent licence. A retry asks again.
    :raises BadTriggerEvent: the triggerer failed, or is of another version. A retry asks again.
    :raises BadSettings: connection, job id or arguments; Airflow does not retry. What can be known when the
        DAG is parsed fails there.
    """

    template_fields: Sequence[str] = ("conn_id", "job_id")
    ui_color = "#dfeef5"

    def __init__(
        self,
        *,
        conn_id: str,
        job_id: Any,
        allowed_states: Iterable[str] = ("succeeded", "partial"),
        skipped_states: Iterable[str] = (),
        max_outage: timedelta | float = timedelta(minutes=60),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 60,
        timeout: timedelta | float | None = None,
        max_wait: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        arguments.connection_id("conn_id", conn_id)
        arguments.jobs(job_id)
        arguments.flag("deferrable", deferrable)
        interval = arguments.seconds("poke_interval", poke_interval)
        if interval < MIN_POLL_INTERVAL:
            warnings.warn(
                f"poke_interval {interval:g} s counts as {MIN_POLL_INTERVAL:g} s", UserWarning, stacklevel=2
            )
            interval = MIN_POLL_INTERVAL
        if timeout is not None:
            # None is no timeout to Airflow 3.1.
            kwargs["timeout"] = arguments.seconds("timeout", timeout)
        longest = None if max_wait is None else arguments.seconds("max_wait", max_wait)
        super().__init__(poke_interval=interval, max_wait=longest, **kwargs)
        if self.timeout < interval:
            raise BadSettings(
                f"timeout is {self.timeout:g} s and poke_interval {interval:g} s, so the wait ends before "
                "its first poll; raise timeout or lower poke_interval"
            )
        self.conn_id = conn_id
        self.job_id = job_id
        self.allowed_states = arguments.terminal_states("allowed_states", allowed_states)
        self.skipped_states = arguments.terminal_states("skipped_states", skipped_states)
        if both := set(self.allowed_states) & set(self.skipped_states):
            raise BadSettings(f"{sorted(both)} stand in allowed_states and in skipped_states")
        self.max_outage = arguments.seconds("max_outage", max_outage)
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Look once, and wait for what has not ended yet."""
        try:
            ids, many = job_ids(self.job_id)
            causes: dict[str, Exception] = {}
            events = self._wait(ids, context, causes) if ids else []
        except SettingsError as error:
            self._policy.fail(BadSettings(str(error)), error)
        results = self._policy.settle(events, self.log, causes)
        return results if many else results[0]

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take over from the triggerer."""
        from airflow_provider_jobstatus.triggers.batch_job import VERSION

        try:
            ids, many = job_ids(self.job_id)
            events = read_event(event, ids, VERSION)
        except BadTriggerEvent as error:
            self._policy.fail(error)
        except SettingsError as error:
            self._policy.fail(BadSettings(str(error)), error)
        results = self._policy.settle(events, self.log)
        return results if many else results[0]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the deferral; what Airflow itself ends it with fails as it would in any other mode."""
        try:
            # Not BaseSensorOperator's, which lets soft_fail skip whatever is an exception of Airflow's.
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            self._policy.fail(JobTimedOut("the triggerer did not end the wait at its deadline"), error)
        except TaskDeferralError as error:
            reason = f"the trigger failed in the triggerer ({error}); is this provider installed there?"
            self._policy.fail(BadTriggerEvent(reason), error)

    @property
    def _policy(self) -> Policy:
        return Policy(
            allowed_states=frozenset(map(JobState, self.allowed_states)),
            skipped_states=frozenset(map(JobState, self.skipped_states)),
            soft_fail=self.soft_fail,
            never_fail=self.never_fail,
        )

    def _wait(self, ids: list[str], context: Context, causes: dict[str, Exception]) -> list[JobEvent]:
        now = steady_clock()
        first_look = now()
        plan = self._plan(context, first_look)
        memory = Memory(context) if self._reschedules else None
        pollers = [JobPoller(job_id, plan, now(), memory.of(job_id) if memory else None) for job_id in ids]
        with Vendor(self.conn_id) as vendor:
            for job_id in ids:
                vendor.check(job_id)
            if plan.started_at >= first_look:
                for caveat in vendor.caveats():
                    self.log.warning(caveat)
            for poller in pollers:
                if poller.may_ask(now()) and poller.not_before <= now():
                    self._look(poller, vendor, now, causes)
                if poller.event is None and self.deferrable:
                    self._defer(ids, plan, now())
                if poller.event and poller.event.outcome in (Outcome.REFUSED, Outcome.BAD_SETTINGS):
                    # The others would be refused as well.
                    return [poller.event]
            while waiting := [poller for poller in pollers if poller.event is None]:
                if memory is not None:
                    self._reschedule(waiting, memory)
                poller = min(waiting, key=lambda poller: poller.next_poll_at)
                sleep(max(poller.next_poll_at - now(), 0.0))
                if poller.may_ask(now()):
                    self._look(poller, vendor, now, causes)
        return [poller.event for poller in pollers if poller.event is not None]

    def _look(
        self, poller: JobPoller, vendor: Vendor, now: Callable[[], float], causes: dict[str, Exception]
    ) -> None:
        """Ask once; after a refusal once more, with settings read again."""
        while True:
            answer = vendor.ask(poller.job_id)
            if isinstance(answer, Exception):
                causes[poller.job_id] = answer
            if news := poller.observe(answer, now()):
                self.log.warning(news)
            if not poller.reconnect:
                return
            poller.reconnect = False
            vendor.forget_settings()
            sleep(max(poller.next_poll_at - now(), 0.0))

    @property
    def _reschedules(self) -> bool:
        return self.reschedule and not self.deferrable

    def _plan(self, context: Context, now: float) -> WaitPlan:
        started_at = now
        if self._reschedules and (first := context["ti"].get_first_reschedule_date(context)):
            started_at = first.timestamp()
        interval = max(self.poke_interval, MIN_DEFERRAL) if self.deferrable else self.poke_interval
        first_poll_at = started_at + interval
        deadline_at = started_at + self.timeout
        if self.deferrable and self.execution_timeout is not None:
            # Airflow does not enforce it while a task is deferred.
            deadline_at = min(deadline_at, now + self.execution_timeout.total_seconds())
        return WaitPlan(
            poll_interval=self.poke_interval,
            started_at=started_at,
            first_poll_at=first_poll_at,
            deadline_at=deadline_at,
            max_outage=None if self.silent_fail else self.max_outage,
            exponential_backoff=bool(self.exponential_backoff),
            max_wait=None if self.max_wait is None else self.max_wait.total_seconds(),
        )

    def _defer(self, ids: list[str], plan: WaitPlan, now: float) -> NoReturn:
        from airflow_provider_jobstatus.sensors.triggerer import triggerer_trouble
        from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger

        if trouble := triggerer_trouble():
            self.log.warning(trouble)
        left = min(max(plan.deadline_at - now, 0.0) + BACKSTOP, timedelta(days=3650).total_seconds())
        self.defer(
            trigger=BatchJobTrigger(
                conn_id=self.conn_id,
                job_ids=ids,
                poll_interval=plan.poll_interval,
                started_at=plan.started_at,
                first_poll_at=plan.first_poll_at,
                deadline_at=plan.deadline_at,
                max_outage=plan.max_outage,
                exponential_backoff=plan.exponential_backoff,
                max_wait=plan.max_wait,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=left),
        )

    def _reschedule(self, waiting: list[JobPoller], memory: Memory) -> NoReturn:
        memory.keep(waiting)
        at = max(min(poller.next_poll_at for poller in waiting), max(poller.not_before for poller in waiting))
        raise AirflowRescheduleException(datetime.fromtimestamp(at, UTC))  # type: ignore[no-untyped-call]
