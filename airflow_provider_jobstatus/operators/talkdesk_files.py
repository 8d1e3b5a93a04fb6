"""How a finished report of Talkdesk becomes a file, for the operators that fetch one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import (
    DestinationError,
    JobCancelled,
    JobFailed,
    JobNotFinished,
)
from airflow_provider_jobstatus.files.destination import IfExists
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_jobstatus.files.download import Counter
    from airflow_provider_jobstatus.files.retry_budget import RetryBudget

log = logging.getLogger(__name__)

_MEDIA_TYPES = {"text/csv": "csv", "application/json": "json"}

#: Of the digests that are kept in Airflow's task state.
_KEY = "airflow_provider_jobstatus.fetched"


def expect_done(hook: TalkdeskHook, job_id: str, patience: RetryBudget) -> JobStatus:
    """
    Ask for a job's status, and return it if the job has a file.

    :raises JobNotFinished, JobCancelled, JobFailed: it has none.
    :raises VendorError: no usable response, within what is left of ``patience``.
    """
    status = patience.try_out(lambda: hook.job_status(job_id))
    line = f"{job_id}: {status.describe()}"
    if status.state is JobState.RUNNING:
        raise JobNotFinished(f"{line}; wait for it with BatchJobSensor")
    if status.state is JobState.CANCELLED:
        raise JobCancelled(line, status.as_dict())
    if status.state is JobState.FAILED:
        raise JobFailed(line, status.as_dict())
    return status


def fetch_report(
    hook: TalkdeskHook,
    job_id: str,
    vendor_status: str,
    destination: object,
    patience: RetryBudget,
    *,
    if_exists: IfExists = "replace",
    max_bytes: int | None = None,
) -> dict[str, Any]:
    """
    Write the file of a finished job, and return its manifest, without the job's id.

    A stream that breaks goes on where it broke, if the storage proves that it is the same file. The first try
    takes the file compressed on its way, if the server does that; such a stream cannot be resumed, so that
    later ones do not.

    :param vendor_status: the job's status word, for a message.
    :param max_bytes: most bytes that are written.
    :raises VendorError, DownloadIncomplete: it cannot be had, within what is left of ``patience``.
    :raises SettingsError: it is larger.
    :raises DestinationError: it cannot be written.
    """
    from airflow_provider_jobstatus.files.resuming import Resumption

    job, resumption, tries = hook.parse_job_id(job_id), Resumption(patience), iter((True,))

    def download() -> dict[str, Any]:
        from airflow_provider_jobstatus.core.encodings import peek
        from airflow_provider_jobstatus.files.destination import resolve
        from airflow_provider_jobstatus.files.download import named, save
        from airflow_provider_jobstatus.files.naming import name_for_job
        from airflow_provider_jobstatus.files.size_limit import limited

        with ExitStack() as opened:

            def open_file(begin: int = 0, etag: str = "") -> Any:
                opened.close()
                operation = hook.file_operation(job, begin, etag, encoded=next(tries, False))
                return opened.enter_context(hook.open(operation))

            sent = open_file()
            kind = _MEDIA_TYPES.get(sent.content_type)
            secrets = (*hook.auth.secrets, *sent.secrets)
            reply = limited(resumption.continued(sent, open_file), max_bytes)
            name, reply = named(reply, f"report.{kind}" if kind else "report", secrets)
            file_format = _format(name, reply.content_type)
            # An empty file of the storage is a report without rows, whatever its format.
            head, chunks = peek(reply.chunks or (), 1)
            path = resolve(destination, name_for_job(name, f"{job.type_segment}/{job.job_segment}"))
            manifest = save(
                replace(reply, chunks=chunks),
                path,
                if_exists,
                _counter(file_format) if head else _no_rows,
                None,
                file_format=file_format,
                secrets=secrets,
            )
        return {**manifest, "format": file_format}

    return patience.try_out(download, if_missing=f"the job is {vendor_status}, and yet its file is not there")


def remember(context: Context, manifests: Mapping[str, dict[str, Any]]) -> None:
    """Keep the digests of what was published, by job id, for a later try; from Airflow 3.3 on."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(_KEY, {job_id: manifest["sha256"] for job_id, manifest in manifests.items()})


def earlier_manifest(
    hook: TalkdeskHook, job_id: str, destination: object, context: Context
) -> dict[str, Any] | None:
    """
    Return the manifest, without the job's id, of the file that an earlier try has published for a job; None
    if nothing shows that there is one: neither the file's name in a folder, nor the digest that was kept.
    """
    from airflow_provider_jobstatus.files.earlier import earlier_file, read_again

    job = hook.parse_job_id(job_id)
    path = earlier_file(destination, f"{job.type_segment}/{job.job_segment}")
    if path is None:
        return None
    store: Any = context.get("task_state_store")
    kept = (store.get(_KEY) if store is not None else None) or {}
    digest, size = hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        nonlocal size
        for piece in read_again(path):
            digest.update(piece)
            size += len(piece)
            yield piece

    file_format = _format(path, "")
    try:
        rows = _counter(file_format)(read())
    except (ValueError, OSError, DestinationError):
        return None  # not whole after all, or not to be read
    if not str(destination).endswith("/") and kept.get(job_id) != digest.hexdigest():
        return None
    return {
        "path": path,
        "bytes": size,
        "rows": rows,
        "sha256": digest.hexdigest(),
        "verified_by": "earlier try",
        "format": file_format,
    }


def delete_report(hook: TalkdeskHook, job_id: str, manifest: dict[str, Any]) -> None:
    """
    Delete a report's file at Talkdesk, if ours is there; whatever goes wrong is a warning.

    A file that was there before us, or that is empty, which may be a fault, is no reason to delete another.

    :param manifest: of the file that was published.
    """
    from airflow_provider_jobstatus.files.earlier import size_of

    if manifest.get("skipped") or not manifest["bytes"]:
        log.warning("%s is not deleted at Talkdesk: this task has not fetched a file with rows", job_id)
        return
    try:
        if size_of(manifest["path"]) != manifest["bytes"]:
            log.warning("%s is not deleted at Talkdesk: %s has changed", job_id, manifest["path"])
            return
        hook.call(hook.delete_operation(hook.parse_job_id(job_id)))
    except (VendorError, SettingsError, DestinationError, OSError) as error:
        log.warning("%s may not be deleted at Talkdesk, or was before: %s", job_id, error)
    else:
        log.info("%s is deleted at Talkdesk", job_id)


def _format(name: str, content_type: str) -> str | None:
    extension = name.lower().rpartition(".")[2]
    return extension if extension in _MEDIA_TYPES.values() else _MEDIA_TYPES.get(content_type)


def _counter(file_format: str | None) -> Counter:
    from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
    from airflow_provider_jobstatus.core.json_rows import count_entries

    counters: dict[str | None, Counter] = {"csv": count_csv_rows, "json": count_entries}
    return counters.get(file_format, _drain)


def _no_rows(chunks: Iterable[bytes]) -> int:
    _drain(chunks)
    return 0


def _drain(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass
