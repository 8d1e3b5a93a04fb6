"""A sandbox of its own for each test of the sandbox, or one for tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Iterator[Sandbox]:
    """A sandbox for tests that change no settings, and make each job that they need."""
    with Sandbox() as running:
        yield running
