"""States, words, and one look at a job."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.jobs import (
    COUNT_KEYS,
    TERMINAL_STATES,
    JobState,
    JobStatus,
    StatusTable,
    row_counts,
    text_or_none,
    utc_time,
    whole_percent,
)
from tests.support.values import anything, assert_storable, hostile_text, json_values, numbers

clean_text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
statuses = st.builds(
    JobStatus,
    job_id=clean_text,
    vendor=clean_text,
    state=st.sampled_from(JobState),
    vendor_status=clean_text,
    detail=st.none() | clean_text,
    progress=st.none() | st.integers(0, 100),
    counts=st.none() | st.fixed_dictionaries({key: st.none() | st.integers(0, 2**53) for key in COUNT_KEYS}),
    created_at=st.none() | clean_text,
    completed_at=st.none() | clean_text,
)
RUNNING = JobStatus("a", "vendor", JobState.RUNNING, "processing")


def test_every_state_but_running_is_an_end() -> None:
    assert [state for state in JobState if not state.terminal] == [JobState.RUNNING]
    assert set(TERMINAL_STATES) == {"succeeded", "partial", "failed", "cancelled"}


@given(statuses)
def test_a_status_survives_the_way_as_plain_json(status: JobStatus) -> None:
    plain = status.as_dict()
    assert_storable(plain)
    assert JobStatus.from_dict(plain) == status
    assert type(plain["state"]) is str


@given(st.tuples(*[anything] * 8))
def test_a_status_of_whatever_a_hook_puts_in_can_be_stored(values: tuple[Any, ...]) -> None:
    assert_storable(JobStatus(values[0], values[1], JobState.FAILED, *values[2:]).as_dict())


def test_the_plain_form_has_the_documented_keys() -> None:
    assert RUNNING.as_dict() == {
        "job_id": "a",
        "vendor": "vendor",
        "state": "running",
        "vendor_status": "processing",
        "detail": None,
        "progress": None,
        "counts": None,
        "created_at": None,
        "completed_at": None,
    }


@given(st.one_of(json_values, anything, st.dictionaries(st.sampled_from(list(RUNNING.as_dict())), anything)))
def test_random_values_are_no_status(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        JobStatus.from_dict(value)


@given(st.sampled_from(list(RUNNING.as_dict())), anything)
def test_a_status_with_one_foreign_value_can_still_be_shown_or_is_refused(key: str, value: object) -> None:
    try:
        status = JobStatus.from_dict({**RUNNING.as_dict(), key: value})
    except ValueError:
        return
    assert isinstance(status.state, JobState)
    assert isinstance(status.describe(), str)


@pytest.mark.parametrize(
    "change",
    [
        *({"state": "done"}, {"state": None}, {"state": []}, {"job_id": 5}, {"vendor": None}),
        *({"vendor_status": {}}, {"detail": 1}, {"progress": "5"}, {"counts": []}, {"counts": "1234"}),
        *({"created_at": 0}, {"completed_at": 0}, {"more": 1}),
    ],
)
def test_a_status_of_another_kind_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"status of a job|valid JobState"):
        JobStatus.from_dict({**RUNNING.as_dict(), **change})


def test_a_status_without_one_of_its_keys_is_refused() -> None:
    for key in RUNNING.as_dict():
        plain = RUNNING.as_dict()
        del plain[key]
        with pytest.raises(ValueError, match="not the status"):
            JobStatus.from_dict(plain)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "'processing'"),
        ({"progress": 0}, "'processing' (0 %)"),
        ({"counts": {"total": 100, "processed": 40, "failed": 0}}, "'processing' (40 of 100 rows)"),
        ({"counts": {"total": None, "processed": 40, "failed": 3}}, "'processing' (3 failed)"),
        (
            {"progress": 40, "counts": {"total": 9, "processed": 0, "failed": 1}, "detail": "why"},
            "'processing' (40 %, 0 of 9 rows, 1 failed, why)",
        ),
    ],
)
def test_a_status_is_described_in_one_line(facts: dict[str, Any], text: str) -> None:
    assert JobStatus("a", "vendor", JobState.RUNNING, "processing", **facts).describe() == text


def test_words_are_known_whatever_their_case_and_the_space_around_them() -> None:
    table = StatusTable({"Complete": JobState.SUCCEEDED, "Überfällig": JobState.FAILED})
    assert table.state(" COMPLETE\n") is JobState.SUCCEEDED
    assert table.state("ÜbERFäLLIG") is JobState.FAILED
    assert table.state("completed") is None
    assert table.state("") is None


@pytest.mark.parametrize(
    "word", ["pa\u017f\u017fed OK", "pa\u00dfed OK", "Passed O\u212a", "\uff30assed OK", "passed \u00f2k"]
)
def test_a_word_in_other_letters_is_another_word(word: str) -> None:
    assert StatusTable({"Passed OK": JobState.SUCCEEDED}).state(word) is None


def test_a_users_words_win_over_the_vendors_and_leave_its_table_alone() -> None:
    table = StatusTable({"done": JobState.SUCCEEDED, "odd": JobState.RUNNING})
    merged = table.merged({" DONE ": JobState.PARTIAL, "new": JobState.FAILED})
    assert [merged.state(word) for word in ("done", "odd", "new")] == ["partial", "running", "failed"]
    assert [table.state(word) for word in ("done", "new")] == ["succeeded", None]


@pytest.mark.parametrize(
    ("value", "text"), [(None, None), ("", None), (" \n\0", None), ("why\n", "why"), (5, "5"), ([1], "[1]")]
)
def test_a_vendors_text_is_cleaned_or_none(value: object, text: str | None) -> None:
    assert text_or_none(value) == text


@given(st.one_of(numbers, anything))
def test_a_percentage_is_a_whole_one_or_none(value: object) -> None:
    percent = whole_percent(value)
    assert percent is None or (type(percent) is int and 0 <= percent <= 100)


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        *((0, 0), (40, 40), (99.99, 99), (100, 100), (101, 100), (-1, 0), (10**400, 100), (-(10**400), 0)),
        *((1e308, 100), (float("nan"), None), (float("inf"), None), (True, None), ("40", None)),
        *(("95%", None), (None, None), ([40], None)),
    ],
)
def test_a_percentage_is_shown_within_its_bounds(value: object, percent: int | None) -> None:
    assert whole_percent(value) == percent


@given(st.dictionaries(st.sampled_from(COUNT_KEYS), anything))
def test_counts_are_whole_numbers_or_none(values: dict[str, Any]) -> None:
    counts = row_counts(**values)
    if counts is None:
        return
    assert tuple(counts) == COUNT_KEYS
    assert any(count is not None for count in counts.values())
    assert all(
        count is None or (type(count) is int and count == float(values[key]) and 0 <= count <= 2**53)
        for key, count in counts.items()
    )


@pytest.mark.parametrize(
    "value", [None, True, -1, 2**53 + 1, 1.5, "one", "-1", "", "9" * 30, float("inf"), [1]]
)
def test_what_is_no_count_is_none(value: object) -> None:
    assert row_counts(total=value) is None
    assert row_counts(total=value, failed=0) == {
        "total": None,
        "processed": None,
        "succeeded": None,
        "failed": 0,
    }


@pytest.mark.parametrize("value", [7, 7.0, "7", " 07 "])
def test_a_count_may_be_text_or_have_a_fraction_of_zero(value: object) -> None:
    assert (row_counts(failed=value) or {})["failed"] == 7


def test_counts_keep_every_row() -> None:
    assert row_counts(total=2**53, processed=0, succeeded=7, failed=1) == {
        "total": 2**53,
        "processed": 0,
        "succeeded": 7,
        "failed": 1,
    }


@given(st.one_of(hostile_text, anything, st.text("0123456789-:TZW+. ", max_size=30)))
def test_a_time_has_an_offset_or_is_none(value: object) -> None:
    text = utc_time(value)
    if text is not None:
        assert datetime.fromisoformat(text).tzinfo is not None
        assert utc_time(text) == text


zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=st.none() | zones))
def test_a_time_stays_the_same_time_and_is_utc_if_it_does_not_say(moment: datetime) -> None:
    text = utc_time(f" {moment.isoformat()}\n")
    assert text is not None
    assert datetime.fromisoformat(text) == (moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-05-06T07:08:09", "2024-05-06T07:08:09+00:00"),
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09+00:00"),
        ("2024-05-06 07:08:09.5+02:00", "2024-05-06T07:08:09.500000+02:00"),
        *(("2024-13-06T07:08:09", None), ("yesterday", None), ("", None), (None, None), (1714979289, None)),
    ],
)
def test_a_vendors_time_is_iso_8601_with_offset(value: object, text: str | None) -> None:
    assert utc_time(value) == text


def test_a_status_is_never_changed() -> None:
    status = JobStatus("a", "toy", JobState.RUNNING, "Busy")
    with pytest.raises(FrozenInstanceError):
        status.state = JobState.SUCCEEDED  # type: ignore[misc]
