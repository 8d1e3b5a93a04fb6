"""A vendor from outside: one file and one metadata entry, waited for with the unchanged sensor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow_provider_jobstatus.sandbox import Sandbox

VENDOR = """
from airflow_provider_jobstatus.core.auth import HeaderKey
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.responses import expect_json
from airflow_provider_jobstatus.hooks.base import BatchJobHook


class ToyHook(BatchJobHook):
    conn_type = "toy"
    conn_name_attr = "toy_conn_id"
    default_conn_name = "toy_default"
    hook_name = "Toy"
    public_url = "https://api.toy.example/v1"
    statuses = {"building": JobState.RUNNING, "built": JobState.SUCCEEDED}

    def make_auth(self):
        return HeaderKey("X-Toy-Key", self.settings.required("password", self.settings.password, "set it"))

    def status_flow(self, job_id):
        request = self.request("GET", f"/toys/{int(job_id)}")
        reply = expect_json(request, (yield request))
        word, state = self.read_state(request, reply.get("status"))
        return JobStatus(job_id, self.conn_type, state, word)

    def ping_flow(self):
        yield self.request("GET", "/toys")
        return "fine"


def get_provider_info():
    return {
        "package-name": "toy-vendor",
        "name": "Toy",
        "description": "Toys.",
        "connection-types": [{"connection-type": "toy", "hook-class-name": "toy_vendor.ToyHook"}],
    }
"""

# In real time: the first poll of a trigger comes five seconds after the deferral.
DAG_AUTHOR = """
import json
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.support.modes import TaskInstance, run_deferred
from tests.support.times import FakeTime

results = []
for deferrable in (False, True):
    sensor = BatchJobSensor(
        task_id="wait", conn_id="my_toy", job_id=str(7 + deferrable), deferrable=deferrable, poke_interval=1
    )
    results.append(run_deferred(sensor, {"ti": TaskInstance()}, FakeTime()))
print(json.dumps(results))
"""


def test_a_vendor_is_no_longer_than_60_lines() -> None:
    assert len(VENDOR.strip().splitlines()) <= 60


def test_a_vendor_from_outside_works_with_the_unchanged_sensor(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "toy_vendor.py").write_text(VENDOR)
    metadata = tmp_path / "toy_vendor-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-vendor\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = toy_vendor:get_provider_info\n"
    )
    for job in (7, 8):
        script = [{"http": 200, "body": {"status": word}} for word in (" Building ", "BUILT")]
        sandbox.put_answers(f"/v1/toys/{job}", script)
    connection = {"conn_type": "toy", "host": sandbox.api_url, "password": "toy-key-1234"}
    root = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}",
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW_CONN_MY_TOY": json.dumps(connection),
    }

    done = subprocess.run(
        [sys.executable, "-c", DAG_AUTHOR],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
    )

    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert [(result["job_id"], result["vendor"], result["state"]) for result in results] == [
        ("7", "toy", "succeeded"),
        ("8", "toy", "succeeded"),
    ]
    keys = {
        value for request in sandbox.requests for name, value in request["headers"] if name == "X-Toy-Key"
    }
    assert keys == {"toy-key-1234"}
