"""
What it costs to have this package installed: nothing that its import does not need.

By count, not by the clock: `python -m benchmarks.import_cost` measures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NAME = "airflow_provider_jobstatus"
ROOT = Path(__file__).parent.parent
#: What the parse of a DAG file with a sensor needs of us. Each module more is paid for with every parse.
SENSOR_NEEDS = {
    "_compat",
    "core",
    "core.errors",
    "core.id_literals",
    "core.ids",
    "core.jobs",
    "core.text",
    "exceptions",
    "sensors",
    "sensors.batch_job",
    "sensors.resumption",
    "sensors.waiting_sensor",
    "tasks",
    "tasks.arguments",
    "waiting",
    "waiting.outcome",
    "waiting.spec",
}
STAGES = ("sensor", "operators", "all but transports", "construction", "transports")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `tests/support/import_audit.py` saw in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    env["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    env["AIRFLOW__SECRETS__BACKEND"] = "tests.support.lookups.Lookups"
    # Compiled code is not written: that would be Python's doing, not ours.
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.support.import_audit"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def of_ours(modules: list[str]) -> set[str]:
    return {name.removeprefix(f"{NAME}.") for name in modules if name.startswith(f"{NAME}.")}


@pytest.mark.parametrize("stage", STAGES)
def test_an_import_touches_nothing_looks_up_nothing_and_loads_nobody_elses_modules(
    audit: dict[str, Any], stage: str
) -> None:
    seen = audit["stages"][stage]
    # Files, sockets, threads, processes, variables: Python's audit hook reports all of them.
    assert seen["events"] == []
    assert "known_to_nobody" in audit["lookups_before"], "a look-up would not have been noticed"
    assert seen["looked_up"] == []
    # Airflow's own are there before; requests, aiohttp, jwt and cryptography were refused meanwhile.
    strangers = {
        name for name in seen["loaded"] if name.partition(".")[0] not in (sys.stdlib_module_names | {NAME})
    }
    assert strangers == set()
    # Logging, warnings, threads and signals; a transport filters its own calls out of urllib3's loggers.
    filtered = {"logger urllib3.connection", "logger urllib3.connectionpool"}
    assert set(seen["changed"]) <= (filtered if stage == "transports" else set())


def test_the_sensor_loads_what_the_parse_of_a_dag_file_needs_and_no_more(audit: dict[str, Any]) -> None:
    assert of_ours(audit["stages"]["sensor"]["loaded"]) == SENSOR_NEEDS


def test_operators_load_their_hooks_and_neither_trigger_nor_transport(audit: dict[str, Any]) -> None:
    parts = {name.partition(".")[0] for name in of_ours(audit["stages"]["operators"]["loaded"])}
    assert parts == {"core", "files", "hooks", "operators", "tasks"}


def test_everything_that_airflow_constructs_of_ours_was_constructed(audit: dict[str, Any]) -> None:
    assert {
        "BatchJobSensor",
        "BatchJobTrigger",
        "AftercareHook",
        "QuestionProHook",
        "RulerHook",
        "TalkdeskHook",
        "AftercareDownloadCodingResultsOperator",
        "AftercareSubmitCodingOperator",
        "RulerDownloadFailuresOperator",
        "RulerUploadRevenueOperator",
        "TalkdeskDownloadReportOperator",
    } <= set(audit["constructed"])


def test_the_metadata_loads_nothing_of_ours_and_nothing_of_airflows() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
before = set(sys.modules)
from {NAME}.provider_info import get_provider_info
get_provider_info()
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = [name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names]
    assert loaded == [NAME, f"{NAME}.provider_info"]
