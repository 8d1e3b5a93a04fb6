"""The part of a wait that a worker does: its beginning, its end, and all of it with ``deferrable=False``."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import sleep
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.core.clock import steady_clock
from airflow_provider_jobstatus.core.errors import AccessDenied, VendorError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.tasks.deferral import reschedule_warning
from airflow_provider_jobstatus.tasks.final_progress import show
from airflow_provider_jobstatus.tasks.worker import Memory, Vendor
from airflow_provider_jobstatus.waiting.adaptive import FLOOR_SHARE
from airflow_provider_jobstatus.waiting.poller import RECONNECT_DELAY, JobPoller
from airflow_provider_jobstatus.waiting.progress import summary
from airflow_provider_jobstatus.waiting.refusals import ASK_PAUSE, FORBIDDEN_ALIKE
from airflow_provider_jobstatus.waiting.spec import MIN_DEFERRAL, JobEvent, Outcome, WaitPlan, digest
from airflow_provider_jobstatus.waiting.status_lines import Signs, sign, told_until
from airflow_provider_jobstatus.waiting.stop_condition import Goal, Queue
from airflow_provider_jobstatus.waiting.wait_log import FEW, Chronicle

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor

#: Airflow's own time-out of a deferral comes this much after ours, in case the triggerer is away; and after
#: the longest time that a list and a question take that begin at our deadline.
BACKSTOP = 300.0
#: Seconds between the first polls of two jobs in the triggerer, where they need not fill the poll interval.
SPREAD = 0.25


class WorkerWait:
    """
    One task's wait, as far as it happens on this worker.

    :param sensor: whose arguments say how to wait.
    :param ids: of the jobs.
    :param context: Airflow's.

    :ivar causes: by job id, the exception behind what became of it.
    """

    def __init__(self, sensor: BatchJobSensor, ids: list[str], context: Context) -> None:
        self.causes: dict[str, Exception] = {}
        self._sensor = sensor
        self._task = context.get("ti")
        self._ids = ids
        self._now = steady_clock()
        self._first_look = self._now()
        self._memory = Memory(context) if sensor.reschedule and not sensor.deferrable else None
        first = context["ti"].get_first_reschedule_date(context) if self._memory else None
        self._started_at = first.timestamp() if first else self._first_look
        self._goal = goal_of(sensor)
        self._chronicle = Chronicle(sensor, len(ids))
        self._pollers: list[JobPoller] = []
        self._asked = ""

    def seen(self) -> list[JobStatus | None]:
        """Return what the vendor said last of each job; nothing before the first look."""
        return [poller.event.status if poller.event else poller.last_status for poller in self._pollers]

    def run(self) -> list[JobEvent]:
        """
        Look once at every job, and wait for what has not ended yet.

        :return: how the wait for each job ended.
        :raises SettingsError: the connection or an id cannot be used; nothing was sent.
        :raises VendorError: the connection cannot be read at the first look.
        """
        kept = self._memory
        account, refusals = (kept.account, kept.refusals) if kept else ("", None)
        later = self._started_at < self._first_look
        with Vendor(self._sensor.conn_id, self._now, account, refusals, known=later) as vendor:
            hook = None
            try:
                for job_id in self._ids:
                    vendor.check(job_id)
                hook = vendor.hook
            except VendorError:
                # Later, each job's question says the same: an outage.
                if not later:
                    raise
            self._plan = self._make_plan(hook)
            if hook is not None and not later:
                self._asked = f"{hook.conn_type} (connection {self._sensor.conn_id!r})"
                self._warn(hook)
            memory = self._memory.of if self._memory else lambda job_id: None
            self._signs = Signs(self._started_at, self._told_at())
            pollers = [JobPoller(job_id, self._plan, self._now(), memory(job_id)) for job_id in self._ids]
            self._pollers = pollers
            self._look_at_all(pollers, vendor)
        for poller in pollers:
            if poller.event is None:
                poller.leave()
        return [poller.event for poller in pollers if poller.event is not None]

    def _look_at_all(self, pollers: list[JobPoller], vendor: Vendor) -> None:
        """Return when every job has ended, or the wait is decided."""
        for poller in pollers:
            if poller.may_ask(self._now()) and poller.not_before <= self._now():
                self._look(poller, vendor)
            if poller.event is None and self._sensor.deferrable:
                # From then on the triggerer shows changes.
                show(self._task, summary(pollers, self._now()), self._sensor.log)
                self._defer(poller, vendor)
            if self._decided(poller, pollers):
                return
        waiting = [poller for poller in pollers if poller.event is None]
        if len(pollers) > FEW and waiting and self._plan.started_at >= self._first_look:
            # Of a few, there is a line for each.
            self._chronicle.sign(sign(pollers, self._now()))
        if self._memory is not None and waiting:
            self._give_sign(pollers)
            # Where one job decides for all, the others' results say what was last known of them.
            statuses = self._matters(self._goal)
            self._memory.keep(pollers if statuses else waiting, statuses, vendor, self._signs.told_at)
            self._reschedule(waiting, vendor)
        queue = Queue(waiting)
        while queue:
            poller = queue.pop()
            sleep(max(poller.next_poll_at - self._now(), 0.0))
            if poller.may_ask(self._now()):
                self._look(poller, vendor)
            if self._decided(poller, pollers):
                return
            if poller.event is None:
                queue.push(poller)
                self._give_sign(pollers)

    def _told_at(self) -> float:
        """Return up to when signs of life have been given."""
        if self._memory is None or self._started_at >= self._first_look:
            return self._started_at
        if self._memory.lasts:
            return self._memory.told_at or self._started_at
        return told_until(self._started_at, self._first_look, self._plan.poll_interval)

    def _give_sign(self, pollers: list[JobPoller]) -> None:
        """Write that the wait goes on, if that is due."""
        if self._signs.due(pollers, self._now()):
            self._chronicle.sign(sign(pollers, self._now()))

    def _look(self, poller: JobPoller, vendor: Vendor) -> None:
        """Ask once; after a refusal once more, with settings read again."""
        while True:
            answer = vendor.ask(poller.job_id)
            if isinstance(answer, Exception):
                self.causes[poller.job_id] = answer
            self._chronicle.tell(poller.observe(answer, self._now()))
            if not poller.reconnect:
                return
            poller.reconnect = False
            vendor.forget_settings()
            if poller.not_before > self._now() + RECONNECT_DELAY:
                # The refusal says when to come again.
                return
            sleep(max(poller.next_poll_at - self._now(), 0.0))

    def _decided(self, poller: JobPoller, pollers: list[JobPoller]) -> bool:
        if poller.event is None:
            return False
        self._chronicle.ended(poller.event)
        if poller.event.outcome is Outcome.BAD_SETTINGS:
            return True
        return self._credentials_refused(poller, pollers) or self._goal.decided_by(poller.event)

    def _credentials_refused(self, poller: JobPoller, pollers: list[JobPoller]) -> bool:
        """Whether every other job would be refused as well."""
        refusal = self.causes.get(poller.job_id)
        if not isinstance(refusal, AccessDenied) or any(other.last_status for other in pollers):
            return False
        alike = sum(isinstance(cause, AccessDenied) for cause in self.causes.values())
        return refusal.status != HTTPStatus.FORBIDDEN or alike >= FORBIDDEN_ALIKE

    def _warn(self, hook: BatchJobHook) -> None:
        """Write what a person should know before the wait."""
        calls = self._plan.most_polls() * len(self._ids)
        cost = hook.cost_caveat(calls * round(1 / FLOOR_SHARE) if self._plan.adaptive else calls)
        race = reschedule_warning(self._plan.poll_interval) if self._memory is not None else None
        for caveat in filter(None, (*hook.caveats(), cost, race)):
            self._sensor.log.warning(caveat)

    def _make_plan(self, hook: BatchJobHook | None) -> WaitPlan:
        sensor, now, started_at = self._sensor, self._first_look, self._started_at
        interval = sensor.poke_interval
        if not sensor.interval_given:
            # The usual one of this vendor; the first poll is no later than the last.
            interval = min(hook.default_interval if hook else interval, sensor.timeout)
        deadline_at = started_at + sensor.timeout
        if sensor.deferrable and sensor.execution_timeout is not None:
            # Airflow does not enforce it while a task is deferred.
            deadline_at = min(deadline_at, now + sensor.execution_timeout.total_seconds())
        plan = WaitPlan(
            poll_interval=interval,
            started_at=started_at,
            first_poll_at=started_at + interval,
            deadline_at=deadline_at,
            max_outage=sensor.max_outage,
            exponential_backoff=bool(sensor.exponential_backoff),
            max_wait=None if sensor.max_wait is None else sensor.max_wait.total_seconds(),
            stalled_after=sensor.stalled_after,
            fail_stalled=sensor.if_stalled == "fail",
            adaptive=sensor.adaptive,
        )
        return replace(plan, refusal_grace=hook.settings.refusal_grace) if hook else plan

    def _defer(self, poller: JobPoller, vendor: Vendor) -> NoReturn:
        from airflow_provider_jobstatus.hooks.airflow_configuration import max_trigger_bytes
        from airflow_provider_jobstatus.tasks.deferral import handover, size_warning
        from airflow_provider_jobstatus.tasks.triggerer_check import triggerer_trouble
        from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger

        sensor, plan, now = self._sensor, self._plan, self._now()
        # The first look may have taken its time.
        soonest = now + MIN_DEFERRAL
        first_poll_at = plan.first_poll_at
        if plan.adaptive:
            # Of several jobs the trigger spreads the first polls over the time before.
            apart = SPREAD * (len(self._ids) - 1)
            first_poll_at = min(first_poll_at, max(poller.next_poll_at, soonest + apart))
        plan = replace(plan, first_poll_at=max(first_poll_at, soonest))
        if trouble := triggerer_trouble():
            sensor.log.warning(trouble)
        late = BACKSTOP + 2 * vendor.hook.longest_question
        left = min(max(plan.deadline_at - now, 0.0) + late, timedelta(days=3650).total_seconds())
        trigger = BatchJobTrigger(
            conn_id=sensor.conn_id,
            job_ids=self._ids,
            poll_interval=plan.poll_interval,
            started_at=plan.started_at,
            first_poll_at=plan.first_poll_at,
            deadline_at=plan.deadline_at,
            max_outage=plan.max_outage,
            exponential_backoff=plan.exponential_backoff,
            max_wait=plan.max_wait,
            not_before=poller.not_before,
            stalled_after=plan.stalled_after,
            fail_stalled=plan.fail_stalled,
            wait_for=self._goal.wait_for,
            fail_fast=self._goal.fail_fast,
            good_states=sorted(self._goal.good_states) if self._matters(self._goal) else None,
            adaptive=plan.adaptive,
            told=digest(poller.job_id, poller.last_status),
            account=vendor.account,
            refusal_grace=plan.refusal_grace,
            words=poller.unknown_words or None,
        )
        if warning := size_warning(trigger.serialize()[1], len(self._ids), max_trigger_bytes()):
            sensor.log.warning(warning)
        sensor.log.info(handover(self._asked, self._ids, poller.last_status, poller.job_id, plan))
        sensor.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=left))

    @staticmethod
    def _matters(goal: Goal) -> bool:
        """Whether the triggerer needs to know which states are well."""
        return goal.wait_for == "any" or goal.fail_fast

    def _reschedule(self, waiting: list[JobPoller], vendor: Vendor) -> NoReturn:
        due = [poller.next_poll_at for poller in waiting]
        if all(poller.refused for poller in waiting):
            # Each poke reads the connection, and asks.
            soonest = self._now() + ASK_PAUSE
            if vendor.refusals.again_at < math.inf:
                soonest = max(soonest, vendor.refusals.again_at)
            due = [min(max(at, soonest), self._plan.deadline_at) for at in due]
        at = min(due)
        if self._plan.adaptive and not self._matters(self._goal):
            # Each poke asks about all jobs, and the last of them to end is the one that matters.
            at = min(max(due), self._plan.next_point(self._now()))
        at = min(max(at, *(poller.not_before for poller in waiting)), self._plan.deadline_at)
        raise AirflowRescheduleException(datetime.fromtimestamp(at, UTC))  # type: ignore[no-untyped-call]


def goal_of(sensor: BatchJobSensor) -> Goal:
    """Return when the sensor's wait is over."""
    good = sensor.allowed_states
    if sensor.wait_for == "all":
        good = [*good, *sensor.skipped_states]
    return Goal(sensor.wait_for, sensor.fail_fast, frozenset(map(JobState, good)))
