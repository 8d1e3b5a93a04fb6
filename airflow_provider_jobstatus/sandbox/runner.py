"""The sandbox for Python code: a server in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_jobstatus.sandbox.certificates import Certificates
from airflow_provider_jobstatus.sandbox.control import Control
from airflow_provider_jobstatus.sandbox.faults.random_faults import MAX_RETRY_AFTER, MAX_STALL, FaultReport
from airflow_provider_jobstatus.sandbox.recording import RequestView
from airflow_provider_jobstatus.sandbox.server import Server
from airflow_provider_jobstatus.sandbox.vendor import Connection, JobView

T = TypeVar("T")


class Sandbox:
    """A running sandbox for tests and notebooks: ``with Sandbox() as sandbox: ...``.

    The methods may be called from any thread but the server's own, and do what the admin endpoints do. What
    was recorded can still be read when the server has stopped; a sandbox is started once.

    :param host: The address to listen on.
    :param port: The port of the API, the next ones being for the other origins; 0 takes free ports.
    :param settings: First settings by vendor, with the keys of :meth:`change_settings`; for example
        ``{"ruler": {"password": "canary"}}``.
    :param tls: Serve the API over TLS, with certificates of an authority of its own: :attr:`authority`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        tls: bool = False,
    ) -> None:
        self._control = Control(settings)
        certificates = Certificates(host) if tls else None
        self._server = Server(self._control, host=host, port=port, tls=certificates)
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="sandbox", daemon=True
        )

    def start(self) -> Self:
        """Start to serve.

        :raises OSError: A port is taken.
        """
        self._thread.start()
        self._started.result()
        return self

    def stop(self) -> None:
        """Stop to serve and close all connections."""
        if self._thread.is_alive():
            self._started.result().call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _serve(self) -> None:
        try:
            await self._server.start()
        except BaseException as error:  # noqa: BLE001 - start() raises it in the thread that waits
            self._started.set_exception(error)
            return
        self._started.set_result(asyncio.get_running_loop())
        await self._stop.wait()
        await self._server.stop()

    def _ask(self, work: Callable[[], T]) -> T:
        """Do some work on the thread of the event loop, which alone touches the state."""
        if not self._thread.is_alive():
            return work()

        async def step() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(step(), self._started.result()).result()

    @property
    def api_url(self) -> str:
        """The address of the API's origin, without a path."""
        return self._server.urls["api"]

    @property
    def authority(self) -> bytes:
        """The certificate that a client is to trust, as PEM; empty without TLS."""
        return b"" if self._server.tls is None else self._server.tls.authority

    @property
    def auth_url(self) -> str:
        """The address of the origin for logins, without a path."""
        return self._server.urls["auth"]

    @property
    def storage_url(self) -> str:
        """The address of the origin for stored files, without a path."""
        return self._server.urls["storage"]

    def connection(self, vendor: str, *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection to a vendor, in the JSON form of ``AIRFLOW_CONN_...``.

        :param vendor: The connection type.
        :param token: Use a static access token instead of a login (Ruler).
        :param jwt: Use signed assertions instead of a secret (Talkdesk).
        """
        urls = self._server.urls
        return self._ask(lambda: self._control.vendor(vendor).connection(urls, token=token, jwt=jwt))

    def environment(self) -> dict[str, str]:
        """Return the environment variables that define each vendor's default connection."""
        return self._ask(lambda: environment(self._server))

    @property
    def requests(self) -> list[RequestView]:
        """The recorded requests, oldest first."""
        return [record.view() for record in self._ask(self._control.recorder.requests)]

    def clear_requests(self) -> None:
        """Forget the recorded requests."""
        self._ask(self._control.recorder.clear)

    def jobs(self) -> list[JobView]:
        """Return all jobs."""
        return self._ask(self._control.jobs)

    def health(self) -> dict[str, Any]:
        """Return a sign of life, with the sandbox's time as ``now``."""
        return self._ask(self._control.health)

    def put_job(self, vendor: str, job_id: str, **spec: object) -> JobView:
        """Make a job, or replace the one with this id.

        :param vendor: The connection type.
        :param job_id: The id in the vendor's one-string form, such as ``demo-site/job-1``.
        :param spec: The keys of ``PUT /_sandbox/<vendor>/jobs/<job id>``; ``script`` is a list of answers,
            or the text of a fault script such as ``"status:503*2,reset,status:200:done"``.
        """
        return self._ask(lambda: self._control.put_job(vendor, job_id, spec))

    def put_answers(self, path: str, script: list[object] | str, *, method: str = "GET") -> int:
        """Script the next answers to one exact path, on whichever origin.

        :param path: The path as it stands on the request line, without the query.
        :param script: Entries, or the text of a fault script, used up one by one; then the usual behaviour
            returns.
        :param method: The method.
        """
        return self._ask(lambda: self._control.put_answers(path, script, method))

    def random_faults(
        self,
        rate: float,
        *,
        seed: int = 0,
        refusals: bool = True,
        max_retry_after: int = MAX_RETRY_AFTER,
        max_stall: float = MAX_STALL,
    ) -> None:
        """Let a part of all requests of the vendors fail, each path's in an order that the seed decides.

        :param rate: From 0 to 1.
        :param seed: Of the dice.
        :param refusals: Whether a 401 is among the faults; a path gets one at most.
        :param max_retry_after: The longest ``Retry-After``, in seconds. A vendor sends one only when its last
            one has been over for ``PAUSE_APART`` seconds.
        :param max_stall: The longest stall, in real seconds.
        """
        self._ask(
            lambda: self._control.random_faults.change(
                rate=rate,
                seed=seed,
                refusals=refusals,
                max_retry_after=max_retry_after,
                max_stall=max_stall,
            )
        )

    def fault_report(self) -> FaultReport:
        """Return how many requests met which fault, and the calls that ignored a ``Retry-After``."""
        return self._ask(self._control.random_faults.report)

    def advance_clock(self, seconds: float) -> float:
        """Move the sandbox's clock forward and return its time."""
        return self._ask(lambda: self._control.clock.advance(seconds))

    def stop_clock(self) -> float:
        """Let the sandbox's time pass by :meth:`advance_clock` only, and return it."""
        return self._ask(self._control.clock.stop)

    def settings(self, vendor: str) -> dict[str, Any]:
        """Return a vendor's settings and counters."""
        return self._ask(lambda: self._control.vendor(vendor).settings())

    def change_settings(self, vendor: str, **changes: object) -> dict[str, Any]:
        """Change a vendor's settings and return them all."""
        return self._ask(lambda: self._control.change_settings(vendor, changes))

    def revoke_tokens(self, vendor: str) -> int:
        """End all tokens of a vendor and return how many there were."""
        return self._ask(lambda: self._control.vendor(vendor).revoke())


def environment(server: Server) -> dict[str, str]:
    """Return the environment variables that define the default connections to a running server."""
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(vendor.connection(server.urls))
        for name, vendor in server.control.vendors.items()
    }
