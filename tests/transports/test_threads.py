"""A machine that can start no thread for a moment: an outage, and nothing worse."""

from __future__ import annotations

import asyncio

import pytest
import requests
from airflow.sdk import Connection

from airflow_provider_jobstatus.core.errors import SendError, TransportError, VendorError
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.transports.aio import AioClient
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.threads import EXHAUSTED, in_thread
from tests.support.raw_server import RawServer, reply, says
from tests.support.threads import refuse_threads, refuse_work
from tests.transports.driving import PATIENT, ask_body

REFUSALS = [RuntimeError("can't start new thread"), MemoryError()]


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
def test_a_call_on_a_worker_without_a_thread_for_its_deadline_is_not_sent_and_the_next_one_is(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    with RawServer(says(reply(200, b"ok"))) as server, BlockingClient(PATIENT) as client:
        refuse_threads(monkeypatch, "jobstatus-watchdog", refusal)
        with pytest.raises(SendError, match="no thread can be started here now"):
            client.run(ask_body(server.url))
        assert server.requests == []
        assert client.run(ask_body(server.url)) == (200, b"ok")


def test_a_call_of_a_users_own_without_a_thread_for_its_deadline_is_an_error_of_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(says(reply(200, b"ok"))) as server:
        connection = Connection(
            conn_id="c",
            conn_type="ruler",
            host=f"{server.url}/v1",
            password="a-token",
            extra='{"site_id": "s"}',
        )
        with RulerHook.from_connection(connection).get_conn() as session:
            refuse_threads(monkeypatch, "jobstatus-watchdog")
            with pytest.raises(requests.RequestException, match="no thread can be started here now"):
                session.get("/companies")
            assert session.get("/companies").text == "ok"
        assert len(server.requests) == 1


def test_a_call_in_a_triggerer_without_a_thread_for_the_hosts_name_is_not_sent_and_the_next_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(url: str) -> object:
        async with AioClient(PATIENT) as client:
            refuse_work(monkeypatch, "getaddrinfo")
            with pytest.raises(SendError, match="no thread can be started here now"):
                await client.run(ask_body(url))
            return await client.run(ask_body(url))

    with RawServer(says(reply(200, b"ok"))) as server:
        assert asyncio.run(main(f"http://localhost:{server.port}")) == (200, b"ok")
        assert len(server.requests) == 1


def test_a_call_that_is_cancelled_within_a_library_is_an_outage_and_the_next_one_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cancelled(*_: object, **__: object) -> list[object]:
        raise asyncio.CancelledError

    async def main(url: str) -> object:
        loop = asyncio.get_running_loop()
        async with AioClient(PATIENT) as client:
            with monkeypatch.context() as patch:
                patch.setattr(loop, "getaddrinfo", cancelled)
                with pytest.raises(TransportError, match="the call was cancelled within a library"):
                    await client.run(ask_body(url))
            return await client.run(ask_body(url))

    with RawServer(says(reply(200, b"ok"))) as server:
        assert asyncio.run(main(f"http://localhost:{server.port}")) == (200, b"ok")


def test_a_session_in_a_triggerer_without_a_thread_for_its_certificates_is_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with AioClient(PATIENT):
            pass

    refuse_work(monkeypatch, "tls_context")
    with pytest.raises(TransportError) as caught:
        asyncio.run(main())
    assert str(caught.value) == f"Airflow: {EXHAUSTED}"
    asyncio.run(main())


@pytest.mark.parametrize("fault", [RuntimeError("a fault of the call's own"), RecursionError()], ids=repr)
def test_what_the_call_in_a_thread_raises_itself_stays_what_it_is(fault: Exception) -> None:
    def call() -> None:
        raise fault

    async def main() -> None:
        await in_thread(call)

    with pytest.raises(type(fault)) as caught:
        asyncio.run(main())
    assert caught.value is fault
    assert not isinstance(caught.value, VendorError)
