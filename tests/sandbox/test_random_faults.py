"""Faults at a rate, and the calls that come before a ``Retry-After`` is over."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.random_faults import HEARD

PATH = "/a/api/v2/micropanel/batches/7"


class Client:
    """Asks for one job's status, on one connection for as long as the sandbox lets it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._address = f"{sandbox.api_url}{PATH}"
        self._session = requests.Session()
        self._session.headers["api-key"] = sandbox.connection("questionpro")["password"]

    def ask(self, count: int) -> list[int | str | None]:
        """Ask so many times; return what came: a status, or how it went wrong."""
        return [self._answer() for _ in range(count)]

    def ask_until_told_to_wait(self) -> None:
        while self._answer() not in (429, 503):
            pass

    def close(self) -> None:
        self._session.close()

    def _answer(self) -> int | str | None:
        try:
            reply = self._session.get(self._address, timeout=9)
            reply.json() if reply.status_code == 200 else None
        except requests.JSONDecodeError:
            return "broken"
        except requests.ConnectionError:
            return None
        return reply.status_code


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.put_job("questionpro", "7", end="Done")
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with closing(Client(sandbox)) as client:
        yield client


def test_without_a_rate_nothing_fails(sandbox: Sandbox, client: Client) -> None:
    assert set(client.ask(20)) == {200}
    assert sandbox.fault_report() == {"requests": 0, "faults": {}, "early": []}


def test_at_a_rate_of_one_every_answer_is_a_fault_of_some_kind(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3)
    answers = Counter(client.ask(40))
    report = sandbox.fault_report()
    assert report["requests"] == sum(report["faults"].values()) == 40
    assert report["faults"].keys() == {"500", "503", "429", "reset", "truncated", "stall", "401"}
    # A stall is late, and right.
    assert answers[200] == report["faults"]["stall"]
    assert answers["broken"] == report["faults"]["truncated"]
    assert answers[None] == report["faults"]["reset"]
    # One refusal is forgiven, the next one is none of the faults.
    assert answers[401] == 1


def test_the_seed_decides_what_happens(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(0.5, seed=11)
    first = client.ask(15)
    with Sandbox() as again:
        again.put_job("questionpro", "7", end="Done")
        again.random_faults(0.5, seed=11)
        with closing(Client(again)) as other:
            assert other.ask(15) == first
    assert len(set(first)) > 1


def test_a_call_before_its_time_is_recorded_and_one_after_it_is_not(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False)
    client.ask_until_told_to_wait()
    sandbox.advance_clock(60)
    client.ask_until_told_to_wait()
    assert sandbox.fault_report()["early"] == []

    client.ask(1)
    [early] = sandbox.fault_report()["early"]
    assert early["path"] == f"GET {PATH}"
    assert early["told_at"] <= early["at"] < early["due"] <= early["told_at"] + 15


def test_what_was_told_to_one_who_is_gone_binds_nobody(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False)
    status = 0
    while status not in (429, 503):
        # Asks and is gone, whatever the answer.
        with socket.create_connection(("127.0.0.1", int(sandbox.api_url.rpartition(":")[2]))) as asker:
            asker.sendall(f"GET {PATH} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode())
            status = int(asker.recv(12).partition(b" ")[2] or 0)
    # The sandbox looks for its caller a moment later.
    told_at = sandbox.health()["now"]
    while sandbox.health()["now"] < told_at + 2 * HEARD:
        pass
    client.ask(1)
    assert sandbox.fault_report()["early"] == []


def test_a_rate_is_a_part_of_all(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        sandbox.random_faults(1.5)
