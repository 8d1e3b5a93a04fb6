"""What travels from the triggerer to the worker: small, exact where it is not marked, refused if foreign."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.jobs import COUNT_KEYS, JobState, JobStatus
from airflow_provider_jobstatus.waiting.codec import ENTRY_BYTES, MAX_WORDS, VERSION, pack, unpack
from airflow_provider_jobstatus.waiting.spec import JobEvent, Outcome
from airflow_provider_jobstatus.waiting.wait_log import FEW
from tests.support.values import assert_storable, hostile_text

STARTED_AT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
#: The most that an event of many jobs takes besides its entries: words and an example of each end.
HEAD_BYTES = 64_000
UNFINISHED = [outcome for outcome in Outcome if outcome is not Outcome.FINISHED]

numbers = st.none() | st.integers() | st.integers(0, 10**6) | st.just(10**400) | st.booleans()
times = (
    st.none()
    | st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)  # noqa: DTZ001
    | st.sampled_from(["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "2026-11-01T08:00:00"])
    | hostile_text
)
words = (
    st.sampled_from(["complete", "processing", "failed"]) | hostile_text | st.text(min_size=80, max_size=90)
)
#: Of a hook that behaves, and of one that puts anything anywhere.
statuses = st.builds(
    JobStatus,
    job_id=st.just(""),
    vendor=st.just("ruler") | hostile_text,
    state=st.sampled_from(JobState),
    vendor_status=words,
    detail=st.none() | hostile_text,
    progress=numbers | st.floats(),
    counts=st.none()
    | st.fixed_dictionaries(dict.fromkeys(COUNT_KEYS, numbers))
    | st.dictionaries(hostile_text | st.sampled_from(COUNT_KEYS), numbers, max_size=4),
    created_at=times,
    completed_at=times,
)


@st.composite
def ends(draw: st.DrawFn) -> list[JobEvent]:
    """More jobs than a few, each with an end of its own."""
    events = []
    for number in range(draw(st.integers(FEW + 1, FEW + 12))):
        status = draw(st.none() | statuses)
        if status is not None:
            status = replace(status, job_id=f"job-{number}")
        finished = status is not None and status.state.terminal and draw(st.booleans())
        outcome = Outcome.FINISHED if finished else draw(st.sampled_from(UNFINISHED))
        events.append(JobEvent(f"job-{number}", outcome, status, draw(hostile_text)))
    return events


def ids(events: list[JobEvent]) -> list[str]:
    return [event.job_id for event in events]


def travelled(payload: dict[str, Any], job_ids: list[str]) -> tuple[list[JobEvent], set[str]]:
    """Read an event as the worker does: after a strict JSON store."""
    return unpack(json.loads(json.dumps(payload, allow_nan=False)), job_ids)


def shown(event: JobEvent) -> dict[str, Any] | None:
    return None if event.status is None else event.status.as_dict()


def finished(number: int, **facts: Any) -> JobEvent:
    status = JobStatus(f"job-{number}", "ruler", JobState.SUCCEEDED, "complete")
    return JobEvent(status.job_id, Outcome.FINISHED, replace(status, **facts))


@given(events=ends(), started_at=st.just(STARTED_AT) | st.floats(0, 4e9))
def test_every_status_that_is_not_marked_arrives_as_it_was(events: list[JobEvent], started_at: float) -> None:
    arrived, again = travelled(pack(events, started_at), ids(events))

    assert [(end.job_id, end.outcome) for end in arrived] == [(end.job_id, end.outcome) for end in events]
    for sent, came in zip(events, arrived, strict=True):
        if sent.job_id not in again:
            assert shown(came) == shown(sent)
        elif sent.status is not None and came.status is not None:
            assert came.status.state is sent.status.state


@given(events=ends())
def test_no_status_takes_more_than_its_share_of_an_event(events: list[JobEvent]) -> None:
    payload = pack(events, STARTED_AT)
    entries = payload.pop("jobs")

    assert len(json.dumps(entries)) <= ENTRY_BYTES * len(events) + len("[]")
    assert len(json.dumps(payload)) <= HEAD_BYTES
    assert_storable(entries)


@pytest.mark.parametrize(
    ("facts", "marked"),
    [
        ({}, False),
        ({"progress": 100, "counts": dict.fromkeys(COUNT_KEYS, 10_000_000)}, False),
        ({"counts": {**dict.fromkeys(COUNT_KEYS), "failed": 0}}, False),
        (
            {"created_at": "2026-10-31T08:00:00.123456+00:00", "completed_at": "2026-11-01T08:00:00+00:00"},
            False,
        ),
        ({"detail": ""}, True),
        ({"detail": "3 rows failed"}, True),
        ({"progress": 40.5}, True),
        ({"progress": 10**200}, True),
        ({"counts": dict.fromkeys(COUNT_KEYS)}, True),
        ({"counts": {"rows": 3}}, True),
        ({"counts": dict.fromkeys(COUNT_KEYS, 2**53)}, True),
        ({"created_at": "2026-11-01T08:00:00+01:00"}, True),
        ({"created_at": "0001-01-01T00:00:00+01:00"}, True),
        ({"created_at": "soon"}, True),
        ({"vendor_status": "x" * 81}, True),
    ],
    ids=str,
)
def test_a_job_is_marked_if_its_status_has_a_detail_or_does_not_fit(
    facts: dict[str, Any], marked: bool
) -> None:
    events = [finished(number) for number in range(FEW)] + [finished(FEW, **facts)]

    arrived, again = travelled(pack(events, STARTED_AT), ids(events))

    assert again == ({f"job-{FEW}"} if marked else set())
    if not marked:
        assert shown(arrived[-1]) == shown(events[-1])


def test_ten_thousand_words_of_a_vendor_do_not_make_an_event_larger() -> None:
    events = [
        finished(number, vendor_status=f"{number} of 10000 done " + "\u00e9" * 60) for number in range(10_000)
    ]

    payload = pack(events, STARTED_AT)
    arrived, again = travelled(payload, ids(events))

    assert len(payload["words"]) <= MAX_WORDS + len(JobState)
    assert len(json.dumps(payload)) <= ENTRY_BYTES * len(events) + HEAD_BYTES
    assert len(again) == len(events) - MAX_WORDS
    assert all(end.status is not None and end.status.state is JobState.SUCCEEDED for end in arrived)


def test_a_usual_job_of_many_takes_less_than_its_share() -> None:
    began = datetime.fromtimestamp(STARTED_AT, UTC)
    events = [
        finished(
            number,
            progress=100,
            counts={"total": 100_000, "processed": 100_000, "succeeded": 99_900, "failed": 100},
            created_at=(began - timedelta(seconds=number)).isoformat(),
            completed_at=(began + timedelta(hours=1, seconds=number)).isoformat(),
        )
        for number in range(1000)
    ]

    payload = pack(events, STARTED_AT)

    assert travelled(payload, ids(events)) == (events, set())
    assert len(json.dumps(payload)) < ENTRY_BYTES * len(events)


@pytest.mark.parametrize("jobs", [1, FEW])
def test_a_few_jobs_travel_whole(jobs: int) -> None:
    events = [finished(number, detail="why", progress=40, created_at="soon") for number in range(jobs)]

    assert travelled(pack(events, STARTED_AT), ids(events)) == (events, set())


def test_of_many_jobs_an_end_without_a_result_carries_the_message_of_one_like_it() -> None:
    events = [
        JobEvent(f"job-{number}", Outcome.GAVE_UP, None, f"job-{number}: no answer")
        for number in range(FEW + 1)
    ]

    arrived, _ = travelled(pack(events, STARTED_AT), ids(events))

    assert arrived[3].message == "job-3: gave up; of one of these jobs: job-0: no answer"


@pytest.mark.parametrize("jobs", [1, FEW + 1])
def test_the_event_of_other_jobs_is_refused(jobs: int) -> None:
    payload = pack([finished(number) for number in range(jobs)], STARTED_AT)
    others = [f"job-{number + 1}" for number in range(jobs)]

    for job_ids in (others, others[1:], []):
        with pytest.raises(ValueError, match="of other jobs"):
            travelled(payload, job_ids)


FOREIGN: list[Any] = [
    None,
    7,
    "",
    [],
    {},
    "x,,,",
    "f9",
    "fzz",
    "f0,1,2,3,4,5,6,7,8,9",
    "f0,,ffffffffffffffffffff",
]


@pytest.mark.parametrize("entry", FOREIGN, ids=str)
def test_an_entry_that_is_no_end_of_a_wait_is_refused(entry: Any) -> None:
    events = [finished(number) for number in range(FEW + 1)]
    payload = {**pack(events, STARTED_AT)}
    payload["jobs"] = [*payload["jobs"][:-1], entry]

    with pytest.raises((ValueError, TypeError, LookupError, AttributeError, OverflowError)):
        travelled(payload, ids(events))


def test_the_version_is_the_one_that_the_worker_looks_at() -> None:
    assert pack([], STARTED_AT)["version"] == VERSION
    assert pack([finished(number) for number in range(FEW + 1)], STARTED_AT)["version"] == VERSION
