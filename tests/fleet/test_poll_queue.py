"""Whose turn it is."""

from __future__ import annotations

import asyncio
import math

from airflow_provider_jobstatus.fleet.poll_queue import ROOM, Schedule
from airflow_provider_jobstatus.fleet.shared_job import Job


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


def test_who_is_urgent_comes_first_and_otherwise_who_was_due_first() -> None:
    async def turns() -> None:
        schedule = Schedule(lambda: None)
        jobs = {name: Job(name) for name in ("late", "later", "urgent", "more urgent", "not yet")}
        schedule.put(jobs["later"], 2.0, urgent=False)
        schedule.put(jobs["late"], 1.0, urgent=False)
        schedule.put(jobs["urgent"], 4.0, urgent=True)
        schedule.put(jobs["more urgent"], 3.0, urgent=True)
        schedule.put(jobs["not yet"], 9.0, urgent=True)
        order = []
        while (job := schedule.first_ready(5.0)) is not None:
            order.append(job.job_id)
            schedule.drop(job)
        assert order == ["more urgent", "urgent", "late", "later"]
        assert schedule.pause(5.0) == 4.0
        schedule.put(jobs["late"], 8.0, urgent=False)
        assert schedule.pause(5.0) == 3.0
        schedule.drop(jobs["late"])
        schedule.drop(jobs["not yet"])
        assert schedule.pause(5.0) == math.inf
        schedule.alarm.set(math.inf)

    asyncio.run(turns())
