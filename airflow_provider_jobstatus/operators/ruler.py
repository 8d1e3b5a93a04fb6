"""Operators for Ruler Analytics."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import NotFound, SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import single_job_id
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import DownloadIncomplete, JobNotFinished, task_error
from airflow_provider_jobstatus.files.destination import (
    IfExists,
    check_destination,
    described,
    unless_there,
)
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.results import FailuresFormat
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context


class RulerDownloadRevenueFailuresOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the rows that a batch upload of revenue rejected to a file, byte by byte as Ruler sends them.

    A job that ended ``complete`` gives a file without rows: failures that Ruler does not count are not
    requested. The file holds personal data; only its manifest goes to XCom.

    :param job_id: (templated) ``"<siteId>/<jobId>"``, ``"<jobId>"`` with the connection's ``site_id``, or the
        dict that ``BatchJobSensor`` returned for the job.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` with such a URI. A trailing slash means "into this folder, under the name that Ruler gives
        the file", with the site and the job in it: ``failures-<siteId>--<jobId>.csv``. A local file gets the
        mode that the umask gives. The event of an outlet with the same URI gets path, rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``ruler``, by default ``ruler_default``. One of
        ``default_args`` counts only if it is of that type.
    :param ruler_conn_id: (templated) the same, by its older name.
    :param file_format: (templated) ``"csv"`` or ``"json"``.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``rows`` leaves out
        the header and is None where it is unknown; ``verified_by`` names what proves that the file is
        whole. Of a file that was there and stays: ``"skipped": True`` beside it, and None for what follows
        ``"bytes"``.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises UnknownJob: Ruler does not know the job, or has no rows of a job that rejected some after some two
        minutes of tries. A retry polls again.
    :raises VendorRefused: credentials or permission. A retry polls again.
    :raises DownloadIncomplete: not whole, not verifiable, or another file than the one that was requested,
        after some two minutes of tries; or the vendor requests a pause of over five. A retry starts anew.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments; Airflow does not retry.
    """

    template_fields: Sequence[str] = ("job_id", "destination", "conn_id", "ruler_conn_id", "file_format")
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        job_id: Any,
        destination: object,
        conn_id: str | None = None,
        ruler_conn_id: str | None = None,
        file_format: FailuresFormat = "csv",
        if_exists: IfExists = "replace",
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id)
        destination = arguments.destination(destination)
        if arguments.is_known(file_format):
            arguments.choice("file_format", file_format, get_args(FailuresFormat))
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(RulerHook, conn_id, ruler_conn_id, kwargs.get("default_args"))
        self.file_format = plain(file_format)
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the job's status, download what it rejected, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat

        arguments.destination(self.destination)
        arguments.choice("file_format", self.file_format, get_args(FailuresFormat))
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            job_id = single_job_id(self.job_id)
            hook = self.vendor_hook(RulerHook)
            manifest = unless_there(self.destination, self.if_exists, lambda: self._fetch(hook, job_id))
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("%s: %s", job_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return {"job_id": job_id, **manifest}

    def _fetch(self, hook: RulerHook, job_id: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.retry_budget import RetryBudget

        patience = RetryBudget(f"{job_id} (connection {hook.conn_id!r})")
        status = patience.try_out(lambda: hook.job_status(job_id))
        if status.state is JobState.RUNNING:
            raise JobNotFinished(f"{job_id} is still {status.describe()}; wait for it with BatchJobSensor")
        with self.at_work():
            absent: list[NotFound] = []
            manifest = patience.try_out(
                lambda: self._download(hook, status, absent),
                if_missing=f"the job is {status.vendor_status}, and yet its rejected rows are not there",
            )
        return {**manifest, "format": self.file_format}

    def _download(self, hook: RulerHook, status: JobStatus, absent: list[NotFound]) -> dict[str, Any]:
        from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
        from airflow_provider_jobstatus.core.json_rows import count_json_rows
        from airflow_provider_jobstatus.files.destination import resolve
        from airflow_provider_jobstatus.files.download import named, save
        from airflow_provider_jobstatus.files.naming import name_for_job
        from airflow_provider_jobstatus.hooks.ruler.results import (
            may_have_no_rows,
            rejected_rows,
            says_no_rows,
        )

        parsed = hook.parse_job_id(status.job_id)
        job = f"{parsed.site_segment}/{parsed.job_segment}"

        default = f"failures.{self.file_format}"

        def path(name: str = default) -> str:
            return resolve(self.destination, name_for_job(name, job))

        failed, relaxed = rejected_rows(status), not hook.checks_failure_count()
        if says_no_rows(status):
            return self._no_rows(path())
        if status.state is JobState.SUCCEEDED and not failed:
            failed = None  # it says so and contradicts itself: whatever rows there are count
        try:
            with hook.open(hook.failures_operation(parsed, self.file_format)) as sent:
                name, reply = named(sent, default, (*hook.auth.secrets, *sent.secrets))
                return save(
                    reply,
                    path(name),
                    self.if_exists,
                    count_csv_rows if self.file_format == "csv" else count_json_rows,
                    failed,
                    file_format=self.file_format,
                    fewest_rows=int(status.state is JobState.PARTIAL),
                    relaxed=relaxed,
                    hint=f"; with extra 'check_failure_count': false in connection {hook.conn_id!r} another "
                    "number of rows than failureCount is only warned about",
                    secrets=hook.auth.secrets,
                )
        except NotFound as error:
            # A job that failed as a whole, before any row was read, has no rows to show.
            lenient = relaxed and status.state is not JobState.PARTIAL
            if not error.own or not (lenient or may_have_no_rows(status)):
                raise
            if not absent:
                # It may be any gateway's.
                absent.append(error)
                raise DownloadIncomplete(f"{error}; a second 404 counts as no rejected rows") from error
            if failed:
                self.log.warning("Ruler counts %d failures of %s, and has no rows of it", failed, job)
            return self._no_rows(path())

    def _no_rows(self, path: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.destination import writing

        content = b"" if self.file_format == "csv" else b"[]"
        with writing(path, self.if_exists) as file:
            file.write(content)
        return {
            "path": path,
            "bytes": len(content),
            "rows": 0,
            "sha256": hashlib.sha256(content).hexdigest(),
            "verified_by": "status",
        }
