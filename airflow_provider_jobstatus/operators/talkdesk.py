"""Operators for Talkdesk Explore."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.ids import single_job_id
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.exceptions import (
    DownloadIncomplete,
    JobCancelled,
    JobFailed,
    JobNotFinished,
    task_error,
)
from airflow_provider_jobstatus.files.destination import (
    IfExists,
    check_destination,
    described,
    unless_there,
)
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.operators.connection import VendorOperator
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files
from airflow_provider_jobstatus.tasks.interruption import Interruptible

if TYPE_CHECKING:
    from airflow.sdk import Context

_MEDIA_TYPES = {"text/csv": "csv", "application/json": "json"}


class TalkdeskDownloadReportOperator(VendorOperator, Interruptible, BaseOperator):
    """
    Write the file of a finished report, byte by byte as it is stored.

    Talkdesk redirects to a signed address of a storage host. That address is called without anything of ours,
    never logged, and requested again if it has expired.

    :param job_id: (templated) ``"<report_type>/<jobId>"``, or the dict that ``BatchJobSensor`` returned for
        the job.
    :param destination: (templated) local path, any URI of ``ObjectStoragePath``, an object of either, or an
        ``Asset`` with such a URI. A trailing slash means "into this folder, under the name that the storage
        gives the file", with the job in it: ``report-<report_type>--<jobId>.csv``, or as it is if it ends in
        an id of 16 characters or more. A local file gets the mode that the umask gives. The event of an
        outlet with the same URI gets path, rows, bytes and sha256.
    :param conn_id: (templated) connection of type ``talkdesk``, by default ``talkdesk_default``. One of
        ``default_args`` counts only if it is of that type.
    :param talkdesk_conn_id: (templated) the same, by its older name.
    :param if_exists: ``"replace"`` (a retried task must be repeatable), ``"fail"``, or ``"skip"``: a file
        that is there stays, and nothing is downloaded.

    :return: ``{"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}``; ``format`` is
        ``"csv"``, ``"json"`` or None; ``rows`` leaves out a header and is None where it is unknown;
        ``verified_by`` names what proves that the file is whole. Of a file that was there and stays:
        ``"skipped": True`` beside it, and None for what follows ``"bytes"``.

    :raises JobNotFinished: the job still runs. A retry polls again.
    :raises JobFailed, JobCancelled: there is no file. A retry polls again, with the same result.
    :raises UnknownJob: Talkdesk knows no such job, or has no file of a finished one after some two minutes of
        tries. A retry polls again.
    :raises VendorRefused: credentials or permission. A retry polls again.
    :raises DownloadIncomplete: not whole, not verifiable, or another file than the one that was requested,
        after some two minutes of tries; or the vendor requests a pause of over five. A retry starts anew.
    :raises DestinationError: cannot be written. A retry starts anew.
    :raises BadSettings: connection, job id or arguments; Airflow does not retry.
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
        **kwargs: Any,
    ) -> None:
        job_id = arguments.job(job_id)
        destination = arguments.destination(destination)
        arguments.choice("if_exists", if_exists, get_args(IfExists))
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.take_connection(TalkdeskHook, conn_id, talkdesk_conn_id, kwargs.get("default_args"))
        self.if_exists = plain(if_exists)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the job's status, download its file, and return the manifest."""
        from airflow_provider_jobstatus.files.locality import local_caveat

        arguments.destination(self.destination)
        if caveat := local_caveat(str(self.destination), self.executor):
            self.log.warning(caveat)
        check_destination(self.destination)
        try:
            job_id = single_job_id(self.job_id)
            hook = self.vendor_hook(TalkdeskHook)
            manifest = unless_there(self.destination, self.if_exists, lambda: self._fetch(hook, job_id))
        except (VendorError, SettingsError) as error:
            raise task_error(error, otherwise=DownloadIncomplete) from error
        self.log.info("%s: %s", job_id, described(manifest))
        describe_files(context, self.outlets, self.destination, [manifest])
        return {"job_id": job_id, **manifest}

    def _fetch(self, hook: TalkdeskHook, job_id: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.retry_budget import RetryBudget

        patience = RetryBudget(f"{job_id} (connection {hook.conn_id!r})")
        status = patience.try_out(lambda: hook.job_status(job_id))
        line = f"{job_id}: {status.describe()}"
        if status.state is JobState.RUNNING:
            raise JobNotFinished(f"{line}; wait for it with BatchJobSensor")
        if status.state is JobState.CANCELLED:
            raise JobCancelled(line, status.as_dict())
        if status.state is JobState.FAILED:
            raise JobFailed(line, status.as_dict())
        with self.at_work():
            return patience.try_out(
                lambda: self._download(hook, job_id),
                if_missing=f"the job is {status.vendor_status}, and yet its file is not there",
            )

    def _download(self, hook: TalkdeskHook, job_id: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
        from airflow_provider_jobstatus.core.encodings import peek
        from airflow_provider_jobstatus.core.json_rows import count_entries
        from airflow_provider_jobstatus.files.destination import resolve
        from airflow_provider_jobstatus.files.download import named, save
        from airflow_provider_jobstatus.files.naming import name_for_job

        job = hook.parse_job_id(job_id)
        with hook.open(hook.file_operation(job)) as sent:
            kind = _MEDIA_TYPES.get(sent.content_type)
            secrets = (*hook.auth.secrets, *sent.secrets)
            name, reply = named(sent, f"report.{kind}" if kind else "report", secrets)
            file_format = _format(name, reply.content_type)
            counters = {"csv": count_csv_rows, "json": count_entries, None: _drain}
            # An empty file of the storage is a report without rows, whatever its format.
            head, chunks = peek(reply.chunks or (), 1)
            reply = replace(reply, chunks=chunks)
            path = resolve(self.destination, name_for_job(name, f"{job.type_segment}/{job.job_segment}"))
            manifest = save(
                reply,
                path,
                self.if_exists,
                counters[file_format] if head else _no_rows,
                None,
                file_format=file_format,
                secrets=secrets,
            )
        return {**manifest, "format": file_format}


def _format(name: str, content_type: str) -> str | None:
    extension = name.lower().rpartition(".")[2]
    return extension if extension in _MEDIA_TYPES.values() else _MEDIA_TYPES.get(content_type)


def _no_rows(chunks: Iterable[bytes]) -> int:
    _drain(chunks)
    return 0


def _drain(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass
