"""When a wait gives a sign of life, and what it says."""

from __future__ import annotations

import pytest

from airflow_provider_jobstatus.core.errors import ServerError, VendorError
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.status_lines import StatusLines, points, sign, told_until

#: 2001-09-09 01:46:40 UTC.
START = 1e9
DAY = 86_400


def waiting(jobs: int = 1, max_outage: float | None = 7200.0) -> list[JobPoller]:
    plan = WaitSpec(
        poll_interval=60,
        started_at=START,
        first_poll_at=START + 60,
        deadline_at=START + DAY,
        max_outage=max_outage,
    )
    return [JobPoller(f"job-{number}", plan, START, jitter=lambda: 0.0) for number in range(jobs)]


def away() -> VendorError:
    return ServerError("HTTP 503", vendor="ruler", status=503)


def running(poller: JobPoller, progress: int = 3) -> JobStatus:
    return JobStatus(poller.job_id, "ruler", JobState.RUNNING, "processing", progress=progress)


def minutes(signs: StatusLines, pollers: list[JobPoller], first: int, last: int) -> list[int]:
    """The minutes of a wait in which a sign is due."""
    return [minute for minute in range(first, last + 1) if signs.due(pollers, START + minute * 60.0)]


def test_signs_come_after_ten_minutes_and_then_hourly() -> None:
    assert minutes(StatusLines(START, START), waiting(), 0, 200) == [10, 70, 130, 190]


def test_a_wait_that_is_taken_over_goes_on_with_its_signs_and_repeats_none() -> None:
    assert minutes(StatusLines(START, START + 69 * 60), waiting(), 69, 140) == [79, 130]
    assert minutes(StatusLines(START, START + 71 * 60), waiting(), 71, 140) == [130]


def test_rare_checks_give_the_sign_late_and_once() -> None:
    signs = StatusLines(START, START)

    assert [signs.due(waiting(), START + hours * 3600) for hours in (0.5, 1, 5, 5.1, 6)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_during_an_outage_signs_come_each_ten_minutes() -> None:
    pollers = waiting(3)
    pollers[0].observe(running(pollers[0]), START + 15 * 60)
    pollers[2].observe(away(), START + 15 * 60)
    signs = StatusLines(START, START)

    assert minutes(signs, pollers, 0, 60) == [10, 25, 35, 45, 55]

    pollers[2].observe(running(pollers[2]), START + 61 * 60)
    assert minutes(signs, pollers, 61, 140) == [70, 130]


def test_a_job_that_is_not_waited_for_any_more_is_no_outage() -> None:
    pollers = waiting(2)
    pollers[0].observe(away(), START + 60)
    pollers[0].leave()

    assert minutes(StatusLines(START, START), pollers, 0, 60) == [10]


@pytest.mark.parametrize(
    ("seconds", "count"), [(-5, 0), (0, 0), (599, 0), (600, 1), (4199, 1), (4200, 2), (DAY, 24)]
)
def test_how_many_signs_have_been_due(seconds: float, count: int) -> None:
    assert points(START, START + seconds) == count


@pytest.mark.parametrize("interval", [5.0, 60.0, 600.0, 900.0])
def test_pokes_without_memory_give_each_sign_once_if_none_is_late(interval: float) -> None:
    pollers = waiting()
    pokes = [START + number * interval for number in range(1, int(3 * 3600 / interval))]

    given = [now for now in pokes if StatusLines(START, told_until(START, now, interval)).due(pollers, now)]

    assert len(given) == points(START, pokes[-1])


def test_a_sign_says_state_last_poll_next_poll_and_that_all_is_well() -> None:
    (poller,) = pollers = waiting()
    poller.observe(running(poller, 40), START + 600)

    assert sign(pollers, START + 610) == (
        "Still waiting for job-0: 'processing' (40 %); last poll 2001-09-09 01:56:40+00:00; "
        "next by 2001-09-09 01:57:40+00:00; deadline 2001-09-10 01:46:40+00:00; no errors"
    )


def test_a_sign_in_an_outage_says_since_when_why_how_often_and_how_long_it_is_borne() -> None:
    (poller,) = pollers = waiting()
    poller.observe(running(poller), START + 60)
    for number in range(4):
        poller.observe(away(), START + 120 + number * 60)

    line = sign(pollers, START + 720)

    assert line.startswith(
        "Still waiting for job-0: 'processing' (3 %); last poll 2001-09-09 01:51:40+00:00;"
    )
    assert line.endswith(
        "; 4 errors in a row, the last: job-0: ruler: HTTP 503; no usable answer since "
        "2001-09-09 01:48:40+00:00, which is borne until 2001-09-09 03:48:40+00:00"
    )


def test_without_a_limit_an_outage_is_borne_until_the_deadline() -> None:
    (poller,) = pollers = waiting(max_outage=None)
    poller.observe(away(), START + 60)

    assert sign(pollers, START + 720).endswith("which is borne for as long as the wait lasts")


def test_what_a_list_polls_is_said_with_the_list_s_times() -> None:
    line = sign(waiting(), START + 600, lambda _: (START + 590, START + 620))

    assert "last poll 2001-09-09 01:56:30+00:00; next by 2001-09-09 01:57:00+00:00" in line


def test_of_many_jobs_a_sign_is_one_line_of_sums() -> None:
    pollers = waiting(10_000)
    for poller in pollers[:6000]:
        poller.observe(running(poller), START + 300)
    for poller in pollers[5990:6000]:
        for now in (400, 500):
            poller.observe(away(), START + now)
    for poller in pollers[:1000]:
        poller.observe(JobStatus(poller.job_id, "ruler", JobState.SUCCEEDED, "complete"), START + 600)

    line = sign(pollers, START + 610)

    assert line.startswith(
        "Still waiting for 9000 of 10000 jobs: 1000 done, 4990 running, 10 in trouble, 4000 not seen yet; "
        "last poll 2001-09-09 01:55:00+00:00; "
    )
    assert "; up to 2 errors in a row, the last: job-5990: ruler: HTTP 503; " in line
    assert len(line) < 1000
