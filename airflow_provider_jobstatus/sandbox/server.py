"""The HTTP server: one process, one loopback port for each origin."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from airflow_provider_jobstatus.sandbox.admin import PREFIX, Admin
from airflow_provider_jobstatus.sandbox.certificates import Certificates
from airflow_provider_jobstatus.sandbox.control import Control
from airflow_provider_jobstatus.sandbox.faults import URLS
from airflow_provider_jobstatus.sandbox.script import play
from airflow_provider_jobstatus.sandbox.vendor import ORIGINS, Movable, Origin

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
BACKLOG = 1024  # a load test opens many connections at once


class Server:
    """The origins of one sandbox, to be run in an event loop.

    :param control: The sandbox's state.
    :param host: The address to listen on.
    :param port: The port of the API; the other origins take the following ones. 0 takes free ports.
    :param tls: Certificates to serve the API with; without them it speaks plain HTTP.
    """

    def __init__(
        self, control: Control, *, host: str = "127.0.0.1", port: int = 0, tls: Certificates | None = None
    ) -> None:
        self.control = control
        self.urls = control.urls
        self.tls = tls
        self._host = host
        self._port = port
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        """Open the ports.

        :raises OSError: A port is taken, or the address is not one of this machine.
        """
        try:
            for offset, origin in enumerate(ORIGINS):
                routes = [
                    route
                    for vendor in self.control.vendors.values()
                    for route in vendor.routes.get(origin, ())
                ]
                if origin == "api":
                    routes += Admin(self.control).routes
                if routes:
                    await self._open(origin, self._port and self._port + offset, routes)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the ports and all connections."""
        while self._runners:
            await self._runners.pop().cleanup()

    async def _open(self, origin: Origin, port: int, routes: list[web.RouteDef]) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            # Newer versions of Python add the address to the system's words once more.
            reason = (error.strerror or "").partition(" (while")[0]
            raise OSError(error.errno, f"Cannot listen on {self._host} port {port}: {reason}.") from error
        app = web.Application(middlewares=[self._middleware(origin)], client_max_size=MAX_BODY_BYTES)
        app[URLS] = self.urls
        app.router.add_routes(routes)
        tls = self._context(self.tls) if self.tls is not None and origin == "api" else None
        # A handler that still waits for a scripted delay must not hold up the end.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._runners.append(runner)
        await runner.setup()
        await web.SockSite(runner, listener, backlog=BACKLOG, ssl_context=tls).start()
        host = f"[{self._host}]" if family == socket.AF_INET6 else self._host
        self.urls[origin] = f"{'https' if tls else 'http'}://{host}:{listener.getsockname()[1]}"

    def _context(self, certificates: Certificates) -> ssl.SSLContext:
        """Return a context that shows, at each handshake, the certificate whose turn it is."""
        # It needs no certificate: OpenSSL calls back for one also where the client names no host.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = certificates.contexts[self.control.next_certificate()]

        context.sni_callback = choose
        return context

    def _middleware(self, origin: Origin) -> Middleware:
        control = self.control

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if origin == "api" and request.raw_path.startswith(PREFIX):
                return await self._guarded(request, lambda: handler(request))
            record = control.recorder.add(request, at=control.clock.now(), origin=origin)

            usual = partial(self._moved(request) or handler, request)

            async def scripted() -> web.StreamResponse:
                record.keep_body(await request.read())
                entry = control.answers.take(request) or control.random_faults.take(request, record.at)
                if entry is None:
                    return await usual()
                # The usual answer, errors included, is what an entry may add its headers to.
                return await play(request, entry, lambda: self._guarded(request, usual))

            response = await self._guarded(request, scripted)
            if self.tls is not None:
                # A certificate is shown once a connection, and scripted once a request.
                response.force_close()
            gone = request.transport is None or request.transport.is_closing()
            record.status = None if gone and not response.prepared else response.status
            log.info("%s %s %s -> %s", origin, request.method, request.raw_path, record.status or "no answer")
            return response

        return answer

    def _moved(self, request: web.Request) -> Handler | None:
        """Return what answers where there is no endpoint, or None for what is usual."""
        vendor = self.control.vendor_at(request.raw_path)
        missing = request.match_info.http_exception is not None
        return vendor.elsewhere(request) if missing and isinstance(vendor, Movable) else None

    async def _guarded(
        self, request: web.Request, work: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Do the work of a handler and turn whatever it raises into a JSON answer."""
        try:
            return await work()
        except web.HTTPException as error:
            allow = error.headers.get("Allow")
            message = error.text or error.reason
            return self._error(request, error.status, message, {"Allow": allow} if allow else {})
        except ConnectionError:
            raise  # the client has left, which is no fault of ours
        except Exception as error:
            if request.raw_path.startswith(PREFIX) and isinstance(error, ValueError | LookupError):
                return self._error(request, 404 if isinstance(error, LookupError) else 400, str(error), {})
            log.exception("The sandbox failed at %s %s", request.method, request.raw_path)
            return self._error(request, 500, f"The sandbox itself failed: {type(error).__name__}.", {})

    def _error(
        self, request: web.Request, status: int, message: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        vendor, path = self.control.vendor_at(request.raw_path), request.raw_path.partition("?")[0]
        body = vendor.error_body(status, message, path) if vendor else {"error": message}
        return web.json_response(body, status=status, headers=headers)
