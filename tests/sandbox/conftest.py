"""A sandbox of its own for each test of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running
