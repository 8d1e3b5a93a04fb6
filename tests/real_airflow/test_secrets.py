"""
No secret is anywhere in a real Airflow that logs everything, while vendors fail and repeat what they know.

Left out is what holds the secrets by the user's own choice: the environment of Airflow's processes, which is
where the connections are defined here.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.recording import RequestView
from dev import runs
from dev.stack import AirflowStack
from tests.support import canaries
from tests.support.canaries import USER, Canary

DAGS = Path(__file__).parent / "fault_dags"
#: DAGs that must end badly, and with what.
FAILURES = {
    "aftercare_refused.wait": "VendorRefused",
    "questionpro_lost.wait": "PollingFailed",
    "ruler_fails.wait": "JobFailed",
    "ruler_login_refused.wait": "VendorRefused",
    "talkdesk_deferred.fetch_gone": "UnknownJob",
}
ROWS = "RowNumber,ErrorMessage\r\n3,Value must be a decimal\r\n"

pytestmark = pytest.mark.airflow


class Watch:
    """
    What can be seen while the waits last: the rows of the triggers, and the list of processes.

    :param stack: the Airflow that is watched.
    :param fernet: opens what Airflow has encrypted.
    """

    def __init__(self, stack: AirflowStack, fernet: Fernet) -> None:
        self.triggers: set[str] = set()
        self.commands: set[bytes] = set()
        self._database = stack.home / "airflow.db"
        self._fernet = fernet

    def __call__(self, snapshot: runs.Snapshot) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                self.commands.add(process.read_bytes())
        with closing(sqlite3.connect(self._database, timeout=30)) as database:
            for row in database.execute("SELECT * FROM trigger"):
                self.triggers.add(repr(row) + repr([self._opened(value) for value in row]))

    def _opened(self, value: object) -> object:
        # Airflow keeps the arguments of a trigger encrypted, but shows them to whoever may ask.
        return self._fernet.decrypt(value) if isinstance(value, str) and value.startswith("gAAAA") else None


@dataclass(frozen=True)
class Finished:
    """What is left to look at when Airflow is down."""

    places: dict[str, bytes]
    known: list[Canary]
    reports: list[runs.RunReport]
    requests: list[RequestView]
    watch: Watch = field(repr=False)
    seconds: float

    def logs(self, name: str) -> str:
        """Return the log of one task, as Airflow's page shows it."""
        return self.places[f"log of {name}"].decode()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("faults")
    started_at = time.monotonic()
    fernet_key = Fernet.generate_key()
    made = canaries.make_canaries()
    with Sandbox() as sandbox:
        env = {
            **connections(sandbox, made),
            "JOBSTATUS_DEMO_OUTPUT": str(folder),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__FERNET_KEY": fernet_key.decode(),
        }
        script(sandbox, made)
        with AirflowStack(folder / "home", DAGS, env, paused=True) as stack:
            watch = Watch(stack, Fernet(fernet_key))
            reports = runs.run_every_dag(stack, sandbox, timeout=120, watch=watch)
            places = answers_of_the_api(stack, reports)
        for path in folder.rglob("*"):
            if path.is_file():
                places[str(path.relative_to(folder))] = path.read_bytes()
        places |= {f"database table {name}": rows for name, rows in tables(folder / "home" / "airflow.db")}
        places["XCom"] = json.dumps([task.result for run in reports for task in run.tasks]).encode()
        places["rows of triggers"] = "\n".join(watch.triggers).encode()
        places["processes"] = b"\n".join(watch.commands)
        seconds = time.monotonic() - started_at
        yield Finished(places, list(made.values()), reports, sandbox.requests, watch, seconds)


def test_no_secret_is_anywhere_although_every_fault_happened(finished: Finished) -> None:
    searched = sum(map(len, finished.places.values()))
    print(f"{len(finished.places)} places, {searched} bytes, {finished.seconds:.0f} s")
    print(Counter((request["method"], request["status"]) for request in finished.requests))
    assert canaries.leaks(finished.places, finished.known) == []


