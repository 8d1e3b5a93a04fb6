"""Both transports behind one call, so that a test can be written once for the two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.responses import expect
from airflow_provider_jobstatus.transports.aio import AioClient
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import CallLimits

T = TypeVar("T")

#: For calls that are meant to succeed, or to fail for another reason than their time.
PATIENT = CallLimits(total=20.0, connect=10.0, read=10.0)


def with_requests(
    flow: Flow[T],
    limits: CallLimits = PATIENT,
    ca: str | None = None,
    mask: Callable[[str], None] = lambda _: None,
) -> T:
    with BlockingClient(limits, ca, mask) as client:
        return client.run(flow)


def with_aiohttp(
    flow: Flow[T],
    limits: CallLimits = PATIENT,
    ca: str | None = None,
    mask: Callable[[str], None] = lambda _: None,
) -> T:
    async def masking(token: str) -> None:
        mask(token)

    async def main() -> T:
        async with AioClient(limits, ca, masking) as client:
            return await client.run(flow)

    return asyncio.run(main())


#: Drives one flow on a session of its own.
Drive = Callable[..., Any]
TRANSPORTS: Mapping[str, Drive] = {"requests": with_requests, "aiohttp": with_aiohttp}


@dataclass(frozen=True)
class Failure:
    """What a flow failed with; two transports agree if this is equal."""

    kind: type[VendorError]
    status: int | None = None


def attempt(drive: Drive, flow: Flow[Any], **options: Any) -> Any:
    """Return the flow's result, or its failure."""
    try:
        return drive(flow, **options)
    except VendorError as error:
        return Failure(type(error), error.status)


def get(url: str, **parts: Any) -> Request:
    return Request("vendor", "GET", url, **parts)


def send(request: Request) -> Flow[Response]:
    """Return the reply as it came, whatever its status."""
    response: Response = yield request
    return response


def ask(url: str, **parts: Any) -> Flow[Response]:
    """Return the reply to a GET as it came."""
    return send(get(url, **parts))


def ask_body(url: str) -> Flow[tuple[int, bytes]]:
    """Return status and body, whatever the status."""
    response: Response = yield get(url)
    return response.status, response.body


def ask_expecting(url: str) -> Flow[bytes]:
    """Return the body of a reply with a 2xx status."""
    request = get(url)
    return expect(request, (yield request)).body
