"""Tokens: exchanged once for everybody who needs one, masked before anything else, and renewed."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import AccessDenied, SendError, ServerError
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.operation import Conversation, Credentials, Operation, conversation
from airflow_provider_jobstatus.core.responses import expect
from airflow_provider_jobstatus.core.tokens import Token, TokenSlot, token_slot
from airflow_provider_jobstatus.transports.aio import AioClient
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import CallLimits
from tests.support.raw_server import RawServer, Received, reply
from tests.transports.driving import PATIENT, TRANSPORTS, Drive, ask_expecting, get


class Vendor:
    """Takes the tokens that it gave, until they are revoked."""

    def __init__(self) -> None:
        self.logins = 0
        self.valid: set[str] = set()
        self.login_status = 200
        self._lock = threading.Lock()
        self._numbers = count(1)

    def __call__(self, received: Received, connection: socket.socket) -> None:
        connection.sendall(self._log_in() if received.method == "POST" else self._job(received))

    def _log_in(self) -> bytes:
        with self._lock:
            self.logins += 1
            if self.login_status != 200:
                return reply(self.login_status, b"no login")
            token = f"token-{next(self._numbers)}"
            self.valid.add(token)
            return reply(200, token.encode())

    def _job(self, received: Received) -> bytes:
        token = (received.header("Authorization") or "").removeprefix("Bearer ")
        return reply(200, token.encode()) if token in self.valid else reply(401, token.encode())


def log_in(url: str) -> Flow[Token]:
    request = Request("vendor", "POST", f"{url}/login", body=b"password")
    return Token(expect(request, (yield request)).body.decode(), 3600.0)


def job(url: str) -> Flow[str]:
    request = get(f"{url}/job")
    return expect(request, (yield request)).body.decode()


def asking(url: str, slot: TokenSlot) -> Conversation[str]:
    auth = ExchangedToken(slot, lambda: log_in(url), ("password",))
    return conversation(Operation(lambda: job(url)), Credentials(auth, url))


@pytest.mark.parametrize("revoked", [None, "revoked"])
def test_two_hundred_waits_in_a_loop_log_in_once(revoked: str | None) -> None:
    vendor, slot, masked = Vendor(), TokenSlot(), []
    if revoked:
        slot.store(Token(revoked, 3600.0))

    async def mask(token: str) -> None:
        masked.append(token)

    async def main(url: str) -> list[str]:
        async with AioClient(PATIENT, mask=mask) as client:
            return await asyncio.gather(*(client.run(asking(url, slot)) for _ in range(200)))

    with RawServer(vendor) as server:
        assert asyncio.run(main(server.url)) == ["token-1"] * 200
    assert (vendor.logins, masked) == (1, ["token-1"])


def test_many_sessions_in_a_loop_log_in_once_and_the_token_outlives_the_loop() -> None:
    vendor, slot = Vendor(), TokenSlot()

    async def one(url: str) -> str:
        async with AioClient(PATIENT) as client:
            return await client.run(asking(url, slot))

    async def main(url: str) -> list[str]:
        return await asyncio.gather(*(one(url) for _ in range(20)))

    with RawServer(vendor) as server:
        assert [asyncio.run(main(server.url)) for _ in range(3)] == [["token-1"] * 20] * 3
    assert vendor.logins == 1


def test_forty_threads_log_in_once() -> None:
    vendor, slot = Vendor(), TokenSlot()
    masked: list[str] = []

    def one(url: str) -> str:
        with BlockingClient(PATIENT, mask=masked.append) as client:
            return client.run(asking(url, slot))

    with RawServer(vendor) as server, ThreadPoolExecutor(40) as pool:
        assert list(pool.map(one, [server.url] * 40)) == ["token-1"] * 40
    assert (vendor.logins, masked) == (1, ["token-1"])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_login_leaves_the_child_free_to_log_in() -> None:
    slot = token_slot("https://login.example", "me", "secret")
    with slot.lock:
        child = os.fork()
        if not child:
            os._exit(0 if slot.lock.acquire(timeout=5.0) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert slot.lock.locked()


def test_who_waits_for_the_login_of_another_call_does_so_no_longer_than_a_question_takes() -> None:
    slot, limits = TokenSlot(), CallLimits(total=0.5)
    with RawServer(vendor := Vendor()) as server, BlockingClient(limits) as client:
        with slot.lock, pytest.raises(SendError, match="exchange of the same login took too long") as caught:
            client.run(asking(server.url, slot))
        assert (caught.value.vendor, caught.value.path, vendor.logins) == ("vendor", "/login", 0)
        assert client.run(asking(server.url, slot)) == "token-1"


def test_the_same_holds_in_a_loop() -> None:
    vendor, slot = Vendor(), TokenSlot()
    held = threading.Event()

    def handle(received: Received, connection: socket.socket) -> None:
        if received.method == "POST":
            held.set()
            server.ended.wait(1.0)
        vendor(received, connection)

    async def main(url: str) -> None:
        async with AioClient(PATIENT) as client:
            first = asyncio.create_task(client.run(asking(url, slot)))
            assert await asyncio.to_thread(held.wait, 5)
            with pytest.raises(SendError, match="exchange of the same login took too long"):
                await client.run(asking(url, slot), until=asyncio.get_running_loop().time() + 0.05)
            assert await first == "token-1"

    with RawServer(handle) as server:
        asyncio.run(main(server.url))


@pytest.mark.parametrize("drive", TRANSPORTS.values(), ids=TRANSPORTS)
class TestEachTransport:
    def test_a_token_is_masked_before_it_is_used(self, drive: Drive) -> None:
        seen: list[tuple[str, str | None, int]] = []
        slot = TokenSlot()
        with RawServer(Vendor()) as server:
            result = drive(
                asking(server.url, slot),
                mask=lambda token: seen.append((token, slot.token, len(server.requests))),
            )
        assert result == "token-1"
        assert seen == [("token-1", None, 1)]

    def test_a_revoked_token_is_renewed_once_for_everybody(self, drive: Drive) -> None:
        vendor, slot = Vendor(), TokenSlot()
        with RawServer(vendor) as server:
            assert drive(asking(server.url, slot)) == "token-1"
            vendor.valid.clear()
            assert drive(asking(server.url, slot)) == "token-2"
            assert drive(asking(server.url, slot)) == "token-2"
        assert vendor.logins == 2

    def test_a_fresh_token_that_is_refused_is_not_tried_for_ever(self, drive: Drive) -> None:
        class Refusing(Vendor):
            def _job(self, received: Received) -> bytes:
                return reply(401, b"never")

        vendor = Refusing()
        with RawServer(vendor) as server, pytest.raises(AccessDenied):
            drive(asking(server.url, TokenSlot()))
        assert vendor.logins == 2

    def test_a_login_that_fails_fails_the_flow_and_is_tried_anew_the_next_time(self, drive: Drive) -> None:
        vendor, slot = Vendor(), TokenSlot()
        vendor.login_status = 503
        with RawServer(vendor) as server:
            with pytest.raises(ServerError, match="no login") as caught:
                drive(asking(server.url, slot))
            assert caught.value.path == "/login"
            vendor.login_status = 200
            assert drive(asking(server.url, slot)) == "token-1"

    def test_secrets_that_the_vendor_echoes_are_not_shown(self, drive: Drive) -> None:
        vendor = Vendor()
        vendor.login_status = 403

        def echo(received: Received, connection: socket.socket) -> None:
            connection.sendall(reply(403, b"bad login: " + received.body))

        with RawServer(echo) as server, pytest.raises(AccessDenied, match="bad login") as caught:
            drive(asking(server.url, TokenSlot()))
        assert "password" not in f"{caught.value} {caught.value!r} {caught.value.args}"


def test_a_wait_that_is_cancelled_during_the_login_leaves_it_to_the_others() -> None:
    vendor, slot = Vendor(), TokenSlot()
    held = threading.Event()

    def slow_once(received: Received, connection: socket.socket) -> None:
        if received.method == "POST" and not held.is_set():
            held.set()
            server.ended.wait()
            return
        vendor(received, connection)

    async def main(url: str) -> str:
        async with AioClient(PATIENT) as client:
            first = asyncio.create_task(client.run(asking(url, slot)))
            second = asyncio.create_task(client.run(asking(url, slot)))
            await asyncio.to_thread(held.wait, 5)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    with RawServer(slow_once) as server:
        assert asyncio.run(main(server.url)) == "token-1"


def test_a_cancelled_call_leaves_the_client_usable() -> None:
    asked = threading.Event()

    def hang_once(received: Received, connection: socket.socket) -> None:
        if received.target == "/hang":
            asked.set()
            server.ended.wait()
        else:
            connection.sendall(reply(200, b"ok"))

    async def main(url: str) -> list[bytes]:
        async with AioClient(PATIENT) as client:
            hanging = asyncio.create_task(client.run(ask_expecting(f"{url}/hang")))
            await asyncio.to_thread(asked.wait, 5)
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            return [await client.run(ask_expecting(url)) for _ in range(2)]

    with RawServer(hang_once) as server:
        assert asyncio.run(main(server.url)) == [b"ok", b"ok"]


def test_one_session_drives_many_flows_at_once() -> None:
    barrier = threading.Barrier(8)

    def all_together(received: Received, connection: socket.socket) -> None:
        barrier.wait(5)
        connection.sendall(reply(200, received.target.encode()))

    async def main(url: str) -> list[bytes]:
        async with AioClient(PATIENT) as client:
            return await asyncio.gather(
                *(client.run(ask_expecting(f"{url}/{number}")) for number in range(8))
            )

    with RawServer(all_together) as server:
        assert asyncio.run(main(server.url)) == [b"/%d" % number for number in range(8)]
