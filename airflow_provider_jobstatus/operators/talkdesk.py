"""Operators for Talkdesk Explore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import NotFound, SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import job_ids
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, JobCancelled, task_error
from airflow_provider_jobstatus.files.destination import (
    IfExists,
    check_destination,
    described,
    unless_there,
)
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.operators.talkdesk_request import TalkdeskRequestReportOperator
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["TalkdeskDownloadReportOperator", "TalkdeskRequestReportOperator"]


class TalkdeskDownloadReportOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the files of finished reports, byte by byte as they are stored.

    Talkdesk redirects to a signed address of a storage host. That address is called without anything of ours,
    never logged, and requested again if it has expired. A stream that breaks goes on where it broke, if the
    storage has a strong ``ETag`` for the file and sends exactly its rest; else the download starts anew.

    :param job_id: (templated) ``"<report_type>/<jobId>"``, the dict that ``BatchJobSensor`` returned for the
        job, or a list of these, such as the output of mapped tasks: each job is fetched once, into a folder.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` of one file. A trailing slash means "into this folder, under the name that the storage
        gives the file", with the job in it: ``report-<report_type>--<jobId>.csv``, or as it is if it ends in
        an id of 16 characters or more. A local file gets the mode that the umask gives. The event of an
        outlet with the same URI gets path, rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``talkdesk``, by default ``talkdesk_default``. One of
        ``default_args`` counts only if it is of that type.
    :param talkdesk_conn_id: (templated) the same, by its older name.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.
    :param max_bytes: most bytes of a file, as it is written; None (default) for any number.
    :param delete_after: delete each report's file at Talkdesk once all are published, if ours is there and
        not empty; needs the scope ``data-reports:write``. A deletion that fails is a warning. A file that was
        skipped is not deleted at Talkdesk. A retry that finds the report deleted succeeds if our file is
        there: in a folder, by the job in its name; under another name, if it was written in this run. By
        default False.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``format`` is
        ``"csv"``, ``"json"`` or None; ``rows`` leaves out a header and is None where it is unknown;
        ``verified_by`` names what proves that the file is whole. Of a file that was there and stays:
        ``"skipped": True`` beside it, and None for what follows ``"bytes"``. Of a list of jobs, the list of
        these in its order, empty for an empty one.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises JobFailed, JobCancelled: there is no file. A retry polls again, with the same result.
    :raises UnknownJob: Talkdesk knows no such job, or has no file of a finished one after some two minutes of
        tries. A retry polls again.
    :raises VendorRefused: credentials or permission. A retry polls again.
    :raises DownloadIncomplete: not whole, not verifiable, or another file than the one that was requested,
        after some two minutes of tries; or the vendor requests a pause of over five. A retry starts anew.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments, several jobs for one file, or a file of more than
        ``max_bytes``; Airflow does not retry.
    """

    template_fields: Sequence[str] = ("job_id", "destination", "conn_id", "talkdesk_conn_id")
    ui_color = "#efe8f5"

    def __init__(
        self,
        *,
        job_id: Any,
        destination: object,
        conn_id: str | None = None,
        talkdesk_conn_id: str | None = None,
        if_exists: IfExists = "replace",
        max_bytes: int | None = None,
        delete_after: bool = False,
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id, many=True)
        destination = arguments.destination(destination)
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int)):
            raise BadSettings(f"max_bytes is {max_bytes!r}; give a whole number of bytes, or None")
        if max_bytes is not None and max_bytes < 1:
            raise BadSettings(f"max_bytes is {max_bytes}; give a positive number, or None for any size")
        arguments.flag("delete_after", delete_after)
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(TalkdeskHook, conn_id, talkdesk_conn_id, kwargs.get("default_args"))
        self.if_exists = plain(if_exists)
        self.max_bytes = max_bytes
        self.delete_after = delete_after
        if arguments.is_known(job_id) and arguments.is_known(destination):
            self._check_place(job_ids(job_id)[1])

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Ask for each job's status, download its file, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat
        from airflow_provider_jobstatus.operators.talkdesk_files import delete_report, remember

        arguments.destination(self.destination)
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            ids, several = job_ids(self.job_id)
            self._check_place(several)
            hook = self.vendor_hook(TalkdeskHook)
            for job_id in ids:
                hook.parse_job_id(job_id)
            with self.at_work():
                manifests = {job_id: self._manifest(hook, job_id, context) for job_id in dict.fromkeys(ids)}
                if self.delete_after:
                    remember(context, manifests)
                # After the last of them: what fails before leaves all files for another try.
                for job_id, manifest in manifests.items() if self.delete_after else ():
                    delete_report(hook, job_id, manifest)
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        describe_files(context, self.outlets, self.destination, list(manifests.values()))
        found = [{"job_id": job_id, **manifests[job_id]} for job_id in ids]
        return found if several else found[0]

    def _check_place(self, several: bool) -> None:
        if several and not str(self.destination).strip().endswith("/"):
            raise BadSettings(
                f"job_id is a list, and destination {str(self.destination)!r} one file; end it with / for a "
                "folder"
            )

    def _manifest(self, hook: TalkdeskHook, job_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.retry_budget import RetryBudget
        from airflow_provider_jobstatus.operators import talkdesk_files

        patience = RetryBudget(f"{job_id} (connection {hook.conn_id!r})")

        def fetch() -> dict[str, Any]:
            status = talkdesk_files.expect_done(hook, job_id, patience)
            return talkdesk_files.fetch_report(
                hook,
                job_id,
                status.vendor_status,
                self.destination,
                patience,
                if_exists=self.if_exists,
                max_bytes=self.max_bytes,
            )

        try:
            manifest = unless_there(self.destination, self.if_exists, fetch)
        except (JobCancelled, NotFound) as error:
            is_retry = getattr(context.get("ti"), "try_number", 2) > 1
            if not (self.delete_after and is_retry) or self.if_exists == "fail":
                raise
            earlier = talkdesk_files.earlier_manifest(hook, job_id, self.destination, context)
            if earlier is None:
                raise
            self.log.warning("%s; an earlier try has fetched its file", error)
            manifest = earlier
        self.log.info("%s: %s", job_id, described(manifest))
        return manifest
