"""The interval of a report and its windows, as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.hooks.talkdesk.windows import (
    MAX_WINDOWS,
    Window,
    check_zone,
    moment,
    window_caveats,
    windows,
)

# Zones whose clocks change by an hour, by half of one, at midnight, by a whole day, and never.
ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata", "UTC")
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
moments = st.builds(
    lambda naive, zone, fold: naive.replace(tzinfo=ZoneInfo(zone), fold=fold),
    st.datetimes(datetime(2005, 1, 1), datetime(2029, 1, 1)),  # noqa: DTZ001 - the zone comes in above
    st.sampled_from(ZONES),
    st.sampled_from([0, 1]),
)
# As many windows as are allowed, and lengths that divide nothing.
splits = st.one_of(
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
    st.sampled_from([timedelta(hours=1), DAY, timedelta(days=7), timedelta(days=31)]),
)


@given(start=moments, split_by=splits, parts=st.fractions(0, MAX_WINDOWS), as_text=st.booleans())
def test_windows_cover_an_interval_without_gap_or_overlap(
    start: datetime, split_by: timedelta, parts: float, as_text: bool
) -> None:
    length = max(min(split_by * float(parts), timedelta(days=9000)), timedelta(microseconds=1))
    end = start.astimezone(UTC) + length
    ends = (start.isoformat(), end.astimezone(start.tzinfo).isoformat()) if as_text else (start, end)
    found = windows(*ends, split_by)
    assert (found[0].start, found[-1].end) == (start.astimezone(UTC), end)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(window.end - window.start == split_by for window in found[:-1])
    assert timedelta(0) < found[-1].end - found[-1].start <= split_by
    assert {each.tzinfo for window in found for each in window} == {UTC}
    # What is sent says the same to the microsecond.
    sent = [window.timespan() for window in found]
    assert all(before["to"] == after["from"] for before, after in pairwise(sent))
    assert [datetime.fromisoformat(each[key]) for each in sent for key in ("from", "to")] == [
        each for window in found for each in window
    ]


@pytest.mark.parametrize(
    ("start", "end", "split_by", "borders"),
    [
        # The clock is put forward on 29 March at 01:00 UTC, and back on 25 October.
        (
            datetime(2026, 3, 28, tzinfo=BERLIN),
            datetime(2026, 3, 30, tzinfo=BERLIN),
            DAY,
            "2026-03-27T23:00:00Z 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z",
        ),
        (
            pendulum.datetime(2026, 10, 24, tz="Europe/Berlin"),
            "2026-10-26 00:00:00+01:00",
            DAY,
            "2026-10-23T22:00:00Z 2026-10-24T22:00:00Z 2026-10-25T22:00:00Z 2026-10-25T23:00:00Z",
        ),
        # Half past two comes twice that night: an interval between the two is an hour.
        (
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
            None,
            "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z",
        ),
        (
            " 2028-02-01T00:00:00Z ",
            "2028-04-01T00:00:00Z",
            timedelta(days=31),
            "2028-02-01T00:00:00Z 2028-03-03T00:00:00Z 2028-04-01T00:00:00Z",
        ),
        (
            "2026-01-01T00:00:00.25Z",
            "20260101T000001+0000",
            None,
            "2026-01-01T00:00:00.250000Z 2026-01-01T00:00:01Z",
        ),
    ],
)
def test_an_interval_is_sent_in_utc(
    start: object, end: object, split_by: timedelta | None, borders: str
) -> None:
    pairs = [{"from": before, "to": after} for before, after in pairwise(borders.split())]
    assert [window.timespan() for window in windows(start, end, split_by)] == pairs


MIDNIGHT = "2026-03-04T00:00:00Z"


@pytest.mark.parametrize(
    ("start", "end", "split_by", "problem"),
    [
        (
            MIDNIGHT,
            MIDNIGHT,
            None,
            "both 2026-03-04T00:00:00Z: no interval at all.*In Airflow 3.*run_after",
        ),
        (MIDNIGHT, "2026-03-04T01:00:00+01:00", DAY, "no interval at all"),
        (MIDNIGHT, "2026-03-03T00:00:00Z", None, "earlier"),
        (
            "2026-03-04",
            MIDNIGHT,
            None,
            r"start is 2026-03-04T00:00:00, without an offset.*{{ ds }}T00:00:00Z",
        ),
        (MIDNIGHT, datetime(2026, 3, 5), None, "end is 2026-03-05T00:00:00, without an offset"),  # noqa: DTZ001
        ("None", MIDNIGHT, None, "start is 'None'"),
        (MIDNIGHT, None, None, "end is None"),
        (MIDNIGHT, 1772582400, None, "end is 1772582400"),
        (datetime.min.replace(tzinfo=timezone(DAY / 2)), MIDNIGHT, None, "out of range"),
        (MIDNIGHT, "2027-03-04T00:00:00Z", timedelta(hours=8), "makes 1,095 reports .* more than 1,000"),
        (MIDNIGHT, "2027-03-04T00:00:00Z", timedelta(0), "split_by is datetime.timedelta"),
        (MIDNIGHT, "2027-03-04T00:00:00Z", -DAY, "give a positive timedelta"),
        (MIDNIGHT, "2027-03-04T00:00:00Z", 86400, "split_by is 86400"),
    ],
)
def test_what_is_no_interval_is_refused(
    start: object, end: object, split_by: timedelta | None, problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        windows(start, end, split_by)


def test_a_moment_is_a_plain_datetime() -> None:
    assert type(moment("start", pendulum.datetime(2026, 3, 4))) is datetime


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5", " UTC "])
def test_a_zone_of_iana_is_taken(name: str) -> None:
    assert check_zone(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        *("", "Berlin", "Europe", "Europe/", "+01:00", "../zoneinfo/UTC", "/etc/localtime", "posix/UTC"),
        *("right/UTC", "localtime", "U\0TC", "Europe/Bérlin", "x" * 5000, None, 5),
    ],
)
def test_what_is_no_zone_is_refused(name: object) -> None:
    with pytest.raises(SettingsError, match="timezone is"):
        check_zone(name)


@pytest.mark.parametrize(
    ("days", "ahead", "report_type", "caveats"),
    [
        (31, 2 * DAY, "calls", []),
        (32, 2 * DAY, "calls", ["32 days"]),
        (1, timedelta(seconds=61), "calls", []),
        (1, timedelta(seconds=59), "calls", ["now or later"]),
        (1, timedelta(minutes=59), "audit_logs", ["now or later"]),
        (400, -DAY, "calls", ["400 days", "now or later"]),
    ],
)
def test_what_a_report_may_miss_is_mentioned(
    days: int, ahead: timedelta, report_type: str, caveats: list[str]
) -> None:
    end = datetime(2026, 3, 4, tzinfo=UTC)
    found = list(window_caveats(report_type, [Window(end - days * DAY, end)], end + ahead))
    assert len(found) == len(caveats)
    assert all(caveat in text for caveat, text in zip(caveats, found, strict=True))
