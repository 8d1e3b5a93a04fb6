"""What the benchmarks' server answers is what the hooks read; and it counts, and enforces its limit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from benchmarks import coding_results, import_cost, restart, soak
from benchmarks.peers import WAITERS
from benchmarks.service import Service
from benchmarks.status_jobs import Jobs


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service.started() as started:
        started.order(think=0.0)
        yield started


@pytest.mark.parametrize("name", ["ours", "ours_ruler", "ours_talkdesk", "ours_questionpro"])
def test_every_vendor_is_understood(name: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_jobstatus.hooks.registry import hook_for

    monkeypatch.setenv("AIRFLOW_CONN_OURS", "")
    waiter = WAITERS[name](service)
    hook = hook_for(BaseHook.get_connection("ours"))
    service.order({7: time.monotonic() + 3600, 8: 0.0})
    states = [hook.job_status(waiter.job % number).state for number in (7, 8)]  # type: ignore[attr-defined]
    assert states == [JobState.RUNNING, JobState.SUCCEEDED]
    assert waiter._trigger is BatchJobTrigger  # type: ignore[attr-defined]


def test_a_key_has_no_more_calls_than_the_limit() -> None:
    jobs = Jobs()
    jobs.set_up({"limit": 2, "window": 3600.0})
    heads = [b"GET / HTTP/1.1\r\napi-key: a", b"GET / HTTP/1.1\r\napi-key: b"]
    asked = [jobs.answer("/a/api/v2/micropanel/batches/1", head, b"")[9:12] for head in heads * 3]
    assert asked == [b"200"] * 4 + [b"429"] * 2
    assert jobs.counts() == {"status": 4, "refused": 2}


def test_a_list_has_strangers_too_and_is_cut_into_pages() -> None:
    jobs = Jobs()
    jobs.set_up({"jobs": {"1": 0.0, "2": time.monotonic() + 3600}, "strangers": 3})
    ruler = json.loads(jobs.answer("/v1/site/batch/jobs", b"", b"").partition(b"\r\n\r\n")[2])
    assert [row["status"] for row in ruler] == ["complete", "processing", *["complete"] * 3]
    target = "/data/reports/calls/jobs?page=2&per_page=4"
    page = json.loads(jobs.answer(target, b"", b"").partition(b"\r\n\r\n")[2])
    assert (len(page["_embedded"]["jobs"]), page["total"], page["total_pages"]) == (1, 5, 2)


def test_a_slope_is_that_of_the_memory() -> None:
    grown, error = soak.slope([(second, second * 1000, second * 1024) for second in range(400)])
    assert grown == pytest.approx(100.0)
    assert error == pytest.approx(0.0, abs=1e-6)


def test_the_worst_second_is_looked_for_at_any_tenth() -> None:
    run = {"began_at": 10.0, "server": {"buckets": {"105": 30, "112": 30, "190": 40}}}
    assert restart.peak_over_mean(run, 10.0) == pytest.approx(6.0)


def test_the_cost_of_an_import_is_measured_of_each_vendors_operators() -> None:
    assert {"operators.ruler", "operators.talkdesk"} <= set(import_cost.subjects(peer=False))
    assert "operators.connection" not in import_cost.subjects(peer=False)


@pytest.mark.parametrize("kind", coding_results.KINDS)
def test_results_of_the_benchmarks_are_those_of_the_vendor(kind: str) -> None:
    whole = b"".join(coding_results.body(kind, 1))
    questions = json.loads(whole)["results"]["questionCodes"]
    responses = [
        answer
        for question in questions
        for code in question["responseCodes"]
        for level in (code, *code["subCodes"])
        for answer in level["responses"]
    ]
    assert coding_results.make_rows(coding_results.cut(iter([whole])), "csv") == len(responses) > 1000
