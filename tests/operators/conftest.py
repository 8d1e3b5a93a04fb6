"""Pauses that are noted instead of made, and finished jobs."""

from __future__ import annotations

import time

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import RULER, TALKDESK


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


@pytest.fixture
def ended(sandbox: Sandbox) -> Sandbox:
    """A sandbox with an upload of which three rows were rejected, and a report that is done."""
    RULER.put_ended(sandbox)
    TALKDESK.put_ended(sandbox)
    return sandbox
