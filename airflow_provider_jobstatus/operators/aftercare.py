"""Operators for Aftercare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import single_job_id
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import DownloadIncomplete, task_error
from airflow_provider_jobstatus.files.destination import IfExists, check_destination, described
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

ResultsFormat = Literal["ndjson", "csv", "parquet"]


class AftercareDownloadCodingResultsOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the results of a finished job to a file of rows, from as many pages as there are.

    A coding job gives one row for each question, code and response, a data-quality batch one for each
    response, entry and check; ``docs/aftercare.md`` lists the columns. The file holds personal data; only its
    manifest goes to XCom.

    :param job_id: (templated) ``"<batchJobId>"``, ``"data-quality/<batchJobId>"``, or the dict that
        ``BatchJobSensor`` returned for the job.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` with such a URI. A trailing slash means "into this folder", as ``results-<job>.ndjson``. A
        local file gets the mode that the umask gives. The event of an outlet with the same URI gets path,
        rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``aftercare``, by default ``aftercare_default``. One of
        ``default_args`` counts only if it is of that type.
    :param aftercare_conn_id: (templated) the same, by the vendor's name.
    :param file_format: (templated) ``"ndjson"`` (the default), ``"csv"`` or ``"parquet"``, which needs the
        extra ``[parquet]``.
    :param cursor_parameter: (templated) name of the query parameter that takes the cursor of a page, which
        Aftercare does not document. Default None: extra ``cursor_parameter`` of the connection, or
        ``"cursor"``.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``rows`` leaves out a
        header. Of a file that was there and stays: ``"skipped": True`` beside it, and None for what follows
        ``"bytes"``.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises JobFailed: it failed, or failed in part: of neither Aftercare documents results. A retry polls
        again, with the same result.
    :raises UnknownJob: Aftercare does not know the job. A retry polls again.
    :raises VendorRefused: credentials, permission, or the request for a further page. A retry polls again.
    :raises DownloadIncomplete: a page is not whole, after some two minutes of tries; a page or a cursor comes
        again, so that ``cursor_parameter`` is wrong; or the results have another form than Aftercare
        documents. A retry starts anew, with the first page.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments, or ``pyarrow`` is missing; Airflow does not retry.
    """

    template_fields: Sequence[str] = (
        *("job_id", "destination", "conn_id", "aftercare_conn_id"),
        *("file_format", "cursor_parameter"),
    )
    ui_color = "#fbeee6"

    def __init__(
        self,
        *,
        job_id: Any,
        destination: object,
        conn_id: str | None = None,
        aftercare_conn_id: str | None = None,
        file_format: ResultsFormat = "ndjson",
        cursor_parameter: str | None = None,
        if_exists: IfExists = "replace",
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id)
        destination = arguments.destination(destination)
        if arguments.is_known(file_format):
            arguments.choice("file_format", file_format, get_args(ResultsFormat))
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(AftercareHook, conn_id, aftercare_conn_id, kwargs.get("default_args"))
        self.file_format = plain(file_format)
        self.cursor_parameter = plain(cursor_parameter)
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the job's status, download page after page, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat
        from airflow_provider_jobstatus.operators.aftercare_results import fetch_coding_results

        arguments.destination(self.destination)
        arguments.choice("file_format", self.file_format, get_args(ResultsFormat))
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            job_id = single_job_id(self.job_id)
            hook = self.vendor_hook(AftercareHook)
            with self.at_work():
                manifest = fetch_coding_results(
                    hook,
                    job_id,
                    self.destination,
                    file_format=self.file_format,
                    cursor_parameter=self.cursor_parameter,
                    if_exists=self.if_exists,
                )
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("%s: %s", job_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return manifest
