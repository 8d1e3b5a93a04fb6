"""The work of fetching rejected rows from Ruler."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import NotFound
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.exceptions import DownloadIncomplete, JobNotFinished
from airflow_provider_jobstatus.files.destination import IfExists, unless_there, writing

if TYPE_CHECKING:
    from airflow_provider_jobstatus.hooks.ruler import RulerHook
    from airflow_provider_jobstatus.hooks.ruler.results import FailuresFormat
    from airflow_provider_jobstatus.hooks.ruler.upload_columns import JobType

log = logging.getLogger(__name__)

#: Appended to the name of a file that may be uploaded again, for the summary of what is wrong with its rows.
ERRORS_SUFFIX = ".errors.json"


@dataclass(frozen=True, kw_only=True)
class FetchFailures:
    """
    Fetches the rejected rows of a job.

    :param destination: where to write them; a folder ends in a slash.
    :param job_type: of the job.
    :param file_format: in which Ruler sends them.
    :param if_exists: what to do with a file that is there.
    :param reupload_ready: whether Ruler's own columns are left out, and summed up in a second file.
    :param at_work: entered while the file is written.
    """

    hook: RulerHook
    destination: object
    job_type: JobType = "revenue"
    file_format: FailuresFormat = "csv"
    if_exists: IfExists = "replace"
    reupload_ready: bool = False
    at_work: Callable[[], AbstractContextManager[Any]] = nullcontext

    def __call__(self, job_id: str) -> dict[str, Any]:
        """
        Return the manifest, of a job that has ended.

        :raises VendorError, SettingsError: as of the hook.
        :raises JobStatusError: as of the operator.
        """
        return {
            "job_id": job_id,
            **unless_there(self.destination, self.if_exists, lambda: self._fetch(job_id)),
        }

    def _fetch(self, job_id: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.retry_budget import RetryBudget

        patience = RetryBudget(f"{job_id} (connection {self.hook.conn_id!r})")
        status = patience.try_out(lambda: self.hook.job_status(job_id))
        if status.state is JobState.RUNNING:
            raise JobNotFinished(f"{job_id} is still {status.describe()}; wait for it with BatchJobSensor")
        with self.at_work():
            absent: list[NotFound] = []
            manifest = patience.try_out(
                lambda: self._download(status, absent),
                if_missing=f"the job is {status.vendor_status}, and yet its rejected rows are not there",
            )
        return {**manifest, "format": self.file_format}

    def _download(self, status: JobStatus, absent: list[NotFound]) -> dict[str, Any]:
        from airflow_provider_jobstatus.files.destination import resolve
        from airflow_provider_jobstatus.files.download import named
        from airflow_provider_jobstatus.files.naming import name_for_job
        from airflow_provider_jobstatus.hooks.ruler.results import (
            failures_name,
            may_have_no_rows,
            rejected_rows,
            says_no_rows,
        )

        parsed = self.hook.parse_job_id(status.job_id)
        job = f"{parsed.site_segment}/{parsed.job_segment}"
        default = failures_name(self.job_type, self.file_format)

        def path(name: str = default) -> str:
            return resolve(self.destination, name_for_job(name, job))

        failed, relaxed = rejected_rows(status), not self.hook.checks_failure_count()
        if says_no_rows(status):
            return self._no_rows(path())
        if status.state is JobState.SUCCEEDED and not failed:
            failed = None  # it says so and contradicts itself: whatever rows there are count
        try:
            operation = self.hook.failures_operation(parsed, self.file_format, self.job_type)
            with self.hook.open(operation) as sent:
                name, reply = named(sent, default, (*self.hook.auth.secrets, *sent.secrets))
                return self._save(reply, path(name), failed, relaxed, status.state is JobState.PARTIAL)
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
                log.warning("Ruler counts %d failures of %s, and has no rows of it", failed, job)
            return self._no_rows(path())

    def _save(
        self, reply: Any, path: str, failed: int | None, relaxed: bool, some_rows: bool
    ) -> dict[str, Any]:
        from tempfile import TemporaryDirectory

        from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
        from airflow_provider_jobstatus.core.json_rows import count_json_rows
        from airflow_provider_jobstatus.files.download import save

        def saved(path: str, if_exists: IfExists) -> dict[str, Any]:
            return save(
                reply,
                path,
                if_exists,
                count_csv_rows if self.file_format == "csv" else count_json_rows,
                failed,
                file_format=self.file_format,
                fewest_rows=int(some_rows),
                relaxed=relaxed,
                hint=f"; with extra 'check_failure_count': false in connection {self.hook.conn_id!r} another "
                "number of rows than failureCount is only warned about",
                secrets=self.hook.auth.secrets,
            )

        if not self.reupload_ready:
            return saved(path, self.if_exists)
        # Verified as a whole, before any of it is rewritten. Only its owner can read the folder.
        with TemporaryDirectory(prefix="jobstatus-") as folder:
            whole = saved(f"{folder}/rejected.csv", "replace")
            return whole | self._rewritten(f"{folder}/rejected.csv", path)

    def _rewritten(self, source: str, path: str) -> dict[str, Any]:
        """Write what may be uploaded again, and the summary; return what differs in the manifest."""
        import csv

        from airflow_provider_jobstatus.core.csv_rows import Lines, csv_rows
        from airflow_provider_jobstatus.core.encodings import NotText, strict_utf8
        from airflow_provider_jobstatus.hooks.ruler.corrections import Corrections

        corrections, digest, size = Corrections(), hashlib.sha256(), 0
        errors_path = path + ERRORS_SUFFIX
        # With "skip", only the file itself says whether there is something to do.
        if_exists: IfExists = "replace" if self.if_exists == "skip" else self.if_exists
        with (
            open(source, "rb") as rejected,
            writing(path, self.if_exists) as file,
            writing(errors_path, if_exists) as errors,
        ):
            lines = Lines()
            writer = csv.writer(lines)
            try:
                for row in corrections.kept(
                    csv_rows(strict_utf8(iter(lambda: rejected.read(256 * 1024), b"")))
                ):
                    writer.writerow(row)
                    if len(lines) >= 1000:
                        size += _written(file, lines, digest)
            except (csv.Error, NotText) as error:
                raise DownloadIncomplete(
                    f"the rejected rows cannot be made ready to be uploaded: {error}"
                ) from None
            size += _written(file, lines, digest)
            errors.write(_summary(corrections))
        return {
            "path": path,
            "bytes": size,
            "rows": corrections.rows,
            "sha256": digest.hexdigest(),
            "errors_path": errors_path,
        }

    def _no_rows(self, path: str) -> dict[str, Any]:
        from airflow_provider_jobstatus.hooks.ruler.corrections import Corrections

        content = b"" if self.file_format == "csv" else b"[]"
        manifest = {
            "path": path,
            "bytes": len(content),
            "rows": 0,
            "sha256": hashlib.sha256(content).hexdigest(),
            "verified_by": "status",
        }
        with ExitStack() as files:
            files.enter_context(writing(path, self.if_exists)).write(content)
            if self.reupload_ready:
                # That of an earlier job may be there.
                errors_path = path + ERRORS_SUFFIX
                if_exists: IfExists = "replace" if self.if_exists == "skip" else self.if_exists
                files.enter_context(writing(errors_path, if_exists)).write(_summary(Corrections()))
                manifest["errors_path"] = errors_path
        return manifest


def _summary(corrections: Any) -> bytes:
    return json.dumps(corrections.summary(), ensure_ascii=False, indent=1).encode()


def _written(file: Any, lines: list[str], digest: Any) -> int:
    """Write lines, forget them, and return their bytes."""
    data = "".join(lines).encode()
    lines.clear()
    file.write(data)
    digest.update(data)
    return len(data)
