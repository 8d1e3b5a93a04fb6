"""The environment of the benchmarks: Airflow, this package and the peer."""

from __future__ import annotations

from pathlib import Path

from dev import bootstrap

VENV = bootstrap.ROOT / "build" / "bench" / "venv"
PINS = bootstrap.ROOT / "benchmarks" / "constraints.txt"


def ensure() -> Path:
    """
    Make the environment if it is not there as it should be, and return its interpreter.

    :raises dev.bootstrap.SetupError: it cannot be made.
    """
    return bootstrap.ensure_with(VENV, PINS)


def enter(module: str) -> None:
    """Go on in that environment, unless this process runs in it."""
    bootstrap.enter(module, VENV, PINS)
