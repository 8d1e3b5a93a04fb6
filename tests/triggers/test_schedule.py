"""Whose turn it is."""

from __future__ import annotations

import asyncio
import math

from airflow_provider_jobstatus.triggers.jobs import Job
from airflow_provider_jobstatus.triggers.schedule import ROOM, Schedule


def test_what_does_not_hold_any_more_is_not_kept_until_its_time_has_come() -> None:
    async def put_again_and_again() -> None:
        schedule, jobs = Schedule(lambda: None), [Job(str(number)) for number in range(10)]
        for number in range(20 * ROOM):
            schedule.put(jobs[number % 10], 1e9 - number, urgent=False)
            assert len(schedule) <= ROOM + 1

        found = []
        while (job := schedule.first_ready(2e9)) is not None:
            found.append(job)
            schedule.drop(job)
        assert found == jobs[::-1]
        schedule.alarm.set(math.inf)

    asyncio.run(put_again_and_again())
