"""The chaos runs know how each job truly ends, and what they compare with it."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox
from dev.chaos import jobs
from dev.chaos.rig import Bar, compare, show


def test_jobs_of_every_vendor_every_end_and_every_kind_are_planned_and_the_seed_decides_them() -> None:
    planned = jobs.plan(1000, 1, shortest=1, longest=9)
    assert {(job.vendor, job.state) for job in planned} == {
        (vendor, state) for vendor, ends in jobs.ENDS.items() for state in ends.values()
    }
    kinds = Counter(job.kind for job in planned)
    assert kinds["list"] == 50
    assert 50 < kinds["strict"] < kinds["wait"]
    assert len({(job.vendor, job.job_id) for job in planned}) == 1000
    assert [jobs.number_of(job.job_id) for job in planned] == list(range(1000))
    assert planned == jobs.plan(1000, 1, shortest=1, longest=9)
    assert planned != jobs.plan(1000, 2, shortest=1, longest=9)


def test_the_truth_is_what_the_sandbox_says_and_it_says_what_was_planned() -> None:
    planned = jobs.plan(100, 5, shortest=1, longest=9)
    with Sandbox() as sandbox:
        jobs.put(sandbox, planned)
        assert set(jobs.truth(sandbox, planned).values()) == {"running"}
    with Sandbox() as sandbox:
        for job in planned:
            sandbox.put_job(job.vendor, job.job_id, **{**job.spec, "start_on_first_poll": False})
        sandbox.advance_clock(10)
        ended = jobs.truth(sandbox, planned)
    assert ended == {(job.vendor, job.job_id): job.state for job in planned}


def test_a_table_with_a_missed_bar_fails_and_tells_how_to_repeat_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show("Run", [Bar("waits", 7), Bar("lost", 0, 0)], "again --seed 4") == 0
    assert show("Run", [Bar("waits", 7), Bar("lost", 1, 0, ["job-3: no event"])], "again --seed 4") == 1
    shown = capsys.readouterr().out
    assert "lost: job-3: no event" in shown
    assert shown.count("again --seed 4") == 2


def test_a_job_whose_wait_told_no_end_is_lost_and_one_with_another_end_is_wrong() -> None:
    planned = jobs.plan(3, 1, shortest=1, longest=2)
    truth = {(job.vendor, job.job_id): job.state for job in planned}
    right, wrong, lost = planned
    reported = {(right.vendor, right.job_id): right.state, (wrong.vendor, wrong.job_id): "running"}

    assert compare(planned, truth, truth) == ([], [])
    assert compare(planned, reported, truth) == (
        [f"{lost.job_id}: no end, truly {lost.state}"],
        [f"{wrong.job_id}: running, truly {wrong.state}"],
    )
