"""How a sensor goes on after a deferral, whatever ended it."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_jobstatus._compat import TaskDeferralError, TaskDeferralTimeout
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.exceptions import BadSettings, BadTriggerEvent, JobStatusError, JobTimedOut

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.tasks.outcome_policy import OutcomePolicy


class ResumableSensor(BaseSensorOperator):
    """A sensor that a trigger of this provider resumes."""

    if TYPE_CHECKING:
        job_id: Any

    @property
    @abstractmethod
    def _policy(self) -> OutcomePolicy:
        """What an outcome means for the task."""

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Take over from the triggerer."""
        from airflow_provider_jobstatus.tasks.final_progress import show_final
        from airflow_provider_jobstatus.tasks.outcome_policy import read_event
        from airflow_provider_jobstatus.tasks.results import kept_results

        with kept_results(self, context) as results:
            try:
                events = read_event(event, results.read_ids())
                show_final(context.get("ti"), events, time(), self.log)
            except BadTriggerEvent as error:
                self._policy.fail(error)
            except SettingsError as error:
                self._policy.fail(BadSettings(str(error)), error)
            results.seen = lambda: [event.status for event in events]
            self._policy.settle(events, self.log)
            return results.value()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the deferral; what Airflow itself ends it with fails as it would in any other mode."""
        try:
            # Not BaseSensorOperator's, which lets soft_fail skip whatever is an exception of Airflow's.
            return super(BaseSensorOperator, self).resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            self._fail_unseen(
                JobTimedOut("the triggerer did not end the wait at its deadline"), error, context
            )
        except TaskDeferralError as error:
            reason = f"the trigger failed in the triggerer ({error}); is this provider installed there?"
            self._fail_unseen(BadTriggerEvent(reason), error, context)

    def _fail_unseen(self, failure: JobStatusError, cause: Exception, context: Context) -> NoReturn:
        """Fail with nothing known of any job."""
        from airflow_provider_jobstatus.tasks.results import kept_results

        with kept_results(self, context) as results:
            with suppress(SettingsError):
                results.read_ids()
            self._policy.fail(failure, cause)
