"""A download whose stream breaks goes on where it broke, if what comes is surely the rest of the file."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from airflow_provider_jobstatus.core.body import codings
from airflow_provider_jobstatus.core.errors import AccessDenied, TransportError, VendorError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.exceptions import DownloadIncomplete
from airflow_provider_jobstatus.files.retry_budget import RetryBudget

log = logging.getLogger(__name__)

#: Opens the rest of a file: from a position on, if its validator is still this one.
OpenRest = Callable[[int, str], Response]

#: How often one task goes on after a break.
MAX_RESUMPTIONS = 20
#: A strong validator (RFC 9110, section 8.8.3); a weak one does not promise the same bytes.
_STRONG = re.compile(r'"[\x21\x23-\x7e]+"')


class Resumption:
    """
    Lets downloads go on where they broke, :data:`MAX_RESUMPTIONS` times in all.

    :param patience: what a task has left of its pauses; the rest of a file is requested within it.
    """

    def __init__(self, patience: RetryBudget) -> None:
        self._patience = patience
        self._left = MAX_RESUMPTIONS

    def continued(self, reply: Response, open_rest: OpenRest) -> Response:
        """
        Return a streamed reply whose body goes on after a break; unchanged if it has no strong ``ETag`` or no
        length, or is encoded on the way: then nothing tells that two parts are of one file.

        :param open_rest: called after a break, when the broken reply is not read any more.
        """
        etag, length = reply.headers.get("etag", ""), reply.headers.get("content-length", "")
        if codings(reply.headers.get("content-encoding", "")) or not length or not _STRONG.fullmatch(etag):
            return reply
        return replace(reply, chunks=self._chunks(reply.chunks or iter(()), etag, int(length), open_rest))

    def _chunks(self, chunks: Iterator[bytes], etag: str, total: int, open_rest: OpenRest) -> Iterator[bytes]:
        size = 0
        while True:
            begin = size
            try:
                for chunk in chunks:
                    size += len(chunk)
                    yield chunk
                break
            except TransportError as error:
                if size == begin or size >= total or not self._left:
                    raise
                self._left -= 1
                log.warning("%s; going on at byte %d of %d", error, size, total)
                chunks = self._rest(error, size, etag, total, open_rest)
        if size != total:
            raise DownloadIncomplete(f"the parts of the download have {size} bytes, its length is {total}")

    def _rest(
        self, broken: TransportError, begin: int, etag: str, total: int, open_rest: OpenRest
    ) -> Iterator[bytes]:
        """
        Return the rest of a file.

        :raises TransportError: the break itself, if there is no rest to be had: the download starts anew.
        """
        try:
            rest = self._patience.try_out(lambda: open_rest(begin, etag))
        except AccessDenied:
            raise
        except VendorError as error:
            broken.add(f"the rest of the file could not be requested: {error.reason}")
            broken.retry_after = error.retry_after
            raise broken from None
        if problem := _misfit(rest, begin, etag, total):
            broken.add(f"the rest of the file was requested, and {problem}")
            raise broken
        return rest.chunks or iter(())


def _misfit(rest: Response, begin: int, etag: str, total: int) -> str:
    """Return why a reply is not the rest of a file, or nothing if it is."""
    if rest.status != 206:
        return f"the server answered {rest.status}"
    if rest.headers.get("content-range", "").strip().lower() != f"bytes {begin}-{total - 1}/{total}":
        return "the server sent another part"
    if codings(rest.headers.get("content-encoding", "")):
        return "the server encoded it"
    if rest.headers.get("content-length", str(total - begin)) != str(total - begin):
        return "the part has another length than its range"
    # A storage may not know If-Range; that a part has the validator of the whole is RFC 9110, section 15.3.7.
    return "" if rest.headers.get("etag") == etag else "the file may be another one by now"
