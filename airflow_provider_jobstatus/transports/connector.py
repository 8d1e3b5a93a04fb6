"""The connections of ``aiohttp``: which addresses they may lead to, and which are used again."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from urllib3.util import wait_for_read

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Request
from airflow_provider_jobstatus.core.redirects import Peers

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


@dataclass(slots=True)
class Route:
    """
    The purpose of a connection.

    :param request: that is to be sent on it.
    :param direct: whether the address is the vendor's own, and not a proxy's.

    :ivar refusal: why it was not connected, if the address was refused.
    :ivar tried: whether there was a connection already, so that the next one is a second try.
    """

    request: Request
    direct: bool
    refusal: VendorError | None = None
    tried: bool = False


#: Of the request that is under way.
route: ContextVar[Route] = ContextVar("route")


class Connector(aiohttp.TCPConnector):
    """
    Checks the address of each new connection, and the state of each kept one.

    aiohttp takes whatever a kept connection holds for the next reply: the second copy of a doubled one would
    be the answer about another job. It also takes another kept connection for a second try, which has most
    likely died with the first.

    :param options: of aiohttp's own connector.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(socket_factory=self._open_socket, **options)
        self._peers = Peers()
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> Connection:
        """Return a connection that is new, or kept and in step."""
        wanted = route.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            if (protocol := connection.protocol) is None:
                continue
            if protocol not in self._used or not (wanted.tried or _out_of_step(protocol)):
                self._used.add(protocol)
                wanted.tried = True
                return connection
            connection.close()

    def _open_socket(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        """Open a socket for one address, unless the request that is under way must not go there."""
        family, kind, protocol, _, address = addr_info
        wanted = route.get()
        if wanted.direct:
            try:
                self._peers.check(wanted.request, str(address[0]))
            except VendorError as refusal:
                # aiohttp tries the next address after an OSError, and after nothing else.
                wanted.refusal = refusal
                raise OSError("not an address to call") from None
        return socket.socket(family, kind, protocol)


def _out_of_step(protocol: ResponseHandler) -> bool:
    """Return whether more has come on an idle connection than was requested, or its end."""
    if protocol.should_close:
        return True
    try:
        # The beginning of a head is seen by no public name.
        if protocol._parser is not None and protocol._parser.feed_eof() is not None:
            return True
    except (HttpProcessingError, ValueError, TypeError, LookupError, AttributeError):
        return True
    # What the event loop has had no turn to read yet.
    transport = protocol.transport
    return transport is None or wait_for_read(transport.get_extra_info("socket"), timeout=0.0)
