"""What travels from the triggerer to the worker: small, without loss, refused if it is anything else."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.jobs import COUNT_KEYS, JobState, JobStatus
from airflow_provider_jobstatus.exceptions import BadTriggerEvent
from airflow_provider_jobstatus.tasks.outcome_policy import read_event
from airflow_provider_jobstatus.waiting.codec import MAX_JOB_BYTES, SLICE, VERSION, compress, decode, encode
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED
from tests.support.values import assert_storable, hostile_text

STARTED_AT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
MANY = MAX_DETAILED + 1
UNFINISHED = [outcome for outcome in OutcomeKind if outcome is not OutcomeKind.FINISHED]

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
def ends(draw: st.DrawFn) -> list[WaitOutcome]:
    """More jobs than a few, each with an end of its own."""
    events = []
    for number in range(draw(st.integers(MAX_DETAILED + 1, MAX_DETAILED + 12))):
        status = draw(st.none() | statuses)
        if status is not None:
            status = replace(status, job_id=f"job-{number}")
        finished = status is not None and status.state.terminal and draw(st.booleans())
        outcome = OutcomeKind.FINISHED if finished else draw(st.sampled_from(UNFINISHED))
        events.append(WaitOutcome(f"job-{number}", outcome, status, draw(hostile_text)))
    return events


def ids(events: list[WaitOutcome]) -> list[str]:
    return [event.job_id for event in events]


def travelled(payload: dict[str, Any], job_ids: list[str]) -> list[WaitOutcome]:
    """Read an event as the worker does: after a strict JSON store."""
    return decode(json.loads(json.dumps(payload, allow_nan=False)), job_ids)


def shown(events: list[WaitOutcome]) -> list[dict[str, Any]]:
    return [event.as_dict() for event in events]


def finished(number: int, **facts: Any) -> WaitOutcome:
    status = JobStatus(f"job-{number}", "ruler", JobState.SUCCEEDED, "complete")
    return WaitOutcome(status.job_id, OutcomeKind.FINISHED, replace(status, **facts))


def usual(jobs: int) -> list[WaitOutcome]:
    """Return ends as a vendor tells them: no two times and counts alike, some with an explanation."""
    draw = random.Random(1)  # noqa: S311 - no secret
    began = datetime.fromtimestamp(STARTED_AT, UTC)
    events = []
    for number in range(jobs):
        total, failed = draw.randrange(100, 100_000), draw.randrange(50) if number % 20 == 0 else 0
        events.append(
            finished(
                number,
                progress=100,
                detail=f"{failed} rows have no date" if failed else None,
                counts={"total": total, "processed": total, "succeeded": total - failed, "failed": failed},
                created_at=(began + timedelta(seconds=draw.randrange(86_400))).isoformat(),
                completed_at=(began + timedelta(seconds=draw.randrange(86_400, 172_800))).isoformat(),
            )
        )
    return events


def payload_of(raw: bytes, jobs: int = MANY) -> dict[str, Any]:
    """Return an event of many jobs that carries something else."""
    return {
        **encode([finished(number) for number in range(jobs)]),
        "jobs": base64.b64encode(raw).decode(),
    }


@given(events=ends())
@settings(max_examples=20)
def test_the_ends_of_many_jobs_arrive_as_they_were(events: list[WaitOutcome]) -> None:
    payload = encode(events)

    assert shown(travelled(payload, ids(events))) == shown(events)
    assert_storable(payload)
    assert_storable(json.loads(zlib.decompress(base64.b64decode(payload["jobs"]))))


@pytest.mark.parametrize("jobs", [1, MAX_DETAILED])
def test_a_few_jobs_travel_readable(jobs: int) -> None:
    events = [finished(number, detail="why", progress=40, created_at="soon") for number in range(jobs)]
    payload = encode(events)

    assert payload == {"version": VERSION, "jobs": shown(events)}
    assert travelled(payload, ids(events)) == events


def test_of_many_jobs_a_person_reads_the_sum_and_the_ids() -> None:
    payload = encode([finished(number) for number in range(MANY)])

    assert payload.pop("jobs")
    assert payload == {
        "version": VERSION,
        "summary": f"{MANY} jobs: {MANY} succeeded",
        "ids": [f"job-{number}" for number in range(MANY)],
    }


def test_each_of_many_jobs_keeps_its_own_message() -> None:
    events = [WaitOutcome(f"job-{n}", OutcomeKind.GAVE_UP, None, f"job-{n}: no answer") for n in range(MANY)]

    assert travelled(encode(events), ids(events)) == events


@pytest.mark.parametrize("jobs", [MAX_DETAILED, MANY, SLICE, SLICE + 1, 3 * SLICE])
def test_ends_that_were_compressed_in_steps_make_the_same_event(jobs: int) -> None:
    events = usual(jobs)

    assert encode(events, list(compress(events))) == encode(events)
    assert travelled(encode(events), ids(events)) == events


def test_ten_thousand_usual_jobs_take_40_bytes_each_besides_their_ids() -> None:
    events = usual(10_000)
    payload = encode(events)

    assert travelled(payload, ids(events)) == events
    assert len(payload["jobs"]) <= 40 * len(events)
    # No step takes longer than it takes to make a few plain dicts.
    assert len(list(compress(events))) == len(events) / SLICE + 1


def test_the_longest_texts_that_a_vendor_may_send_are_read() -> None:
    texts = {"detail": "\u4e16" * 9000, "vendor_status": "\u4e16" * 500, "created_at": "\u4e16" * 80}
    events = [replace(finished(n, **texts), message="\u4e16" * 9000) for n in range(MANY)]

    assert shown(travelled(encode(events), ids(events))) == shown(events)


@pytest.mark.parametrize("jobs", [1, MANY])
def test_the_event_of_other_jobs_is_refused(jobs: int) -> None:
    payload = encode([finished(number) for number in range(jobs)])
    others = [f"job-{number + 1}" for number in range(jobs)]

    for job_ids in (others, others[1:], []):
        with pytest.raises(ValueError, match="of other jobs"):
            travelled(payload, job_ids)


END = encode([finished(0)])["jobs"][0]
FOREIGN: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "an object": {},
    "no ends": [],
    "an end too few": [END] * (MANY - 1),
    "an end too many": [END] * (MANY + 1),
    "ends that are none": ["x"] * MANY,
    "ends without a status": [{"outcome": "finished", "status": None, "message": ""}] * MANY,
    "a status that is none": [{**END, "status": []}] * MANY,
    "an outcome that is none": [{**END, "outcome": "well"}] * MANY,
    "a field more": [{**END, "more": 1}] * MANY,
}


WHOLE = base64.b64decode(encode(usual(MANY))["jobs"])
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "cut": WHOLE[:-1],
    "half": WHOLE[: len(WHOLE) // 2],
    "with something behind": WHOLE + b"x",
    "twice": WHOLE * 2,
    "another byte within": WHOLE[:40] + bytes([WHOLE[40] ^ 255]) + WHOLE[41:],
    "not compressed": zlib.decompress(WHOLE),
    "no JSON": zlib.compress(b"[" * 10),
    "no text": zlib.compress(b"\xff\xfe"),
    "nested": zlib.compress(b"[" * 100_000 + b"]" * 100_000),
    "NaN": zlib.compress(b"[NaN]"),
    "larger than an event can be": zlib.compress(
        zlib.decompress(WHOLE)[:-1] + b" " * MAX_JOB_BYTES * MANY + b"]"
    ),
    "a bomb": zlib.compress(b"0" * 50_000_000),
}


#: Text in place of the compressed ends.
REFUSED: dict[str, Any] = {
    **{kind: base64.b64encode(raw).decode() for kind, raw in BROKEN.items()},
    **{
        kind: base64.b64encode(zlib.compress(json.dumps(each).encode())).decode()
        for kind, each in FOREIGN.items()
    },
    **{f"no base64: {text!r}": text for text in (None, 7, [], "*", "\u00e9", "AAA")},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_end_of_a_wait_or_broken_or_too_large_is_refused(kind: str) -> None:
    with pytest.raises(BadTriggerEvent, match="cannot be read"):
        read_event({**payload_of(b""), "jobs": REFUSED[kind]}, [f"job-{number}" for number in range(MANY)])


def test_no_more_of_a_bomb_is_unpacked_than_an_event_can_be() -> None:
    bomb = payload_of(zlib.compress(b"0" * 50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="larger than an event"):
            travelled(bomb, [f"job-{number}" for number in range(MANY)])
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_JOB_BYTES * MANY
    finally:
        tracemalloc.stop()


def test_the_version_is_the_one_that_the_worker_checks() -> None:
    assert encode([])["version"] == encode(usual(MANY))["version"] == VERSION
