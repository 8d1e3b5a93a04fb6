"""The unchanged sensor at each of the four vendors, in each mode."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import JobFailed, VendorRefused
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.modes import MODES, run
from tests.support.times import FakeTime

KEYS = {
    *("job_id", "vendor", "state", "vendor_status", "detail"),
    *("progress", "counts", "created_at", "completed_at"),
}
OUTAGE: list[dict[str, Any]] = [
    {"http": 503},
    {"disconnect": True},
    {"http": 504, "body": "<html>504</html>", "content_type": "text/html"},
]


@dataclass(frozen=True)
class Words:
    """A vendor's job and what it says of it."""

    job_id: str
    running: str
    good: str
    bad: str
    extra: dict[str, Any] = field(default_factory=dict)


VENDORS = {
    "ruler": Words("site-1/rev-1", "processing", "complete", "failed"),
    "talkdesk": Words("calls/0c1f7d52", "processing", "done", "failed"),
    "aftercare": Words("7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377", "processing", "completed", "total_failure"),
    # It documents no word for a failure.
    "questionpro": Words(
        "88123456",
        "Sending",
        "Delivery Successful",
        "Delivery Failed",
        {"statuses": {"Delivery Failed": "failed"}},
    ),
}
EVERYWHERE = pytest.mark.parametrize("vendor", VENDORS)
ALWAYS = pytest.mark.parametrize("mode", MODES)


def wait(vendor: str, mode: str, time: FakeTime, **changes: Any) -> Any:
    arguments = {
        "conn_id": f"{vendor}_default",
        "job_id": VENDORS[vendor].job_id,
        "poke_interval": 60,
        "timeout": 3600,
        "max_outage": 1800,
    }
    return run(arguments | changes, mode, time)


def polls(sandbox: Sandbox, vendor: str) -> int:
    (job,) = [job for job in sandbox.jobs() if job["id"] == VENDORS[vendor].job_id]
    return job["polls"]


@pytest.fixture(autouse=True)
def _words(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that know the words."""
    for vendor, words in VENDORS.items():
        connection = sandbox.connection(vendor)
        connection["extra"] = connection.get("extra", {}) | words.extra
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps(connection))


@EVERYWHERE
@ALWAYS
def test_a_job_that_succeeds_succeeds(mode: str, vendor: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    words = VENDORS[vendor]
    sandbox.put_job(vendor, words.job_id, script=[words.running, words.running, words.good])
    began = fake_time.now

    result = wait(vendor, mode, fake_time)

    assert set(result) == KEYS
    assert (result["job_id"], result["vendor"]) == (words.job_id, vendor)
    assert (result["state"], result["vendor_status"].lower()) == ("succeeded", words.good.lower())
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert polls(sandbox, vendor) == 3
    assert 60 <= fake_time.now - began <= 180


@EVERYWHERE
@ALWAYS
def test_a_job_that_has_ended_already_costs_one_question(
    mode: str, vendor: str, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    words = VENDORS[vendor]
    sandbox.put_job(vendor, words.job_id, script=[words.good])
    began = fake_time.now

    assert wait(vendor, mode, fake_time)["state"] == "succeeded"

    assert (polls(sandbox, vendor), fake_time.now) == (1, began)


@EVERYWHERE
@ALWAYS
def test_a_job_that_fails_fails(mode: str, vendor: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    words = VENDORS[vendor]
    sandbox.put_job(vendor, words.job_id, script=[words.running, words.bad])

    with pytest.raises(JobFailed, match=f"{words.job_id}: ended '{words.bad}'") as caught:
        wait(vendor, mode, fake_time)

    assert set(caught.value.status) == KEYS
    assert caught.value.status["state"] == "failed"
    allowed = ("succeeded", "failed")
    assert wait(vendor, mode, fake_time, allowed_states=allowed) == caught.value.status


@EVERYWHERE
@ALWAYS
def test_an_outage_is_waited_out(mode: str, vendor: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    words = VENDORS[vendor]
    sandbox.put_job(vendor, words.job_id, script=[words.running, *OUTAGE, words.running, words.good])

    result = wait(vendor, mode, fake_time)

    assert (set(result), result["state"]) == (KEYS, "succeeded")
    assert polls(sandbox, vendor) == 6


@EVERYWHERE
def test_the_result_is_the_same_in_every_mode(vendor: str, sandbox: Sandbox, fake_time: FakeTime) -> None:
    words = VENDORS[vendor]
    results = []
    for mode in MODES:
        sandbox.put_job(vendor, words.job_id, script=[words.running, OUTAGE[0], words.good])
        result = wait(vendor, mode, fake_time)
        # Of each run its own.
        assert [isinstance(result.pop(key), str | None) for key in ("created_at", "completed_at")] == [
            True
        ] * 2
        results.append(result)

    assert results == [results[0]] * 3


@pytest.mark.parametrize("inside", [False, True], ids=["as a 429", "inside a 200"])
@ALWAYS
def test_a_spent_licence_at_questionpro_ends_a_wait_at_its_second_sighting_or_first_look(
    mode: str, inside: bool, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.put_job("questionpro", "88123456", script=["Sending"])
    sandbox.change_settings("questionpro", licence_calls_left=2, errors_inside_200=inside)

    with pytest.raises(VendorRefused, match=r"429 Too Many Requests.*calls of the licence are used up"):
        wait("questionpro", mode, fake_time)

    # The first sighting might be a mistake.
    assert (polls(sandbox, "questionpro"), len(sandbox.requests)) == (2, 4)
    began, sandbox_requests = fake_time.now, len(sandbox.requests)
    with pytest.raises(VendorRefused, match="429 Too Many Requests"):
        wait("questionpro", mode, fake_time)
    assert (fake_time.now, len(sandbox.requests)) == (began, sandbox_requests + 1)