def test_the_runs_ended_as_they_should(finished: Finished) -> None:
    ended = {
        f"{task.task.dag_id}.{task.task.task_id}": task.task.state
        for run in finished.reports
        for task in run.tasks
    }
    assert {name for name, state in ended.items() if state != "success"} == set(FAILURES), ended
    for name, error in FAILURES.items():
        assert error in finished.logs(name)


def test_every_fault_happened_in_the_triggerer_and_on_the_worker(finished: Finished) -> None:
    for path in ("/v1/site/batch/deferred/status", "/v1/site/batch/poke/status"):
        answered = Counter(each["status"] for each in finished.requests if each["target"] == path)
        # None: hung up on, once without an answer.
        assert answered.keys() >= {200, 302, 401, 429, 500, None}, answered
    logins = Counter(each["status"] for each in finished.requests if each["target"] == "/v1/login")
    assert logins[500] == 1
    # The worker twice, the triggerer, and each again after the 401.
    assert logins[200] >= 4
    assert [each for each in finished.requests if finished.known[5].mark in each["target"]]


def test_the_search_looked_everywhere_that_matters(finished: Finished) -> None:
    names = set(finished.places)
    for part in (
        "airflow.db",
        "task_id=",
        "triggerer.log",
        "scheduler.log",
        "api-server.log",
        "dag-processor",
    ):
        assert any(part in name for name in names), part
    assert b"poll_interval" in finished.places["rows of triggers"]
    assert b"triggerer" in finished.places["processes"]
    assert b"deferred" in finished.places["database table xcom"]
    # Everything was logged.
    assert "DEBUG" in finished.places["home/components/triggerer.log"].decode().upper()


def connections(sandbox: Sandbox, made: dict[str, Canary]) -> dict[str, str]:
    """Return the environment variables that define the connections."""
    login, oauth = f"{sandbox.auth_url}/v1/login", f"{sandbox.auth_url}/oauth/token"
    ruler = {"conn_type": "ruler", "host": f"{sandbox.api_url}/v1", "login": USER}
    ruler["password"] = made["password"].value
    talkdesk = {"conn_type": "talkdesk", "host": sandbox.api_url, "login": USER}
    signed = {"token_url": oauth, "private_key": made["private key"].value, "key_id": "canary"}
    key = {"password": made["key"].value}
    defined: dict[str, dict[str, Any]] = {
        "aftercare": {"conn_type": "aftercare", "host": f"{sandbox.api_url}/api/v1", **key},
        "questionpro": {"conn_type": "questionpro", "host": sandbox.api_url, **key},
        "ruler": {**ruler, "extra": {"auth_url": login}},
        "ruler_login_refused": {**ruler, "extra": {"auth_url": f"{login}/refused"}},
        "talkdesk": {**talkdesk, "password": made["client secret"].value, "extra": {"token_url": oauth}},
        "talkdesk_signed": {**talkdesk, "extra": signed},
    }
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in defined.items()}


