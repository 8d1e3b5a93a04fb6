"""What a sensor and a submitting operator have in common: the arguments of a wait, and the wait itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.providers.common.compat.sdk import conf

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings, PollingFailed
from airflow_provider_jobstatus.sensors.resumption import ResumableSensor
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.waiting.outcome import WaitOutcome
from airflow_provider_jobstatus.waiting.spec import IfStalled, WaitFor, WaitSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.hooks.base import BatchJobHook
    from airflow_provider_jobstatus.tasks.outcome_policy import OutcomePolicy

#: Shortest interval between two polls of a job, in seconds.
MIN_POLL_INTERVAL = 1.0
#: The interval of most vendors, in seconds, where none is given; which one it is, is known at the execution.
USUAL_INTERVAL = 60.0


class WaitingSensor(ResumableSensor):
    """
    Waits for the jobs in :attr:`job_id`. Its arguments are those of ``BatchJobSensor``, which documents them,
    but for connection and jobs.
    """

    if TYPE_CHECKING:
        conn_id: Any

    def __init__(
        self,
        *,
        allowed_states: Iterable[str] = ("succeeded", "partial"),
        skipped_states: Iterable[str] = (),
        max_outage: timedelta | float | None = timedelta(minutes=60),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        max_wait: timedelta | float | None = None,
        wait_for: WaitFor = "all",
        fail_fast: bool = False,
        stalled_after: timedelta | float | None = None,
        if_stalled: IfStalled = "warn",
        adaptive: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments.flag("deferrable", deferrable)
        arguments.choice("wait_for", wait_for, get_args(WaitFor))
        arguments.flag("fail_fast", fail_fast)
        arguments.flag("adaptive", adaptive)
        arguments.choice("if_stalled", if_stalled, get_args(IfStalled))
        if if_stalled == "fail" and stalled_after is None:
            raise BadSettings("if_stalled is 'fail' without stalled_after, so nothing stalls; give both")
        if fail_fast and wait_for == "any":
            raise BadSettings("fail_fast is True and wait_for 'any'; a failed job does not end such a wait")
        given = poke_interval is not None
        interval = arguments.seconds("poke_interval", poke_interval) if given else USUAL_INTERVAL
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
        if adaptive and self.exponential_backoff:
            raise BadSettings("adaptive and exponential_backoff both say when to look next; leave one out")
        if self.timeout < interval:
            raise BadSettings(
                f"timeout is {self.timeout:g} s and poke_interval {interval:g} s, so the wait ends before "
                "its first poll; raise timeout or lower poke_interval"
            )
        self.interval_given = given
        self.allowed_states = arguments.terminal_states("allowed_states", allowed_states)
        self.skipped_states = arguments.terminal_states("skipped_states", skipped_states)
        if both := set(self.allowed_states) & set(self.skipped_states):
            raise BadSettings(f"{sorted(both)} stand in allowed_states and in skipped_states")
        longest_outage = None if max_outage is None else arguments.seconds("max_outage", max_outage)
        self.max_outage = None if self.silent_fail else longest_outage
        self.deferrable = deferrable
        self.wait_for: WaitFor = plain(wait_for)
        self.fail_fast = fail_fast
        self.stalled_after = (
            None if stalled_after is None else arguments.seconds("stalled_after", stalled_after)
        )
        self.if_stalled: IfStalled = plain(if_stalled)
        self.adaptive = adaptive

    def wait_for_jobs(self, context: Context) -> Any:
        """Poll each job once, and wait for those that have not ended yet; return what the task returns."""
        from airflow_provider_jobstatus.tasks.results import kept_results
        from airflow_provider_jobstatus.tasks.task_wait import wait_in_task

        events: list[WaitOutcome] = []
        causes: dict[str, Exception] = {}
        with kept_results(self, context) as results:
            try:
                if results.read_ids():
                    events, causes = wait_in_task(self, results, context)
            except SettingsError as error:
                self._policy.fail(BadSettings(str(error)), error)
            except VendorError as error:
                self._policy.fail(PollingFailed(str(error)), error)
            if not results.ids:
                self.log.info("job_id is an empty list: there is nothing to wait for")
            self._policy.settle(events, self.log, causes)
            return results.value()

    def hand_over(self, arguments: dict[str, Any], timeout: timedelta) -> NoReturn:
        """Defer: the triggerer goes on with the wait."""
        from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger

        self.defer(
            trigger=BatchJobTrigger(**arguments),
            method_name="execute_complete",
            kwargs=self.kept_over_deferral(),
            timeout=timeout,
        )

    def kept_over_deferral(self) -> dict[str, Any] | None:
        """Return what ``resume_execution`` is given after a deferral, besides the event."""
        return None

    def wait_spec(self, hook: BatchJobHook | None, now: float, began_at: float | None = None) -> WaitSpec:
        """
        Return the wait that the arguments describe.

        :param hook: of the connection; None if that cannot be read now.
        :param now: of the first poll of this call, in epoch seconds.
        :param began_at: of the first poke, if that is another.
        """
        started_at, interval = now if began_at is None else began_at, self.poke_interval
        if not self.interval_given:
            # The usual one of this vendor; the first poll is no later than the last.
            interval = min(hook.default_interval if hook else interval, self.timeout)
        deadline_at = started_at + self.timeout
        if self.deferrable and self.execution_timeout is not None:
            # Airflow does not enforce it while a task is deferred.
            deadline_at = min(deadline_at, now + self.execution_timeout.total_seconds())
        good = {*self.allowed_states, *(self.skipped_states if self.wait_for == "all" else ())}
        spec = WaitSpec(
            poll_interval=interval,
            started_at=started_at,
            first_poll_at=started_at + interval,
            deadline_at=deadline_at,
            exponential_backoff=bool(self.exponential_backoff),
            max_wait=None if self.max_wait is None else self.max_wait.total_seconds(),
            good_states=tuple(sorted(good)),
            **{name: getattr(self, name) for name in WaitSpec.options()},
        )
        return replace(spec, refusal_grace=hook.settings.refusal_grace) if hook else spec

    @property
    def _policy(self) -> OutcomePolicy:
        from airflow_provider_jobstatus.tasks.outcome_policy import OutcomePolicy

        return OutcomePolicy(
            allowed_states=frozenset(map(JobState, self.allowed_states)),
            skipped_states=frozenset(map(JobState, self.skipped_states)),
            soft_fail=self.soft_fail,
            never_fail=self.never_fail,
            wait_for=self.wait_for,
        )
