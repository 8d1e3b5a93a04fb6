"""
Submits jobs, each once, whatever happens to the worker.

Before a request is sent, the intent is written into Airflow's task state; after it, the job's id. A later try
reads the record before it sends anything: it adopts the job that an earlier try has made, looks for one that
an earlier try may have made, and gives up where neither can be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_jobstatus.core.errors import NotFound, SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    NotSubmitted,
    PollingFailed,
    SubmissionUnknown,
    not_submitted,
    task_error,
)
from airflow_provider_jobstatus.files.retry_budget import RetryBudget
from airflow_provider_jobstatus.tasks.order import Order, SubmitRules
from airflow_provider_jobstatus.tasks.orphan_search import search_orphan, search_patiently
from airflow_provider_jobstatus.tasks.submission_record import (
    Attempt,
    NextStep,
    SubmissionRecord,
    SubmissionState,
    next_step,
    step_after_asking,
)
from airflow_provider_jobstatus.tasks.submission_store import SubmissionStore
from airflow_provider_jobstatus.waiting.failed_polls import NOT_FOUND_GRACE

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_jobstatus.hooks.base import BatchJobHook


class Submitter:
    """
    Submits the jobs of one task.

    :param hook: of the connection.
    :param context: Airflow's.
    :param retries: of the task, as its DAG says.
    :param pause: sleeps for some seconds.

    :ivar ids: of the jobs that the task has by now.
    """

    def __init__(
        self,
        hook: BatchJobHook,
        context: Context,
        rules: SubmitRules,
        log: Logger,
        retries: int = 0,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        instance: Any = context.get("ti")
        self._hook = hook
        self._rules = rules
        self._log = log
        self._pause = pause or time.sleep
        self._number = int(getattr(instance, "try_number", 1) or 1)
        self._max_tries = int(getattr(instance, "max_tries", 0) or 0)
        self._retries = retries
        #: Whether the task was ever cleared, as far as can be told without a record.
        self._cleared = self._max_tries > retries
        self._budget = RetryBudget()
        self.store = SubmissionStore(context)
        self.ids: list[str] = []

    def submit(self, number: int, order: Order) -> str:
        """
        Return the id of the job: a new one, or one that an earlier try has made.

        :param number: of the submission within the task.
        :raises SubmissionUnknown: whether there is a job is unknown.
        :raises NotSubmitted: there is none, and the vendor cannot be reached.
        :raises VendorRefused: there is none.
        :raises BadSettings: a job of other arguments was submitted by an earlier try.
        :raises PollingFailed, UnknownJob: what an earlier job does cannot be told now.
        """
        record = self.store.read(number)
        attempt = Attempt(self._number, self._max_tries, self._digest(order, record))
        if record is None and self._number > 1:
            record = self._without_record(order)
        step = next_step(record, attempt, again=self._rules.again, resubmit=self._rules.on_failure)
        if step is NextStep.SEARCH and record is not None:
            record = self._found(number, order, record, attempt, SubmissionUnknown(_INTERRUPTED))
            step = next_step(record, attempt, again=self._rules.again, resubmit=self._rules.on_failure)
        if step is NextStep.ASK and record is not None:
            status = self._status(record)
            step = step_after_asking(record, attempt, status, again=self._rules.again)
        if step is NextStep.SUBMIT or record is None:
            if record is not None and record.job_id is not None:
                self._log.info("%s, of an earlier try, has ended: submitting anew", record.job_id)
            record = self._send(number, order, attempt)
        elif step is NextStep.ADOPT:
            record = self._adopt(number, record, attempt)
        else:
            self._refuse(step, record, order)
        self.ids.append(str(record.job_id))
        return self.ids[-1]

    def _digest(self, order: Order, record: SubmissionRecord | None) -> str:
        """Return the digest of what is asked for; of a job that there may be already, what is known of it."""
        if order.prepare is None or record is None or record.state is SubmissionState.UNMADE:
            return order.checked()
        if record.number == self._number:
            return record.digest  # a later poke of the same try
        try:
            return order.prepare()
        except (SettingsError, NotSubmitted):
            return record.digest

    def _send(self, number: int, order: Order, attempt: Attempt) -> SubmissionRecord:
        digest, before = order.checked(), None
        if order.before is not None:
            try:
                before = self._budget.try_out(order.before)
            except VendorError as error:
                if getattr(error, "login", False):
                    raise not_submitted(error) from error
                self._log.warning("A job that gets lost will not be searched for: %s", error)
        record = SubmissionRecord(
            SubmissionState.INTENDED, digest, attempt.number, attempt.max_tries, time.time(), before
        )
        self.store.intend(number, record)
        try:
            job_id = self._budget.try_out(lambda: self._hook.call(order.operation))
        except VendorError as error:
            if error.repeatable:
                self.store.write(number, replace(record, state=SubmissionState.UNMADE))
                raise not_submitted(error) from error
            return self._found(number, order, record, attempt, SubmissionUnknown(str(error)))
        except SettingsError:
            self.store.write(number, replace(record, state=SubmissionState.UNMADE))
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if self.store.lasts:
                raise  # a later try searches
            raise self._unknown(SubmissionUnknown(f"stopped by {type(error).__name__}"), order) from error
        self._log.info("%s: submitted %s", order.about, job_id)
        return self._made(number, record, job_id)

    def _made(self, number: int, record: SubmissionRecord, job_id: str) -> SubmissionRecord:
        made = replace(record, state=SubmissionState.MADE, job_id=job_id)
        self.store.write(number, made)
        return made

    def _adopt(self, number: int, record: SubmissionRecord, attempt: Attempt) -> SubmissionRecord:
        self._log.info("%s was submitted by an earlier try, and is waited for now", record.job_id)
        adopted = replace(record, number=attempt.number, max_tries=attempt.max_tries)
        if adopted != record:
            self.store.write(number, adopted)
        return adopted

    def _found(
        self,
        number: int,
        order: Order,
        record: SubmissionRecord,
        attempt: Attempt,
        unknown: SubmissionUnknown,
    ) -> SubmissionRecord:
        """Look for the job that a request may have made, and return its record."""
        found = search_orphan(order, record.before, self._log, self._pause)
        if len(found) == 1:
            self._log.warning("%s; the job is there: %s", unknown, found[0])
            return self._made(number, record, found[0])
        # Of this try: if it is killed now, the next one is no later clear.
        kept = replace(record, number=attempt.number, max_tries=attempt.max_tries)
        self.store.write(number, replace(kept, state=SubmissionState.UNKNOWN))
        count = f"; {len(found)} jobs may be it" if found else ""
        raise self._unknown(SubmissionUnknown(f"{unknown}{count}"), order) from unknown.__cause__

    def _without_record(self, order: Order) -> SubmissionRecord | None:
        """Return the record that Airflow has not kept, as far as the vendor knows the job."""
        cleared = self._cleared
        if self.store.lasts and not self._rules.harmful:
            return None  # no earlier try has come so far
        if order.earlier is not None:
            try:
                found = search_patiently(partial(self._budget.try_out, order.earlier), self._pause)
            except VendorError as error:
                raise not_submitted(error) from error
            if len(found) == 1:
                # As of the tries before a clear, if there was one.
                max_tries = self._retries if cleared else self._max_tries
                return SubmissionRecord(
                    SubmissionState.MADE, order.digest, self._number - 1, max_tries, 0.0, None, found[0]
                )
            if found:
                raise self._unknown(SubmissionUnknown(f"earlier tries have made {len(found)} jobs"), order)
        elif self._rules.harmful and not (cleared and self._rules.when_cleared):
            text = "Airflow has no record of what an earlier try has submitted"
            raise self._unknown(SubmissionUnknown(text), order)
        return None

    def _status(self, record: SubmissionRecord) -> JobStatus | None:
        """Return the status of a job of an earlier try; None if it is gone and the task may submit anew."""
        try:
            return self._budget.try_out(lambda: self._hook.job_status(str(record.job_id)))
        except VendorError as error:
            fresh = time.time() - record.at < NOT_FOUND_GRACE
            if isinstance(error, NotFound) and not fresh and (error.own or self._rules.when_cleared):
                return None
            failed = task_error(error, otherwise=PollingFailed)
            failed.args = (
                f"{failed}; an earlier try has submitted {record.job_id}, and nothing is submitted before it "
                "has ended",
            )
            raise failed from error

    def _refuse(self, step: NextStep, record: SubmissionRecord, order: Order) -> NoReturn:
        if step is NextStep.OTHER:
            raise BadSettings(
                f"{record.job_id} was submitted by an earlier try with other arguments, so its results are "
                "not what is asked for now; nothing was sent. When it has ended, a cleared task submits anew"
            )
        if record.job_id is not None:
            raise self._unknown(SubmissionUnknown(f"{record.job_id} was submitted by an earlier try"), order)
        raise self._unknown(SubmissionUnknown("an earlier try may have made a job"), order)

    def _unknown(self, error: SubmissionUnknown, order: Order) -> SubmissionUnknown:
        """Return an error with what a person can do about it."""
        return SubmissionUnknown(f"{order.about}: {error}; {self._rules.advice(self._hook.conn_id)}")


_INTERRUPTED = "an earlier try was stopped between sending the request and keeping its reply"
