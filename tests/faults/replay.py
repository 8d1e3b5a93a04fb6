"""``python -m tests.faults.replay VENDOR MODE ENTRY SCRIPT``: run a fault script, and show what it did."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

import tests.conftest  # noqa: F401 - sets Airflow up
from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.faults.expectations import ENTRIES, VENDORS, Case
from tests.faults.runner import connect, fake_time, run_entry


def main(arguments: list[str]) -> int:
    """Run the script of the command line, and return the exit code."""
    known = len(arguments) == 4 and arguments[0] in VENDORS and arguments[1] in ENTRIES.get(arguments[2], ())
    if not known:
        modes = "; ".join(f"{entry}: {', '.join(modes)}" for entry, modes in ENTRIES.items())
        sys.stderr.write(f"{__doc__}\nVendors: {', '.join(VENDORS)}. Entries and modes: {modes}.\n")
        return 2
    vendor, mode, entry, script = arguments
    case = Case(vendor, mode, entry, script, "")
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        Sandbox(tls=case.tls) as sandbox,
    ):
        tokens.slots.clear()
        connect(case, sandbox, patch, Path(folder))
        time = fake_time(sandbox, patch)
        began_at = sandbox.health()["now"]
        outcome = run_entry(case, sandbox, time, Path(folder))
        for request in sandbox.requests:
            sys.stdout.write(
                f"{request['at'] - began_at:9.1f} s  {request['origin']:8}{request['method']} "
                f"{request['target']} -> {request['status'] or 'no answer'}\n"
            )
    sys.stdout.write(f"{type(outcome).__name__}: {outcome}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