def script(sandbox: Sandbox, made: dict[str, Canary]) -> None:
    """Write down every answer of the vendors."""
    address = canaries.signed(made["signed URL"], f"{sandbox.storage_url}/canary.csv")
    token = {"access_token": made["token"].value, "expires_in": 3600}

    def echo(*kinds: str) -> str:
        # As one line: what is echoed may stand in a header.
        return " ".join([*(made[kind].echo() for kind in kinds), address]).replace("\n", "\\n")

    def wait(path: str, running: object, end: object, told: str, *more: object) -> None:
        error = {"error": told, "message": told}
        replies = [
            {"body": running},
            {"http": 500, "body": error},
            {"http": 429, "body": error, "headers": {"Retry-After": "1"}},
            # A good answer now and then, so that the pauses after faults stay short.
            {"body": running},
            {"disconnect": True},
            {"http": 200, "body": f'{{"status": "{told}', "content_type": "application/json"},
            {"body": running},
            {"http": 401, "body": error},
            *more,
            {"body": running},
        ]
        # The end stays: whoever asks again, as a download does, is told the same.
        sandbox.put_answers(path, [*replies, *[{"body": end}] * 5])

    def away(kind: str) -> object:
        # The echo of a redirect stands in its address.
        return {"http": 302, "headers": {"Location": f"{address}&more={made[kind].forms()['URL-encoded']}"}}

    key, busy = echo("key"), {"status": "processing"}
    wait("/api/v1/coding/deferred", busy, {"status": "completed"}, key, away("key"))
    sandbox.put_answers("/api/v1/coding/refused", [{"body": busy}, *[{"http": 403, "body": key}] * 9])
    # Any word that QuestionPro says counts as running.
    mailing, sent = {"response": {"status": key}}, {"response": {"status": "Delivery Successful"}}
    wait("/a/api/v2/micropanel/batches/7", mailing, sent, key, away("key"))
    sandbox.put_answers("/a/api/v2/micropanel/batches/8", [{"http": 500, "body": key}] * 50)

    password = echo("password", "token")
    done = {"status": "partialcomplete", "failureReason": password}
    for job in ("deferred", "poke"):
        wait(f"/v1/site/batch/{job}/status", busy, done, password, away("token"))
    failed = {"status": "failed", "failureReason": password}
    sandbox.put_answers("/v1/site/batch/fails/status", [{"body": busy}, *[{"body": failed}] * 5])

    report, ready = {"job": busy}, {"job": {"status": "done"}}
    wait("/data/reports/calls/jobs/deferred", report, ready, echo("client secret", "token"))
    wait("/data/reports/calls/jobs/signed", report, ready, echo("private key", "token"))
    sandbox.put_answers("/data/reports/calls/jobs/gone", [{"body": ready}] * 5)

    # The first login meets an outage, which is a part of the wait. Who has no token yet cannot repeat it.
    outage = {"http": 500, "body": echo("password")}
    sandbox.put_answers("/v1/login", [outage, *[{"body": token}] * 50], method="POST")
    sandbox.put_answers("/oauth/token", [{"body": token}] * 50, method="POST")
    refusal = {"http": 401, "body": echo("password")}
    sandbox.put_answers("/v1/login/refused", [refusal] * 9, method="POST")

    rows = {"body": ROWS, "content_type": "text/csv"}
    sandbox.put_answers("/v1/site/batch/deferred/failures", [rows])
    moved = {"http": 302, "headers": {"Location": address}, "body": echo("token")}
    sandbox.put_answers("/data/reports/calls/files/deferred", [moved] * 3)
    sandbox.put_answers("/canary.csv", [{"http": 403, "body": address}, rows])
    lost = canaries.signed(made["signed URL"], f"{sandbox.storage_url}/lost.csv")
    sandbox.put_answers("/data/reports/calls/files/gone", [{"http": 302, "headers": {"Location": lost}}] * 3)
    # Gone for good: a 404 would be waited for.
    sandbox.put_answers("/lost.csv", [{"http": 410, "body": lost}] * 3)


def answers_of_the_api(stack: AirflowStack, reports: list[runs.RunReport]) -> dict[str, bytes]:
    """Return what Airflow's REST API, and so its page, tells of the runs."""
    places: dict[str, Any] = {"import errors": stack.get("/importErrors"), "events": stack.get("/eventLogs")}
    for run in reports:
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}"
        places[f"run {run.dag_id}"] = stack.get(path)
        places[f"tasks of {run.dag_id}"] = stack.get(f"{path}/taskInstances")
        places[f"details of {run.dag_id}"] = stack.get(f"/dags/{run.dag_id}/details")
        for task in run.tasks:
            name = f"{run.dag_id}.{task.task.task_id}"
            places[f"log of {name}"] = stack.log_entries(task.task)
            entries = f"{path}/taskInstances/{task.task.task_id}/xcomEntries"
            places[f"XCom of {name}"] = stack.get(entries)
    return {
        f"API: {name}" if "log of" not in name else name: json.dumps(value).encode()
        for name, value in places.items()
    }


def tables(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each table of a database as text: in the file, a long value may stand in pieces."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            rows = database.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608
            yield name, "\n".join(str(value) for row in rows for value in row).encode()
