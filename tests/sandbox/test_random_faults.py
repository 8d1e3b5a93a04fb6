"""Faults at a rate, and the calls that come before a ``Retry-After`` is over."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest
import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.random_faults import HEARD, PAUSE_APART

PATH = "/a/api/v2/micropanel/batches/7"


class Client:
    """Asks for one job's status, on one connection for as long as the sandbox lets it."""

    def __init__(self, sandbox: Sandbox, path: str = PATH) -> None:
        self._address = f"{sandbox.api_url}{path}"
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
    sandbox.random_faults(1.0, seed=3, max_stall=0.0)
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
    sandbox.random_faults(0.5, seed=11, max_stall=0.0)
    first = client.ask(15)
    with Sandbox() as again:
        again.put_job("questionpro", "7", end="Done")
        again.random_faults(0.5, seed=11, max_stall=0.0)
        with closing(Client(again)) as other:
            assert other.ask(15) == first
    assert len(set(first)) > 1


def test_a_call_before_its_time_is_recorded_and_one_after_it_is_not(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False, max_stall=0.0)
    client.ask_until_told_to_wait()
    sandbox.advance_clock(60)
    client.ask_until_told_to_wait()
    assert sandbox.fault_report()["early"] == []

    client.ask(1)
    [early] = sandbox.fault_report()["early"]
    assert early["path"] == f"GET {PATH}"
    assert early["told_at"] <= early["at"] < early["due"] <= early["told_at"] + 15


class Waits:
    """Asks at both vendors and keeps what each refusal says of waiting, and when it came."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.told: list[tuple[float, int, str | None]] = []

    def ask(self, path: str) -> None:
        at = self._sandbox.health()["now"]
        try:
            reply = requests.get(f"{self._sandbox.api_url}{path}", timeout=9)
        except requests.ConnectionError:
            return
        if reply.status_code in (429, 503):
            self.told.append((at, reply.status_code, reply.headers.get("Retry-After")))


def test_a_vendor_asks_for_a_pause_only_a_while_after_its_last_one_whichever_path_is_asked(
    sandbox: Sandbox,
) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False, max_stall=0.0)
    waits = Waits(sandbox)
    for number in range(40):
        waits.ask(f"/a/api/v2/micropanel/batches/{number}")
        sandbox.advance_clock(5)
    pauses = [(at, int(seconds)) for at, _, seconds in waits.told if seconds is not None]
    assert 2 <= len(pauses) < len(waits.told)
    assert all(later - at >= seconds + PAUSE_APART for (at, seconds), (later, _) in pairwise(pauses))
    faults = sandbox.fault_report()["faults"]
    assert faults["429"] + faults["503"] == len(waits.told), "with a pause or without, it is the same fault"


def test_a_pause_at_one_vendor_is_none_at_another(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False, max_stall=0.0)
    client.ask_until_told_to_wait()
    waits = Waits(sandbox)
    while not waits.told:
        waits.ask("/v1/s/batch/jobs")
    assert waits.told[0][2] is not None


def test_a_refusal_without_a_pause_binds_nobody(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False, max_stall=0.0)
    with closing(Client(sandbox, "/a/api/v2/micropanel/batches/8")) as other:
        other.ask_until_told_to_wait()
    client.ask_until_told_to_wait()
    client.ask(1)
    assert sandbox.fault_report()["early"] == []


def test_what_was_told_to_one_who_is_gone_binds_nobody(sandbox: Sandbox, client: Client) -> None:
    sandbox.random_faults(1.0, seed=3, refusals=False, max_stall=0.0)
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
