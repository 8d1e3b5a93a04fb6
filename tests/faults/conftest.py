"""One sandbox for all fault scripts, another one over TLS, and a count of what was run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.fault_script import instructions
from tests.faults.expectations import Case

_ran: pytest.StashKey[list[Case]] = pytest.StashKey()


@pytest.fixture(scope="session")
def plain() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def over_tls() -> Iterator[Sandbox]:
    with Sandbox(tls=True) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _few_secrets() -> Iterator[None]:
    """Airflow looks for every secret that it was ever told in every line that it logs."""
    yield
    reset_secrets_masker()


@pytest.fixture
def count(request: pytest.FixtureRequest) -> None:
    """Count a case for the summary."""
    request.config.stash.setdefault(_ran, []).append(request.getfixturevalue("case"))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say how much was tried."""
    ran = config.stash.get(_ran, [])
    if ran:
        tried = {name.rstrip() for case in ran for name in instructions(case.script)}
        terminalreporter.write_line(f"fault scripts: {len(ran)} cases with {len(tried)} instructions")
