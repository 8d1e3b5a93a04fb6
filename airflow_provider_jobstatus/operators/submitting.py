"""What every operator that submits a job has in common."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DownloadIncomplete,
    JobFailed,
    JobStatusError,
    NotSubmitted,
    task_error,
)
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.sensors.waiting_sensor import WaitingSensor
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.interruption import Interruptible
from airflow_provider_jobstatus.tasks.submission_limit import check_deferral, limit_mapped, limited

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_provider_jobstatus.tasks.order import Order, SubmitRules

#: Arguments of the wait, which a task that does not wait has no use for.
_OF_A_WAIT = (
    *("deferrable", "poke_interval", "timeout", "mode", "max_outage", "allowed_states", "skipped_states"),
    *("soft_fail", "never_fail", "silent_fail", "exponential_backoff", "max_wait", "wait_for", "fail_fast"),
    *("stalled_after", "if_stalled", "adaptive"),
)


class SubmitOperator(VendorOperator, Interruptible, WaitingSensor):
    """
    Base of the operators that submit jobs, each once.

    What a subclass has: :attr:`hook_class`, :attr:`check`, :meth:`orders`, and with ``fetch``
    :meth:`fetch_results`. Its constructor takes its own arguments, ``<vendor>_conn_id`` and ``**kwargs``.

    :param conn_id: (templated) connection of the vendor's type, by default ``<vendor>_default``.
    :param own_conn_id: the same, as given under the vendor's own name.
    :param wait: wait for the end of the job, by the arguments of ``BatchJobSensor`` under the same names.
    :param fetch: (templated) with ``wait``, where to write what came out: as ``destination`` of the vendor's
        download operator, an ``Asset`` too. Of several jobs, a folder with a trailing slash.
    :param resubmit_on_failure: if the job has failed, a retry submits again; by default it fails again.
    :param resubmit_when_cleared: a task that is cleared submits again also where what became of the job of an
        earlier try cannot be told.
    :param max_active_submissions: how many submissions of this task are under way at once, in all runs of its
        DAG and of all that it is mapped to; with ``wait``, each until its job has ended. Default: any number.
        It is Airflow's ``max_active_tis_per_dag``.

    :raises SubmissionUnknown: whether there is a job is unknown; Airflow does not retry.
    :raises NotSubmitted: there is none: vendor or Airflow could not be reached. A retry submits.
    :raises VendorRefused: there is none: credentials, permission, or the vendor rejects what is asked.
    :raises BadSettings: connection or arguments, and nothing was sent; Airflow does not retry.
    """

    hook_class: ClassVar[type[BatchJobHook]]
    #: What a person looks at, to see whether there is a job.
    check: ClassVar[str]
    #: Whether a second job does harm, as one that sends mail.
    harmful: ClassVar[bool] = False
    #: States of jobs that have something to fetch.
    fetched_states: ClassVar[frozenset[str]] = frozenset({JobState.SUCCEEDED, JobState.PARTIAL})
    ui_color = "#f5efe0"

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        own_conn_id: str | None = None,
        wait: bool = False,
        fetch: object = None,
        resubmit_on_failure: bool = False,
        resubmit_when_cleared: bool = False,
        max_active_submissions: int | None = None,
        **kwargs: Any,
    ) -> None:
        arguments.flag("wait", wait)
        arguments.flag("resubmit_on_failure", resubmit_on_failure)
        arguments.flag("resubmit_when_cleared", resubmit_when_cleared)
        if fetch is not None:
            if not wait:
                raise BadSettings("fetch needs wait=True: before its end, a job has nothing to fetch")
            try:
                fetch = arguments.destination(fetch)
            except BadSettings as error:
                raise BadSettings(str(error).replace("destination", "fetch", 1)) from None
        if not wait and (idle := [name for name in _OF_A_WAIT if name in self._given and kwargs.get(name)]):
            raise BadSettings(f"{idle[0]} has no effect without wait=True; give both, or leave it out")
        super().__init__(**limited(kwargs, max_active_submissions))
        check_deferral(max_active_submissions, deferrable=wait and self.deferrable)
        self.take_connection(self.hook_class, conn_id, own_conn_id, kwargs.get("default_args"))
        self.wait = wait
        self.fetch = fetch
        self.resubmit_on_failure = resubmit_on_failure
        self.resubmit_when_cleared = resubmit_when_cleared
        self.max_active_submissions = max_active_submissions
        self.job_id: Any = None

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Begin a mapped task: the scheduler sees these arguments, and no operator before the task runs."""
        limited(kwargs, kwargs.get("max_active_submissions"))
        made: OperatorPartial = super().partial(**kwargs)
        limit_mapped(made.kwargs, kwargs.get("default_args"))
        return made

    @abstractmethod
    def orders(self, hook: Any, context: Context) -> list[Order] | Order:
        """
        Return what is asked for: one job, or a list of them, for which the task then returns a list.

        :raises SettingsError: an argument cannot work. Nothing was sent before.
        """

    def fetch_results(self, hook: Any, result: Mapping[str, Any], destination: str) -> dict[str, Any]:
        """
        Write what came out of an ended job, and return the manifest.

        :param result: of the wait for the job.
        """
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Submit, unless an earlier try has, and with ``wait`` wait for the end."""
        from airflow_provider_jobstatus.files.destination import check_destination
        from airflow_provider_jobstatus.tasks.after_submission import accountable
        from airflow_provider_jobstatus.tasks.submission import Submitter
        from airflow_provider_jobstatus.tasks.submission_store import SubmissionStore

        if self.harmful:
            SubmissionStore(context).begin(context)
        if self.fetch is not None:
            arguments.destination(self.fetch)
            check_destination(self.fetch)
        try:
            hook = self.vendor_hook(self.hook_class, warn=not self.wait)
            orders = self.orders(hook, context)
        except SettingsError as error:
            raise BadSettings(str(error)) from error
        except VendorError as error:
            # Airflow itself, or where it keeps the connection, is away.
            raise task_error(error, otherwise=NotSubmitted) from error
        self.conn_id = hook.conn_id  # one of default_args may be of another type
        several = isinstance(orders, list)
        if several and self.fetch is not None and not str(self.fetch).endswith("/"):
            raise BadSettings(
                f"fetch is {self.fetch!r}, one file for several jobs; end it with / for a folder"
            )
        submitter = Submitter(hook, context, self._rules, self.log, self.retries or 0)
        if self.wait and self.mode == "reschedule" and not self.deferrable and not submitter.store.lasts:
            raise BadSettings(
                "mode='reschedule' needs Airflow 3.3: before, no poke knows the job; set deferrable=True"
            )
        with accountable(submitter.store, submitter.ids, self._rules):
            try:
                for number, order in enumerate(orders if isinstance(orders, list) else [orders]):
                    submitter.submit(number, order)
            except SettingsError as error:
                raise BadSettings(str(error)) from error
            self.job_id = submitter.ids if several else submitter.ids[0]
            return self._fetched(partial(self.wait_for_jobs, context), context) if self.wait else self.job_id

    def kept_over_deferral(self) -> dict[str, Any]:
        """Return the ids of the jobs, which only the task itself knows."""
        return {"job_id": self.job_id}

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the deferral; an error that Airflow must not retry is one that it does not."""
        from airflow_provider_jobstatus.tasks.after_submission import accountable, jobs_after_deferral
        from airflow_provider_jobstatus.tasks.submission_store import SubmissionStore

        given = dict(next_kwargs or {})
        self.job_id = jobs_after_deferral(given, given.get("event"))
        given.pop("job_id", None)
        ids = self.job_id if isinstance(self.job_id, list) else [self.job_id]
        with accountable(SubmissionStore(context), ids if self.job_id else [], self._rules):
            return self._fetched(partial(super().resume_execution, next_method, given, context), context)

    @property
    def _rules(self) -> SubmitRules:
        from airflow_provider_jobstatus.tasks.order import SubmitRules

        return SubmitRules(
            check=self.check,
            harmful=self.harmful,
            on_failure=self.resubmit_on_failure,
            when_cleared=self.resubmit_when_cleared,
        )

    def _fetched(self, wait: Callable[[], Any], context: Context) -> Any:
        """Return the result of the wait, with the manifest of what was fetched."""
        from airflow_provider_jobstatus.tasks.results import leave

        try:
            result = wait()
        except JobFailed as failure:
            self._fetch_of_failed(failure, context)
            raise
        if self.fetch is None:
            return result
        try:
            self._fetch_each(result if isinstance(result, list) else [result], context)
        except BaseException:
            # How the jobs ended would be lost with the fetching.
            leave(self, lambda: result, context)
            raise
        return result

    def _fetch_of_failed(self, failure: JobFailed, context: Context) -> None:
        """Write what explains a failure, where the vendor has that."""
        if self.fetch is None:
            return
        try:
            self._fetch_each([dict(job) for job in failure.results or [failure.status]], context)
        except JobStatusError as trouble:
            self.log.warning("What came out of a job that failed cannot be fetched: %s", trouble)

    def _fetch_each(self, results: list[dict[str, Any]], context: Context) -> None:
        from airflow_provider_jobstatus.files.destination import described
        from airflow_provider_jobstatus.tasks.asset_events import describe_files

        try:
            hook = self.vendor_hook(self.hook_class, warn=False)
            with self.at_work():
                for job in results:
                    if job.get("state") in self.fetched_states:
                        job["manifest"] = self.fetch_results(hook, job, str(self.fetch))
                        self.log.info("%s: %s", job["job_id"], described(job["manifest"]))
            manifests = [job["manifest"] for job in results if "manifest" in job]
            describe_files(context, self.outlets, self.fetch, manifests)
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error


def digest_of(*parts: Any) -> str:
    """Return a digest of what is asked for; plain JSON that is equal has the same one."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
