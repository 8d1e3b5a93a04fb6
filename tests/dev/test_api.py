"""The developers' way to Airflow's REST API."""

from __future__ import annotations

import json
import socket

import pytest

from dev.api import AirflowApi, StackError
from tests.support.raw_server import RawServer, Received, reply


class SlowOnce:
    """Airflow, which leaves the first request of a method unanswered."""

    def __init__(self, method: str) -> None:
        self._left = method

    def __call__(self, received: Received, connection: socket.socket) -> None:
        if received.target == "/auth/token":
            connection.sendall(reply(200, b'{"access_token": "t"}'))
        elif received.method == self._left:
            self._left = ""
        else:
            connection.sendall(reply(200, json.dumps({"state": "success", "dag_run_id": "r"}).encode()))


def test_a_question_to_which_airflow_is_slow_once_is_asked_again() -> None:
    with RawServer(SlowOnce("GET")) as server:
        api = AirflowApi(server.url, "me", "secret", timeout=0.3)
        assert api.run_state("dag", "run") == "success"
        api.close()


def test_what_starts_a_run_is_not_sent_twice() -> None:
    with RawServer(SlowOnce("POST")) as server:
        api = AirflowApi(server.url, "me", "secret", timeout=0.3)
        api.run_state("dag", "run")
        with pytest.raises(StackError, match="Airflow did not answer POST /dags/dag/dagRuns"):
            api.trigger("dag")
        api.close()
    assert sum(received.target.endswith("/dagRuns") for received in server.requests) == 1


def test_a_question_is_not_asked_again_for_ever() -> None:
    with RawServer(lambda *_: None) as server:
        api = AirflowApi(server.url, "me", "secret", timeout=0.1, patience=0.3)
        with pytest.raises(StackError, match="Airflow did not answer GET"):
            api.run_state("dag", "run")
        api.close()
