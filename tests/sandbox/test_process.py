"""The sandbox as a program."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

COMMAND = [sys.executable, "-m", "airflow_provider_jobstatus.sandbox"]


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline()]
            while lines[-1].startswith("export "):
                lines.append(process.stdout.readline())
            yield process, lines
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_a_connection_that_works_and_ends_cleanly(number: signal.Signals) -> None:
    with running("--port", "0", "--verbose") as (process, (*exports, base)):
        variables = {}
        for export in exports:
            word, assignment = shlex.split(export)
            name, _, value = assignment.partition("=")
            assert word == "export"
            variables[name] = value
        connection = json.loads(variables["AIRFLOW_CONN_RULER_DEFAULT"])
        api_url = connection["host"].removesuffix("/v1")
        assert base == f"# The sandbox serves at {api_url}; Ctrl-C ends it.\n"
        form = {"username": connection["login"], "password": connection["password"]}
        with requests.Session() as session:  # keeps its connection open until after the signal
            token = session.post(connection["extra"]["auth_url"], data=form, timeout=10).json()[
                "access_token"
            ]
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{connection['host']}/{connection['extra']['site_id']}/batch/revenue-demo/status"
            assert session.get(url, headers=headers, timeout=10).json()["status"] == "pending"
            process.send_signal(number)
            output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    assert "api GET /v1/demo-site/batch/revenue-demo/status -> 200" in errors
    assert "Traceback" not in errors
    assert connection["password"] not in errors


def test_it_refuses_a_taken_port_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=30, check=False
        )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"Cannot listen on 127.0.0.1 port {port}: Address already in use.\n"


def test_it_refuses_a_port_that_leaves_no_room_for_the_other_origins() -> None:
    result = subprocess.run(
        [*COMMAND, "--port", "65535"], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 2
    assert "must be from 0 to 65533" in result.stderr
