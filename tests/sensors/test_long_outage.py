"""An hour without one usable answer does not end a wait, whatever the mode and however the vendor is away."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import PollingFailed
from tests.support.modes import MODES, run
from tests.support.raw_server import Handler, RawServer, Received, reply, reset
from tests.support.times import FakeTime

HOUR = 3600.0
AWAY: dict[str, bytes | None] = {
    "reset": None,
    "503": reply(503, b"maintenance"),
    "page": reply(200, b"<html>We will be back soon</html>", {"Content-Type": "text/html"}),
}


def vendor(time: FakeTime, away: bytes | None, back_after: float) -> Handler:
    """Answer that the job runs; be away from then on for some seconds; then answer that it is complete."""
    gone_at: list[float] = []

    def handle(_: Received, connection: socket.socket) -> None:
        if not gone_at:
            gone_at.append(time.now)
            connection.sendall(reply(200, b'{"status": "processing"}'))
        elif time.now - gone_at[0] >= back_after:
            connection.sendall(reply(200, b'{"status": "complete"}'))
        elif away is None:
            reset(connection)
        else:
            connection.sendall(away)

    return handle


def wait(server: RawServer, mode: str, time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    connection = {"conn_type": "ruler", "host": f"{server.url}/v1", "password": "token-of-an-hour"}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
    result: dict[str, Any] = run({"conn_id": "ruler_default", "job_id": "site/job"}, mode, time)
    return result


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("mode", MODES)
def test_an_outage_of_an_hour_is_survived(
    mode: str, away: str, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(vendor(fake_time, AWAY[away], HOUR)) as server:
        assert wait(server, mode, fake_time, monkeypatch)["state"] == "succeeded"
        # One question a minute would be sixty: pauses grow. One whose connection broke is repeated.
        repeats = 2 if away == "reset" else 1
        assert len(server.requests) < 40 * repeats


@pytest.mark.parametrize("mode", MODES)
def test_a_longer_one_ends_the_wait_and_says_that_the_jobs_fate_is_unknown(
    mode: str, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        RawServer(vendor(fake_time, AWAY["503"], 2 * HOUR)) as server,
        pytest.raises(PollingFailed, match="What became of the job is unknown"),
    ):
        wait(server, mode, fake_time, monkeypatch)
