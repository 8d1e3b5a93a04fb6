"""
The interval of a report, and the windows that it is split into.

``from`` is inclusive and ``to`` exclusive (https://docs.talkdesk.com/reference/execute-a-report, read
2026-11-21), so that intervals with a border in common neither miss a row nor have one twice.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean

#: Most windows of one interval: as many jobs are started.
MAX_WINDOWS = 1000
#: Longest interval that the pages of some reports grant: a month, with the hour that a clock may be put back.
LONGEST_INTERVAL = timedelta(days=31, hours=1)
#: How long after a call, at most, its row is in the report, where the pages say so.
FRESHNESS = {"audit_logs": timedelta(hours=1), "studio_flow_execution": timedelta(minutes=5)}

_NO_LENGTH = (
    "no interval at all, whose report would be empty. In Airflow 3 most runs have such a data interval: "
    "those that are started by hand, and by default also those of a cron expression or a timedelta. Give "
    "another start, such as '{{ dag_run.run_after - macros.timedelta(days=1) }}', or the DAG a timetable "
    "with intervals, such as CronDataIntervalTimetable"
)
# A zone's name as IANA writes it; system folders hold more files, such as "posix/UTC" and "localtime".
_ZONE = re.compile(r"(?!posix/|right/|localtime\Z|posixrules\Z)[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


class Window(NamedTuple):
    """
    The interval of one report, in UTC.

    :param start: inclusive.
    :param end: exclusive.
    """

    start: datetime
    end: datetime

    def timespan(self) -> dict[str, str]:
        """Return it as a request has it."""
        return {"from": utc_text(self.start), "to": utc_text(self.end)}


def utc_text(moment: datetime) -> str:
    """Return a moment in UTC, such as ``2026-03-04T00:00:00Z``; a fraction of a second is kept."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def moment(name: str, value: object) -> datetime:
    """
    Return the moment that an argument names, in UTC.

    :param name: of the argument.
    :param value: an aware datetime, or its text in ISO 8601, as a template renders one.
    :raises SettingsError: no moment, or one without an offset, which each machine would read differently.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        raise SettingsError(
            f"{name} is {clean(repr(value), 80)}; give a datetime with an offset, or its text in ISO 8601, "
            "such as '2026-03-04T00:00:00+01:00'"
        )
    if value.utcoffset() is None:
        raise SettingsError(
            f"{name} is {value.isoformat()}, without an offset, and may be any zone's; add one, as in "
            f"'{value.isoformat()}+00:00', or for a date '{{{{ ds }}}}T00:00:00Z'"
        )
    try:
        found = value.astimezone(UTC)
    except OverflowError:
        raise SettingsError(f"{name} is {value.isoformat()}, which is out of range") from None
    # A plain one: two of the same zone are otherwise compared, and subtracted, by the clock on the wall.
    return datetime.combine(found.date(), found.time(), UTC)


def windows(start: object, end: object, split_by: timedelta | None = None) -> list[Window]:
    """
    Return the windows of an interval, from the first: each begins where the one before it ends.

    :param start: as :func:`moment` takes it; inclusive.
    :param end: likewise; exclusive.
    :param split_by: length of each window but the last, in time that has passed: a day is 24 hours, also when
        clocks change. None for a single window.
    :raises SettingsError: no interval, a negative one, or more than :data:`MAX_WINDOWS`.
    """
    check_split(split_by)
    first, last = moment("start", start), moment("end", end)
    if first == last:
        raise SettingsError(f"start and end are both {utc_text(first)}: {_NO_LENGTH}")
    if first > last:
        raise SettingsError(f"start is {utc_text(first)} and end {utc_text(last)}, which is earlier")
    if split_by is None:
        return [Window(first, last)]
    count = -(-(last - first) // split_by)
    if count > MAX_WINDOWS:
        raise SettingsError(
            f"split_by {split_by} makes {count:,} reports of {utc_text(first)} to {utc_text(last)}, more "
            f"than {MAX_WINDOWS:,}; give a longer one, or a shorter interval"
        )
    borders = [*(first + number * split_by for number in range(count)), last]
    return [Window(*pair) for pair in pairwise(borders)]


def check_split(split_by: object) -> None:
    """
    Check the length of windows.

    :raises SettingsError: it is no timedelta, or not positive.
    """
    if split_by is not None and (not isinstance(split_by, timedelta) or split_by <= timedelta(0)):
        raise SettingsError(f"split_by is {clean(repr(split_by), 80)}; give a positive timedelta, or None")


def check_zone(name: object, *, look_up: bool = True) -> str:
    """
    Return the name of a time zone.

    :param look_up: whether to look for it in this machine's files, or only whether it can be a name.
    :raises SettingsError: IANA has none of this name.
    """
    if isinstance(name, str) and _ZONE.fullmatch(zone := name.strip()):
        if not look_up:
            return zone
        with suppress(zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return zoneinfo.ZoneInfo(zone).key
    raise SettingsError(
        f"timezone is {clean(repr(name), 80)}; give the IANA name of a time zone, such as 'Europe/Berlin'"
    )


def window_caveats(report_type: str, asked: Sequence[Window], now: datetime) -> Iterator[str]:
    """Yield what a report may miss: vendors change their limits, so that they are mentioned, not enforced."""
    longest = max(window.end - window.start for window in asked)
    if longest > LONGEST_INTERVAL:
        yield (
            f"a report of {longest.days} days is asked for; Talkdesk's pages grant some types a month at "
            "most: with split_by=timedelta(days=31) several reports take its place"
        )
    end = asked[-1].end
    if end > now - FRESHNESS.get(report_type, timedelta(minutes=1)):
        yield (
            f"the interval ends {utc_text(end)}, now or later: rows that Talkdesk does not have yet are not "
            "in the report, and no later one has them unless its interval does"
        )
