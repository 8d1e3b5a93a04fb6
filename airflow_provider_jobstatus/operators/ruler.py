"""Operators for Ruler Analytics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import single_job_id
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, task_error
from airflow_provider_jobstatus.files.destination import IfExists, check_destination, described
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.results import FailuresFormat
from airflow_provider_jobstatus.hooks.ruler.upload_columns import JobType
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.operators.ruler_failures import FetchFailures
from airflow_provider_jobstatus.operators.ruler_uploads import (
    RulerUploadOpportunitiesOperator,
    RulerUploadRevenueOperator,
)
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = [
    "RulerDownloadFailuresOperator",
    "RulerDownloadRevenueFailuresOperator",
    "RulerUploadOpportunitiesOperator",
    "RulerUploadRevenueOperator",
]


class RulerDownloadFailuresOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the rows that a batch upload rejected to a file, byte by byte as Ruler sends them, or ready to be
    corrected and uploaded again.

    A job that ended ``complete`` gives a file without rows: failures that Ruler does not count are not
    requested. The file holds personal data; only its manifest goes to XCom.

    :param job_id: (templated) ``"<siteId>/<jobId>"``, ``"<jobId>"`` with the connection's ``site_id``, or the
        dict that ``BatchJobSensor`` returned for the job.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` of one file. A trailing slash means "into this folder, under the name that Ruler gives
        the file", with the site and the job in it: ``failures-<siteId>--<jobId>.csv``. A local file
        gets the mode that the umask gives.
    :param conn_id: (templated) connection of type ``ruler``, by default ``ruler_default``. One of
        ``default_args`` counts only if it is of that type.
    :param ruler_conn_id: (templated) the same, by its older name.
    :param job_type: (templated) of the job: ``"revenue"`` or ``"opportunity"``.
    :param file_format: (templated) ``"csv"`` or ``"json"``.
    :param reupload_ready: leave out the columns ``RowNumber`` and ``ErrorMessage``, so that the file can be
        corrected and uploaded again; what is wrong goes to a second file ``<name>.errors.json``, by message
        and with some row numbers. Both hold personal data. Of a job without rejected rows there is none. Only
        with ``"csv"``. False by default.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: the task
        succeeds with the file that is there and does not look at it; the manifest has its size and
        ``"skipped": True``.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``rows`` leaves out
        the header and is None where it is unknown; ``verified_by`` names what proves that the file is
        whole. With ``reupload_ready`` also ``"errors_path"``.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises UnknownJob: Ruler does not know the job, or has no rows of a job that rejected some after some two
        minutes of tries; or the job is of another type. A retry polls again.
    :raises VendorRefused: credentials or permission. A retry polls again.
    :raises DownloadIncomplete: not whole, not verifiable, or another file than the one that was requested,
        after some two minutes of tries; or the vendor requests a pause of over five. A retry starts anew.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments; Airflow does not retry.
    """

    template_fields: Sequence[str] = (
        *("job_id", "destination", "conn_id", "ruler_conn_id", "job_type", "file_format"),
    )
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        job_id: Any,
        destination: object,
        conn_id: str | None = None,
        ruler_conn_id: str | None = None,
        job_type: JobType = "revenue",
        file_format: FailuresFormat = "csv",
        reupload_ready: bool = False,
        if_exists: IfExists = "replace",
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id)
        destination = arguments.destination(destination)
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        arguments.flag("reupload_ready", reupload_ready)
        _check(job_type, file_format, reupload_ready)
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(RulerHook, conn_id, ruler_conn_id, kwargs.get("default_args"))
        self.job_type = plain(job_type)
        self.file_format = plain(file_format)
        self.reupload_ready = reupload_ready
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the job's status, download what it rejected, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat

        arguments.destination(self.destination)
        _check(self.job_type, self.file_format, self.reupload_ready)
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            job_id = single_job_id(self.job_id)
            fetch = FetchFailures(
                hook=self.vendor_hook(RulerHook),
                destination=self.destination,
                job_type=self.job_type,
                file_format=self.file_format,
                reupload_ready=self.reupload_ready,
                if_exists=self.if_exists,
                at_work=self.at_work,
            )
            manifest = fetch(job_id)
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("%s: %s", job_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return manifest


#: Its name before it knew opportunities.
RulerDownloadRevenueFailuresOperator = RulerDownloadFailuresOperator


def _check(job_type: str, file_format: str, reupload_ready: bool) -> None:
    """Check what is known already."""
    if arguments.is_known(job_type):
        arguments.choice("job_type", job_type, get_args(JobType))
    if arguments.is_known(file_format):
        arguments.choice("file_format", file_format, get_args(FailuresFormat))
        if reupload_ready and file_format != "csv":
            raise BadSettings(
                f"reupload_ready needs file_format 'csv', which Ruler takes, not {file_format!r}"
            )
