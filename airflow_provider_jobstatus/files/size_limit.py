"""A download that may not be larger than its task allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from airflow_provider_jobstatus.core.body import codings
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Response


def limited(reply: Response, max_bytes: int | None) -> Response:
    """
    Return a streamed reply that fails once it is larger than ``max_bytes``.

    :param max_bytes: as they are written, without an encoding on the way; None for any number.
    :raises SettingsError: its length is larger already; nothing of it was read.
    """
    if max_bytes is None:
        return reply
    length = reply.headers.get("content-length", "")
    if length and not codings(reply.headers.get("content-encoding", "")) and int(length) > max_bytes:
        raise SettingsError(f"the file has {length} bytes, more than max_bytes, which is {max_bytes}")
    return replace(reply, chunks=_counted(reply.chunks or iter(()), max_bytes))


def _counted(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise SettingsError(f"the file has more bytes than max_bytes, which is {max_bytes}")
        yield chunk
