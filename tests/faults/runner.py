"""Run one case of a fault script against a sandbox, and look at what it did besides its result."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from base64 import b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import (
    ApiError,
    RateLimited,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.exceptions import JobStatusError
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.fault_script import instructions
from tests.faults.expectations import BROKEN, SHORT_TIMEOUT, SPENT, WANTED, Case
from tests.support.asking import asking
from tests.support.modes import run
from tests.support.times import FakeTime

HOOKS: dict[str, type[BatchJobHook]] = {
    "ruler": RulerHook,
    "talkdesk": TalkdeskHook,
    "aftercare": AftercareHook,
    "questionpro": QuestionProHook,
}
JOBS = {"ruler": "site-1/job-1", "talkdesk": "calls/job-1", "aftercare": "job-1", "questionpro": "88123456"}
FILES = {"ruler": "/v1/site-1/batch/job-1/failures", "talkdesk": "/data/reports/calls/files/job-1"}
#: What each job is besides its script.
SPECS: dict[str, dict[str, Any]] = {
    "ruler": {"total_rows": 40, "failed_rows": 5},
    "talkdesk": {"format": "json", "rows": 40},
}
#: The status of a job whose file is downloaded.
ENDED = {"ruler": [{"status": "partialcomplete", "failureCount": 5}], "talkdesk": ["done"]}
POLL_INTERVAL = 20.0
#: Longest text of an error. Our own words around a vendor's 500 characters.
LONGEST_TEXT = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def run_case(case: Case, sandbox: Sandbox, patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run a case and fail if anything about it is not as it must be."""
    connection = connect(case, sandbox, patch, folder)
    time = fake_time(sandbox, patch)
    tokens.slots.clear()
    sandbox.clear_requests()
    began_at = sandbox.health()["now"]
    outcome = run_entry(case, sandbox, time, folder)
    elapsed = sandbox.health()["now"] - began_at
    assert named(outcome) == case.expected, repr(outcome)
    check_text(outcome, connection)
    check_requests(case, sandbox, elapsed)
    assert not list(folder.glob("out/*")) or case.expected == "succeeded"


