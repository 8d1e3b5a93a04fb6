"""Fixtures that every test may use. Sets Airflow up before the first import of it."""

from __future__ import annotations

import atexit
import gc
import math
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Airflow writes its configuration where it is imported first; a test run leaves nothing behind elsewhere.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="jobstatus-tests-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# Nobody listens there: no test asks an Airflow that happens to run on this machine.
os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = "http://127.0.0.1:9/execution/"
for name in [
    name for name in os.environ if name.startswith("AIRFLOW_CONN_") or name.lower().endswith("_proxy")
]:
    del os.environ[name]

from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.fleet import list_cache
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.waiting.completion import durations_of_kind
from tests.support.first_use import use_airflow_once
from tests.support.times import FakeTime

use_airflow_once()
TESTS = Path(__file__).parent
# How hard the properties are tried.
settings.register_profile(
    "few", max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("few")

#: The files that take longest, in the order in which they begin: one that began last would leave the other
#: cores idle. Each process takes two files at first, so one process has both that start a real Airflow.
LONGEST = (
    "real_airflow/test_end_to_end.py",
    "faults/test_faults.py",
    "real_airflow/test_secrets.py",
    "sensors/test_parity.py",
    "files/test_s3.py",
    "transports/test_outline.py",
    "sensors/test_several_jobs.py",
    "transports/test_no_reply_blocks_a_loop.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage meanwhile: of what is imported and collected, nothing is."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    order = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name no test after a gzip: it holds the time at which it was made, and processes compare names."""
    if isinstance(val, bytes) and b"\x1f\x8b\x08" in val:
        return f"{len(val)} bytes with a gzip"
    return None


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> None:
    """
    Let the garbage collector pass over everything that was there before this module.

    Each full collection would look at the objects of all tests again: 0.3 s with our 17,000.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A vendor's stand-in of its own for each test, with the connections to it in the environment."""
    tokens.slots.clear()
    # How long jobs took in another test is no history of this one's.
    durations_of_kind.cache_clear()
    with Sandbox() as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        yield sandbox
    # Airflow hides every secret that it was ever told in every line that it logs: thousands of them by the
    # end of a run, and each line slower than the one before.
    reset_secrets_masker()


@pytest.fixture
def fake_time(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """A time that passes only by sleeps, for our code and the sandbox alike."""
    time = FakeTime(sandbox.advance_clock)
    time.now = sandbox.stop_clock()
    time.patch(monkeypatch)
    return time


@pytest.fixture
def without_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job is asked about by itself: a sandbox's script goes on with the questions about its job."""
    monkeypatch.setattr(list_cache, "WORTH_FROM", math.inf)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path
