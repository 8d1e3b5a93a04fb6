"""The clock."""

from __future__ import annotations

import time

import pytest

from airflow_provider_jobstatus.core.clock import steady_clock


def test_a_step_of_the_wall_clock_does_not_move_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    now = steady_clock()
    assert now() == 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 57.5)
    assert now() == 1_000_007.5
