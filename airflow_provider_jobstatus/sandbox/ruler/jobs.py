"""Jobs at the Ruler stand-in: moving with time, or playing a script.

Source: https://rulerapi.com/batch-jobs/status
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.lists import ListScript, read_listed
from airflow_provider_jobstatus.sandbox.ruler.files import (
    DEMO_HEADER,
    Rejected,
    Row,
    Upload,
    demo_rows,
    failures_csv,
    failures_json,
    parse_failures,
)
from airflow_provider_jobstatus.sandbox.script import Entry, Script, read_script

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

    :param total_rows: Rows of the upload.
    :param failed_rows: Rejected rows; none means as many as the final status needs.
    :param pending_seconds: How long it is ``pending``.
    :param processing_seconds: How long it is ``processing`` after that.
    :param end: The final status.
    :param failure_reason: The reason that is told if the final status is ``failed``.
    :param failures: The text of the failures file; none makes one up.
    :param upload: The upload that has made the job, if one has.
    :param script: Answers to successive status requests.
    :param listed: What lists show of it.
    :param created_at: When the job was made, in epoch seconds.
    :param waits_for_poll: Whether it is made anew at the first status request.
    """

    total_rows: int
    failed_rows: int | None
    pending_seconds: float
    processing_seconds: float
    end: str
    failure_reason: str | None = None
    failures: str | None = None
    upload: Upload | None = None
    script: Script = field(default_factory=lambda: Script(repeat_last=True))
    listed: ListScript = field(default_factory=ListScript)
    created_at: float
    waits_for_poll: bool = False
    polls: int = 0
    last_poll_at: float | None = None
    _ended_at: float | None = None

    def poll(self, now: float) -> Entry | None:
        """Count a status request and return the scripted answer to it, if there is one."""
        if self.waits_for_poll:
            self.created_at, self.waits_for_poll = now, False
        self.polls += 1
        self.last_poll_at = now
        entry = self.script.take()
        if entry and entry.fields:
            self._note_end(now)
        return entry

    def show_in_list(self, now: float) -> None:
        """Let the script move on for a list that shows the job."""
        self.script.show_in_list()
        self._note_end(now)

    def _note_end(self, now: float) -> None:
        if self._ended_at is None and self.script.shown.get("status") in TERMINAL:
            self._ended_at = now

    def status(self, now: float, differs: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
        """Return the body of a status answer: what the script has shown last, else what the time says.

        :param differs: Keys that take these values instead.
        """
        overrides = {**self.script.shown, **differs}
        word, processed, ended_at = self._by_time(now)
        if "status" in overrides:
            word, processed, ended_at = self._by_word(overrides["status"], now)
        # Overridden counts shape the figures that follow from them, so that a test need not write them all.
        total = _whole(overrides.get("totalRows"), self.total_rows)
        processed = _whole(overrides.get("processedRows"), processed)
        failed = self._failed_at(word) if word in TERMINAL else self._failed_so_far(processed)
        # 100 at every end, a failure's included: the page says so.
        percent = 100 if word in TERMINAL else min(99, processed * 100 // total) if total else 0
        body: dict[str, object] = {
            "status": word,
            "totalRows": total,
            "processedRows": processed,
            "percentageProgress": percent,
            "successCount": max(0, processed - failed),
            "failureCount": failed,
            "createdDateTime": _naive_utc(self.created_at),
            "completedDateTime": None if ended_at is None else _naive_utc(ended_at),
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

    def _by_time(self, now: float) -> tuple[object, int, float | None]:
        elapsed = 0.0 if self.waits_for_poll else now - self.created_at
        working = elapsed - self.pending_seconds
        if working >= self.processing_seconds and not self.waits_for_poll:
            ended_at = self.created_at + self.pending_seconds + self.processing_seconds
            return self.end, self._processed_at(self.end), ended_at
        if working < 0 or self.waits_for_poll:
            return "pending", 0, None
        return "processing", int(self.total_rows * working / self.processing_seconds), None

    def _by_word(self, word: object, now: float) -> tuple[object, int, float | None]:
        if word in TERMINAL:
            return word, self._processed_at(word), now if self._ended_at is None else self._ended_at
        return word, 0 if word == "pending" else self.total_rows // 2, None

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
        return self._failed_at(self.end) * processed // self.total_rows if self.total_rows else 0

    def _processed_at(self, word: object) -> int:
        # What a job with a fatal error counts is unknown at the vendor; here, only rejected rows were read.
        fatal = word == "failed" and self.failure_reason is not None
        return self._failed_at(word) if fatal else self.total_rows


def read_job(spec: Mapping[str, object], now: float) -> RulerJob:
    """Make a job from the body of an admin request.

    :raises ValueError: The body has mistakes, or asks for counts that no job can end with.
    """
    given = Fields(spec, "job")
    total = given.whole("total_rows", 100) or 0
    failed = given.whole("failed_rows", None)
    reason = given.text("failure_reason")
    end = given.text("end") or _fitting_end(total, failed, reason)
    job = RulerJob(
        total_rows=total,
        failed_rows=failed,
        pending_seconds=given.number("pending_seconds", 2.0),
        processing_seconds=given.number("processing_seconds", 6.0),
        end=end,
        failure_reason=reason,
        failures=given.text("failures_csv"),
        script=Script(read_script(given.take("script", []), keys=STATUS_KEYS), repeat_last=True),
        listed=read_listed(given, LISTED_KEYS),
        created_at=now,
        waits_for_poll=given.flag("start_on_first_poll"),
    )
    given.finish()
    _check_end(job)
    return job


def uploaded_job(
    upload: Upload, now: float, *, pending_seconds: float, processing_seconds: float
) -> RulerJob:
    """Make the job that an upload starts."""
    failed = len(upload.rejected)
    return RulerJob(
        total_rows=upload.total_rows,
        failed_rows=failed,
        pending_seconds=pending_seconds,
        processing_seconds=processing_seconds,
        end=_fitting_end(upload.total_rows, failed, None),
        upload=upload,
        created_at=now,
    )


def _fitting_end(total: int, failed: int | None, reason: str | None) -> str:
    if reason is not None:
        return "failed"
    if not failed:
        return "complete"
    return "failed" if failed >= total else "partialcomplete"


def _check_end(job: RulerJob) -> None:
    failed = job.failed_rows
    if job.end not in TERMINAL:
        raise ValueError(f"job: end must be one of {', '.join(TERMINAL)}.")
    if failed is None:
        return
    if failed > job.total_rows:
        raise ValueError("job: failed_rows cannot be more than total_rows.")
    if job.end == "complete" and failed:
        raise ValueError("job: a complete job has no failed_rows.")
    if job.end == "partialcomplete" and not 0 < failed < job.total_rows:
        raise ValueError("job: a partialcomplete job has failed_rows, but not all rows.")
    if job.end == "failed" and job.failure_reason is None and failed < job.total_rows:
        raise ValueError("job: a failed job without failure_reason has failed in all rows.")


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _naive_utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
