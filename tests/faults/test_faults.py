"""
Fault scripts at every vendor, in every mode, through every entry point.

The id of a case is the line to run it again:
``python -m tests.faults.replay ruler deferred sensor 'status:200:running,reset*3,status:200:done'``, or
``pytest 'tests/faults/test_faults.py::test_a_fault_does_what_the_table_says[<id>]'``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.fault_script import instructions
from tests.faults.expectations import (
    CERTIFICATES,
    ENTRIES,
    EVERY,
    OPERATORS,
    REDIRECTS,
    SLOW,
    USUAL,
    VENDORS,
    Case,
    cases,
)
from tests.faults.runner import run_case

CASES = cases()


# urllib3 leaves a connection with a reply of two lengths to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
# asyncio closes a transport whose handshake failed one turn of its loop later, and the loop may end before.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.usefixtures("count")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_does_what_the_table_says(
    case: Case, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox: Sandbox = request.getfixturevalue("over_tls" if case.tls else "plain")
    run_case(case, sandbox, monkeypatch, tmp_path)


def test_every_instruction_is_tried_everywhere() -> None:
    assert {*USUAL, *SLOW, *CERTIFICATES} >= set(EVERY)
    tried = {
        (case.vendor, case.entry, case.mode, name) for case in CASES for name in instructions(case.script)
    }
    for name in USUAL:
        for vendor in VENDORS:
            for mode in () if name in REDIRECTS else ENTRIES["sensor"]:
                assert (vendor, "sensor", mode, name) in tried
            assert any((vendor, "hook", mode, name) in tried for mode in ENTRIES["hook"])
        for mode in ENTRIES["hook"]:
            assert any((vendor, "hook", mode, name) in tried for vendor in VENDORS)
        for vendor in OPERATORS:
            assert (vendor, "operator", "status", name) in tried


def test_there_are_a_thousand_cases_and_forty_instructions() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 1000
    assert len({name for case in CASES for name in instructions(case.script)}) >= 40
