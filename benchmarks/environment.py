"""The environment of the benchmarks: Airflow, this package and the peer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dev import bootstrap

ROOT = Path(__file__).absolute().parents[1]
FOLDER = ROOT / "build" / "bench"
PINS = ROOT / "benchmarks" / "constraints.txt"


def ensure() -> Path:
    """
    Make the environment if it is not there as it should be, and return its interpreter.

    :raises dev.bootstrap.SetupError: it cannot be made.
    """
    venv = FOLDER / "venv"
    python, stamp = venv / "bin" / "python", venv / "made-from"
    wanted = "\n".join([PINS.read_text(), bootstrap.CONSTRAINTS.read_text(), sys.version, str(ROOT)])
    if not stamp.is_file() or stamp.read_text() != wanted:
        FOLDER.mkdir(parents=True, exist_ok=True)
        bootstrap.create(venv)
        requirements = ["--editable", str(ROOT), "--requirement", str(PINS)]
        bootstrap.install(venv, requirements, purpose="Airflow and the peer into build/bench/venv (once)")
        stamp.write_text(wanted)
    return python


def enter(module: str) -> None:
    """Go on in that environment, unless this process runs in it."""
    if Path(sys.prefix) == FOLDER / "venv":
        return
    try:
        python = ensure()
    except bootstrap.SetupError as error:
        sys.exit(f"{module}: {error}.")
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])  # noqa: S606 - no shell is wanted