def fake_time(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> FakeTime:
    """Return a time that begins at a whole second: Airflow keeps the date of a reschedule in microseconds."""
    time = FakeTime(sandbox.advance_clock)
    time.now = float(int(time.now))
    time.patch(patch)
    return time


def connect(case: Case, sandbox: Sandbox, patch: pytest.MonkeyPatch, folder: Path) -> dict[str, Any]:
    """Define the connection of a case, and return it."""
    connection = sandbox.connection(case.vendor)
    extra = connection.setdefault("extra", {})
    extra["timeout"] = SHORT_TIMEOUT if case.slow else 30
    if case.vendor == "questionpro":
        extra["statuses"] = {"Delivery Failed": "failed"}
    if case.tls:
        (folder / "authority.pem").write_bytes(sandbox.authority)
        extra["verify"] = str(folder / "authority.pem")
    patch.setenv(f"AIRFLOW_CONN_{case.vendor.upper()}_DEFAULT", json.dumps(connection))
    return connection


def run_entry(case: Case, sandbox: Sandbox, time: FakeTime, folder: Path) -> Any:
    """Return what the entry point returns or raises."""
    job_id = JOBS[case.vendor]
    spec = SPECS.get(case.vendor, {}) if case.entry == "operator" else {}
    of_file = case.mode == "file"
    sandbox.put_job(case.vendor, job_id, script=ENDED[case.vendor] if of_file else case.script, **spec)
    if of_file:
        # More than any patience; a path's script, other than a job's, is used up.
        sandbox.put_answers(FILES[case.vendor], f"{case.script}*40")
    try:
        if case.entry == "sensor":
            for_ever = case.script.count(",") == 0
            arguments = {
                "conn_id": f"{case.vendor}_default",
                "job_id": job_id,
                "poke_interval": POLL_INTERVAL,
                "timeout": 1800 if for_ever else 6 * 3600,
                "max_outage": 1200,
            }
            return run(arguments, case.mode, time)
        if case.entry == "operator":
            return operator(case.vendor, job_id, folder).execute({})
        hook = HOOKS[case.vendor]()
        return asyncio.run(ask(hook, job_id)) if case.mode == "triggerer" else hook.job_status(job_id)
    except (VendorError, JobStatusError) as error:
        return error
    finally:
        if "two-lengths" in case.script:
            gc.collect()  # now, while nobody minds: see the filter of the test
        if of_file:
            sandbox.put_answers(FILES[case.vendor], [])


def operator(vendor: str, job_id: str, folder: Path) -> Any:
    """Return the operator that downloads a vendor's files."""
    kinds = {"ruler": RulerDownloadRevenueFailuresOperator, "talkdesk": TalkdeskDownloadReportOperator}
    return kinds[vendor](task_id="fetch", job_id=job_id, destination=str(folder / "out" / "file"))


async def ask(hook: BatchJobHook, job_id: str) -> Any:
    """Ask once, as the triggerer does."""
    async with hook.aconnect() as client:
        return await client.run(asking(hook, job_id))


def named(outcome: Any) -> str:
    """Return an outcome as the table of expectations names it."""
    match outcome:
        case TransportError() | UnexpectedResponse():
            return BROKEN
        case RateLimited(spent=True):
            return SPENT
        case ApiError() | JobStatusError():
            return type(outcome).__name__
        case {"sha256": str()}:
            return "succeeded"
        case {"state": state}:
            return str(state)
    return str(outcome.state.value)


def check_text(outcome: Any, connection: dict[str, Any]) -> None:
    """Fail if what a person gets to read is long, unsafe, or holds a secret in any form."""
    if not isinstance(outcome, Exception):
        return
    text = str(outcome)
    assert len(text) <= LONGEST_TEXT
    assert not _CONTROL.search(text)
    secret = connection["password"]
    encoded = b64encode(secret.encode()).decode().rstrip("=")
    for form in (secret, secret[:12], quote(secret, safe=""), encoded, "sandbox-token-", "Bearer "):
        # The authority's file and the job are no secrets; a canary's beginning is.
        assert form not in text, form


def check_requests(case: Case, sandbox: Sandbox, elapsed: float) -> None:
    """Fail if more was asked than is allowed, too early, elsewhere, or with what does not belong there."""
    requests = sandbox.requests
    for before, request in zip([None, *requests], requests, strict=False):
        names = {name.lower() for name, _ in request["headers"]}
        assert "cookie" not in names
        if request["origin"] == "storage":
            assert not names & {"authorization", "api-key", "x-aftercare-key"}
            assert before is not None
            assert "/files/" in before["target"], "a redirect of a status was followed"
        assert (request["method"] == "POST") == (request["origin"] == "auth"), "something else was created"
    # A token that has ended in the meantime is renewed at once: not counted, unless the script says so.
    expired = () if "status:401" in case.script else (401,)
    asked_at = [
        request["at"]
        for request in requests
        if request["origin"] == "api" and request["status"] not in expired
    ]
    moments = sorted({round(at) for at in asked_at})
    if case.entry == "sensor":
        # Half the interval is the shortest pause of a backoff; and one look is repeated after a refusal.
        assert len(moments) <= 3 + elapsed / (POLL_INTERVAL / 2)
        # A token is renewed and the question repeated, once; aiohttp repeats one that nobody answered.
        assert len(asked_at) <= 4 * len(moments)
        check_pauses(case, asked_at)


def check_pauses(case: Case, asked_at: list[float]) -> None:
    """Fail if the vendor was asked again before it wanted to be."""
    script = list(instructions(case.script))
    for number, (asked, again) in enumerate(pairwise(asked_at)):
        wanted = WANTED.get(script[min(number, len(script) - 1)], 0.0)
        # A date is in whole seconds; the sandbox's clock runs on while it answers. The last look at the
        # deadline is not taken while the vendor wants to be left alone.
        last_look = case.mode == "deferred" and again - asked_at[0] >= 1800 - 1
        if wanted and not last_look and not {"reset", "close"} & set(script):
            assert again - asked >= wanted - 1.0, f"asked again after {again - asked:.1f} s"
