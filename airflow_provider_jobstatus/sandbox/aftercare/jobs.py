"""Jobs at the Aftercare stand-in: coding, brand coding and data quality.

Sources: https://docs.getaftercare.com/api-reference/coding/get ,
https://docs.getaftercare.com/api-reference/coding/create ,
https://docs.getaftercare.com/api-reference/data-quality/batch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.aftercare.results import (
    Item,
    cut_page,
    evaluations,
    made_up_codes,
    question_codes,
)
from airflow_provider_jobstatus.sandbox.timeline import Timeline, read_timeline

SECONDS = {"queued": 2.0, "processing": 6.0}
CODING_ENDS = ("completed", "partial_failure", "total_failure")
QUALITY_ENDS = ("completed", "failed")
CODING_KEYS = ("batchJobId", "surveyIdentifier", "status", "results")
QUALITY_KEYS = ("batchJobId", "status", "results")
POSITIONS = {
    "usual": CODING_KEYS,
    "first": ("status", "batchJobId", "surveyIdentifier", "results"),
    "middle": ("batchJobId", "results", "status", "surveyIdentifier"),
    "last": ("batchJobId", "surveyIdentifier", "results", "status"),
}
NULL_FORMS = ("null", "absent")


@dataclass(frozen=True, kw_only=True)
class AftercareForms:
    """The forms of an answer that no page settles.

    :param page_size: Top-level codes, or evaluations, on a page of results; 0 for all on one.
    :param status_position: Where ``status`` stands in the reply: ``first``, behind the results in the
        ``middle``, ``last``, or as ``usual`` just before the results.
    :param running_results: Whether ``results`` is ``null`` or ``absent`` while the job runs.
    :param last_cursor: Whether ``nextCursor`` is ``null`` or ``absent`` on the last page.
    :param repeat_cursor: Whether every page but the first leads to itself.
    """

    page_size: int = 0
    status_position: str = "usual"
    running_results: str = "null"
    last_cursor: str = "null"
    repeat_cursor: bool = False


def read_forms(given: Fields) -> dict[str, Any]:
    """Read those forms that are given."""
    return given.changed(
        AftercareForms(), status_position=POSITIONS, running_results=NULL_FORMS, last_cursor=NULL_FORMS
    )


@dataclass(kw_only=True)
class AftercareJob:
    """One job.

    :param job_id: Its ``batchJobId``.
    :param survey: Its survey; none for a data-quality job, whose answers name none.
    :param timeline: Its status.
    :param items: What it finds: codes with their questions, or evaluations.
    :param failure: The results of a job that has ended badly.
    :param results_bytes: About how large its results are made; none leaves them as they are.
    :param own_forms: AftercareForms in which it differs from the settings.
    """

    job_id: str
    survey: str | None
    timeline: Timeline
    items: Sequence[Any]
    failure: Item
    results_bytes: int | None = None
    own_forms: Mapping[str, Any] = field(default_factory=dict)

    def forms(self, usual: AftercareForms) -> AftercareForms:
        """Return the forms in which this job is shown."""
        return replace(usual, **self.own_forms)

    def completed(self, now: float) -> bool:
        """Return whether the job has results."""
        return self.timeline.word(now) == "completed"

    def status(self, now: float, forms: AftercareForms, cursor: str | None = None) -> dict[str, object]:
        """Return the body of a status answer.

        :raises BadCursor: There is no such page.
        """
        body: dict[str, object] = {
            "batchJobId": self.job_id,
            "surveyIdentifier": self.survey,
            "status": self.timeline.word(now),
            "results": self._results(now, forms, cursor),
        }
        keys = QUALITY_KEYS if self.survey is None else POSITIONS[forms.status_position]
        body = {key: body[key] for key in keys}
        running = self.survey is not None and not self.timeline.ended(now)
        if running and forms.running_results == "absent":
            del body["results"]
        return body | dict(self.timeline.overrides)

    def _results(self, now: float, forms: AftercareForms, cursor: str | None) -> Item | None:
        if self.completed(now):
            page, following = cut_page(self.items, cursor, forms.page_size)
            if forms.repeat_cursor and cursor is not None:
                following = cursor
            last = {} if following is None and forms.last_cursor == "absent" else {"nextCursor": following}
            if self.survey is None:
                return {"items": list(page)} | last
            ended_at = datetime.fromtimestamp(self.timeline.ended_at(now), UTC)
            completed_at = ended_at.strftime("%Y-%m-%dT%H:%M:%SZ")
            return {"completedAt": completed_at, "questionCodes": question_codes(page)} | last
        if self.survey is None:
            return {"items": [], "nextCursor": None}
        return dict(self.failure) if self.timeline.ended(now) else None


def read_coding_job(
    job_id: str, spec: Mapping[str, object], now: float, items: Sequence[Any] | None = None
) -> AftercareJob:
    """Make a coding job from the body of an admin request.

    :param items: What it finds; none makes it up.
    :raises ValueError: The body has mistakes.
    """
    given = Fields(spec, "job")
    counts = [
        given.whole(key, usual) or 0
        for key, usual in (("questions", 2), ("codes_per_question", 3), ("responses_per_code", 2))
    ]
    job = AftercareJob(
        job_id=job_id,
        survey=given.text("survey_identifier", "survey-1"),
        timeline=read_timeline(given, now, seconds=SECONDS, ends=CODING_ENDS, keys=CODING_KEYS),
        items=made_up_codes(*counts) if items is None else items,
        failure={
            "code": given.text("failure_code", "PROCESSING_ERROR"),
            "message": given.text("failure_message", "The answers could not be coded."),
        },
        results_bytes=given.whole("results_bytes", None),
        own_forms=read_forms(given),
    )
    given.finish()
    return job


def read_quality_job(
    job_id: str, spec: Mapping[str, object], now: float, count: int | None = None
) -> AftercareJob:
    """Make a data-quality job from the body of an admin request.

    :param count: How many respondents it evaluates; none takes ``responses`` of the spec.
    :raises ValueError: The body has mistakes.
    """
    given = Fields(spec, "job")
    usual = 3 if count is None else count
    job = AftercareJob(
        job_id=job_id,
        survey=None,
        timeline=read_timeline(given, now, seconds=SECONDS, ends=QUALITY_ENDS, keys=QUALITY_KEYS),
        items=evaluations(given.whole("responses", usual) or 0),
        failure={},
        own_forms=read_forms(given),
    )
    given.finish()
    return job
