"""Jobs at the Ruler stand-in: moving with time, or playing a script.

Source: https://rulerapi.com/batch-jobs/status
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import cast

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.lists import ListScript, read_listed
from airflow_provider_jobstatus.sandbox.ruler.files import (
    DEMO_HEADER,
    JOB_TYPES,
    Rejected,
    Row,
    demo_rows,
    failures_csv,
    failures_json,
    parse_failures,
)
from airflow_provider_jobstatus.sandbox.ruler.uploads import Upload
from airflow_provider_jobstatus.sandbox.timeline import Timeline, read_timeline

SECONDS = {"pending": 2.0, "processing": 6.0}
TERMINAL = ("complete", "partialcomplete", "failed")
STATUS_KEYS = (
    "status",
    "totalRows",
    "processedRows",
    "percentageProgress",
    "successCount",
    "failureCount",
    "createdDateTime",
    "completedDateTime",
    "failureReason",
)
LISTED_KEYS = ("status", "percentageProgress", "failureReason")


@dataclass(kw_only=True)
class RulerJob:
    """One job.

    :param timeline: Its status.
    :param total_rows: Rows of the upload.
    :param failed_rows: Rejected rows; None means as many as the final status needs.
    :param failure_reason: The reason that is shown if the final status is ``failed``.
    :param failures: The text of the failures file; None makes one up.
    :param upload: The upload that has made the job, if one has.
    :param listed: What lists show of it.
    :param job_type: Of what the upload was.
    """

    timeline: Timeline
    total_rows: int
    failed_rows: int | None
    failure_reason: str | None = None
    failures: str | None = None
    upload: Upload | None = None
    listed: ListScript = field(default_factory=ListScript)
    job_type: str = "revenue"

    def status(self, now: float, differs: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
        """Return the body of a status answer: what the script has shown last, else what the time says.

        :param differs: Keys that take these values instead.
        """
        overrides = {**self.timeline.overrides, **differs}
        word, share = self.timeline.stage(now)
        if "status" in overrides:
            word, share = cast(str, overrides["status"]), 0.5
        ended = word in TERMINAL
        # Overridden counts shape the figures that follow from them, so that a test need not write them all.
        total = _whole(overrides.get("totalRows"), self.total_rows)
        processed = _whole(overrides.get("processedRows"), self._processed(word, share))
        failed = self._failed_at(word) if ended else self._failed_so_far(processed)
        # 100 at every end, a failure's included: the page says so.
        percent = 100 if ended else min(99, processed * 100 // total) if total else 0
        body: dict[str, object] = {
            "status": word,
            "totalRows": total,
            "processedRows": processed,
            "percentageProgress": percent,
            "successCount": max(0, processed - failed),
            "failureCount": failed,
            "createdDateTime": _naive_utc(self.timeline.created_at),
            "completedDateTime": _naive_utc(self.timeline.ended_at(now)) if ended else None,
            "failureReason": self.failure_reason if word == "failed" else None,
        }
        return body | overrides

    def failures_file(self, now: float, kind: str) -> str | None:
        """Return the rejected rows as ``csv`` or ``json``, or none if there are none to be had yet."""
        word = self.status(now)["status"]
        if word not in ("partialcomplete", "failed"):
            return None
        if self.failures is not None:
            if kind == "csv":
                return self.failures
            header, rejected = parse_failures(self.failures)
        else:
            header, rejected = self._rejected(word)
        if not rejected:
            return None
        return failures_csv(header, rejected) if kind == "csv" else failures_json(header, rejected)

    def _rejected(self, word: object) -> tuple[Row, list[Rejected]]:
        if self.upload:
            return self.upload.header, self.upload.rejected
        return DEMO_HEADER, demo_rows(self._failed_at(word), self.total_rows)

    def _failed_at(self, word: object) -> int:
        """How many rows are rejected if the job ends with this word."""
        if word == "complete":
            return 0
        if self.failed_rows is not None:
            return self.failed_rows
        if word == "partialcomplete":
            return 1
        return self.total_rows if self.failure_reason is None else 0

    def _failed_so_far(self, processed: int) -> int:
        return self._failed_at(self.timeline.end) * processed // self.total_rows if self.total_rows else 0

    def _processed(self, word: str, share: float) -> int:
        """Return how many rows are processed, when this share of the stage is over."""
        if word in TERMINAL:
            # Unknown at the vendor: what a job with a fatal error counts. Here, only rejected rows were read.
            fatal = word == "failed" and self.failure_reason is not None
            return self._failed_at(word) if fatal else self.total_rows
        # Rounding must not take a row away.
        return 0 if word == "pending" else int(self.total_rows * share + 1e-9)


def read_job(spec: Mapping[str, object], now: float, upload: Upload | None = None) -> RulerJob:
    """Make a job from the body of an admin request.

    :param upload: The upload that makes it, if one does.
    :raises ValueError: The body has mistakes, or asks for counts that no job can end with.
    """
    given = Fields(spec, "job")
    total = given.whole("total_rows", 100) or 0
    failed = given.whole("failed_rows", None)
    reason = given.text("failure_reason")
    usual = _fitting_end(total, failed, reason)
    job = RulerJob(
        timeline=read_timeline(given, now, seconds=SECONDS, ends=TERMINAL, end=usual, keys=STATUS_KEYS),
        total_rows=total,
        failed_rows=failed,
        failure_reason=reason,
        failures=given.text("failures_csv"),
        upload=upload,
        listed=read_listed(given, LISTED_KEYS),
        job_type=given.choice("job_type", JOB_TYPES, upload.job_type if upload else "revenue"),
    )
    given.finish()
    _check_counts(job)
    return job


def uploaded_job(upload: Upload, now: float, seconds: Mapping[str, float]) -> RulerJob:
    """Make the job that an upload starts.

    :param seconds: How long each word before the end lasts, by the keys of an admin request.
    """
    return read_job(
        {"total_rows": upload.total_rows, "failed_rows": len(upload.rejected), **seconds}, now, upload
    )


def _fitting_end(total: int, failed: int | None, reason: str | None) -> str:
    if reason is not None:
        return "failed"
    if not failed:
        return "complete"
    return "failed" if failed >= total else "partialcomplete"


def _check_counts(job: RulerJob) -> None:
    failed, total, end = job.failed_rows, job.total_rows, job.timeline.end
    if failed is None:
        return
    mistakes = {
        "failed_rows cannot be more than total_rows.": failed > total,
        "a complete job has no failed_rows.": end == "complete" and failed > 0,
        "a partialcomplete job has failed_rows, but not all rows.": end == "partialcomplete"
        and not 0 < failed < total,
        "a failed job without failure_reason has failed in all rows.": end == "failed"
        and job.failure_reason is None
        and failed < total,
    }
    for mistake, made in mistakes.items():
        if made:
            raise ValueError(f"job: {mistake}")


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _naive_utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
