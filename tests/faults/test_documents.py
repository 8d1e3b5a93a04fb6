"""What is said of fault scripts, and the lists of their instructions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.fault_script import list_faults
from tests.faults import replay

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"


def test_the_page_lists_every_instruction() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == list_faults()


def test_the_sandbox_itself_lists_them(plain: Sandbox) -> None:
    assert requests.get(f"{plain.api_url}/_sandbox/faults", timeout=10).json() == list_faults()
    command = [sys.executable, "-m", "airflow_provider_jobstatus.sandbox", "--list-faults"]
    lines = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == list(list_faults())


def test_one_line_replays_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main(["ruler", "poke", "sensor", "status:503,status:200:done"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r" api +GET /v1/site-1/batch/job-1/status -> 503\n", printed)
    assert "'state': 'succeeded'" in printed
    assert replay.main(["nobody", "poke", "sensor", "reset"]) == 2
