"""The file of a finished report; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from airflow_provider_jobstatus.core.content import expect_file
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.redirects import REDIRECTS, target_of
from airflow_provider_jobstatus.core.responses import expect, unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.talkdesk.job import TalkdeskJobId, file_path

#: Signed addresses that are tried: one that has expired is requested again once.
MAX_ADDRESSES = 2


def file_flow(
    hook: BatchJobHook, job: TalkdeskJobId, begin: int = 0, etag: str = "", *, encoded: bool = False
) -> Flow[Response]:
    """
    Open a finished report: ``GET /data/reports/{type}/files/{id}``, and the signed address that it
    redirects to.

    The reply is streamed: for ``hook.open``. The second request carries nothing of ours. A
    storage may refuse an address that has expired with any 4xx but 404: another is requested, once.

    :param begin: position from which on the file is requested; the reply may be the whole of it all the same.
    :param etag: validator of the file that the rest is to be of.
    :param encoded: whether the file may be compressed on its way.
    :raises NotFound: there is no file: not yet, or no more.
    :raises ServerError: a 2xx that is no file, such as "not yet".
    :raises UnexpectedResponse: an address that must not be called, a second redirect, an empty file that
        comes from no storage, or addresses that are refused.
    """
    headers = {"Accept": "*/*"}
    if begin:
        headers |= {"Range": f"bytes={begin}-", "If-Range": etag}
    elif encoded:
        headers["Accept-Encoding"] = "gzip"
    request = hook.request("GET", file_path(job), headers=headers)
    for _ in range(MAX_ADDRESSES):
        response = yield request
        if begin and response.status == 206:
            return response
        if response.status not in REDIRECTS:
            if expect_file(request, response).headers.get("content-length") == "0":
                raise unexpected(request, "answered with an empty file")
            return replace(response, chunks=_not_empty(request, response.chunks or ()))
        stored = Request(
            hook.conn_type,
            "GET",
            target_of(request, response),
            headers,
            anonymous=True,
        )
        response = yield stored
        if not _may_have_expired(response) or response.status == 404:
            # A file that is not there yet is not there at once by another address.
            break
    # A storage may repeat the signed address in its error.
    shown = response if response.status < 300 else replace(response, body=b"")
    if _may_have_expired(response) and response.status not in (404, 410):
        reason = f"gave {MAX_ADDRESSES} signed addresses, and the storage refused each"
        raise unexpected(request, f"{reason}, the last with {response.status}", response.status)
    return shown if begin and shown.status == 206 else expect_file(stored, shown)


def delete_flow(hook: BatchJobHook, job: TalkdeskJobId) -> Flow[None]:
    """
    Delete the file of a report: ``DELETE /data/reports/{type}/files/{id}``. Needs the scope
    ``data-reports:write``. The reply is 204; a file that was deleted before gives 403 or 404.

    That stands on the page of the older API, and is read from clients of this one.

    :raises UnexpectedResponse: another reply that is no error: the file may still be there.
    """
    request = hook.request("DELETE", file_path(job))
    if (status := expect(request, (yield request)).status) != 204:
        raise unexpected(request, f"answered {status}, not 204", status)


def _not_empty(request: Request, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    Pass on a file that comes from no storage.

    :raises UnexpectedResponse: there is nothing in it.
    """
    empty = True
    for chunk in chunks:
        empty = empty and not chunk
        yield chunk
    if empty:
        raise unexpected(request, "answered with an empty file")


def file_operation(
    hook: BatchJobHook, job: TalkdeskJobId, begin: int = 0, etag: str = "", *, encoded: bool = False
) -> Operation[Response]:
    """Return the operation that opens a finished report, with the arguments of :func:`file_flow`."""
    return Operation(partial(file_flow, hook, job, begin, etag, encoded=encoded), streamed=True)


def delete_operation(hook: BatchJobHook, job: TalkdeskJobId) -> Operation[None]:
    """Return the operation that deletes the file of a report."""
    return Operation(partial(delete_flow, hook, job))


def _may_have_expired(response: Response) -> bool:
    """Return whether a storage refuses an address, rather than all calls for the time being."""
    later = response.status in (408, 425, 429) or "retry-after" in response.headers
    return 400 <= response.status < 500 and not later
