"""Faults at a rate, and the calls that come before a ``Retry-After`` is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.put_job("questionpro", "7", end="Done")
        yield sandbox


def ask(sandbox: Sandbox, count: int) -> list[int | str | None]:
    """Ask for one job's status so many times; return what came: a status, or how it went wrong."""
    headers = {"api-key": sandbox.connection("questionpro")["password"]}
    answers: list[int | str | None] = []
    for _ in range(count):
        try:
            reply = requests.get(
                f"{sandbox.api_url}/a/api/v2/micropanel/batches/7", headers=headers, timeout=9
            )
            reply.json() if reply.status_code == 200 else None
            answers.append(reply.status_code)
        except requests.JSONDecodeError:
            answers.append("broken")
        except requests.ConnectionError:
            answers.append(None)
    return answers


def test_without_a_rate_nothing_fails(sandbox: Sandbox) -> None:
    assert set(ask(sandbox, 20)) == {200}
    assert sandbox.fault_report() == {"requests": 0, "faults": {}, "early": []}


def test_at_a_rate_of_one_every_answer_is_a_fault_and_all_kinds_happen(sandbox: Sandbox) -> None:
    sandbox.random_faults(1.0, seed=3)
    answers = Counter(ask(sandbox, 40))
    report = sandbox.fault_report()
    assert report["requests"] == sum(report["faults"].values()) == 40
    assert report["faults"].keys() == {"500", "503", "429", "reset", "truncated", "stall", "401"}
    # A stall is late, and right.
    assert answers[200] == report["faults"]["stall"]
    assert answers["broken"] == report["faults"]["truncated"]
    assert answers[None] == report["faults"]["reset"]
    # One refusal is forgiven, the next one is none of the faults.
    assert answers[401] == 1


def test_the_seed_decides_what_happens(sandbox: Sandbox) -> None:
    sandbox.random_faults(0.5, seed=11)
    first = ask(sandbox, 15)
    with Sandbox() as again:
        again.put_job("questionpro", "7", end="Done")
        again.random_faults(0.5, seed=11)
        assert ask(again, 15) == first
    assert len(set(first)) > 1


def test_a_call_before_its_time_is_recorded_and_one_after_it_is_not(sandbox: Sandbox) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False)

    def ask_until_told_to_wait() -> None:
        while ask(sandbox, 1)[0] not in (429, 503):
            pass

    ask_until_told_to_wait()
    sandbox.advance_clock(60)
    ask_until_told_to_wait()
    assert sandbox.fault_report()["early"] == []

    ask(sandbox, 1)
    [early] = sandbox.fault_report()["early"]
    assert early["path"] == "GET /a/api/v2/micropanel/batches/7"
    assert early["told_at"] <= early["at"] < early["due"] <= early["told_at"] + 15


def test_a_rate_is_a_part_of_all(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        sandbox.random_faults(1.5)
