"""Download a file from a vendor: streamed, verified, published whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_provider_jobstatus.core.errors import ApiError, RateLimited, ServerError, TransportError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.rows import count_entries, count_json_rows
from airflow_provider_jobstatus.exceptions import DownloadIncomplete
from airflow_provider_jobstatus.operators.destination import IfExists, writing

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Tries of one download or read, and the longest pause between two of them, in seconds.
MAX_TRIES = 8
MAX_PAUSE = 64.0

Counter = Callable[[Iterable[bytes]], int | None]
#: Counters that see by its closing shape whether a text is whole.
SHAPED: tuple[Counter, ...] = (count_entries, count_json_rows)


def patiently(attempt: Callable[[], T]) -> T:
    """
    Call ``attempt``, again and again while what goes wrong may pass, for some two minutes in all.

    A vendor's ``Retry-After`` is obeyed.

    :raises VendorError: of the last try, or one that no further try can mend.
    """
    tries = 0
    while True:
        try:
            return attempt()
        except (TransportError, ServerError, RateLimited, DownloadIncomplete) as error:
            tries += 1
            if tries == MAX_TRIES or getattr(error, "spent", False):
                raise
            pause = min(2.0 ** (tries - 1), MAX_PAUSE) * (0.5 + 0.5 * random.random())  # noqa: S311 - jitter
            wanted = error.retry_after if isinstance(error, ApiError) else None
            pause = max(pause, wanted or 0.0)
            log.warning("%s; try %d of %d in %.1f s", error, tries + 1, MAX_TRIES, pause)
        time.sleep(pause)


def save(
    reply: Response, path: str, if_exists: IfExists, count_rows: Counter, expected_rows: int | None
) -> dict[str, Any]:
    """
    Write a streamed reply to ``path`` byte by byte, verify it, and publish it.

    A body whose length nobody announced and that simply ended proves nothing: then its number of rows must.

    :param count_rows: pulls the chunks and counts; raises ValueError for a shape that is not whole.
    :param expected_rows: how many rows the vendor says there are, if it does.
    :return: ``{"path", "bytes", "rows", "sha256", "verified_by"}``.
    :raises DownloadIncomplete: it ended early, is not what its digest says, or nothing proves that it is
        whole.
    :raises DestinationError: it cannot be written.
    """
    digests = {"sha256": hashlib.sha256()}
    announced = _announced_digests(reply.headers)
    digests |= {name: hashlib.new(name, usedforsecurity=False) for name in announced if name not in digests}
    size = 0
    proofs = [*announced, *_framing(reply.headers)]
    with writing(path, if_exists) as file:

        def written_through() -> Iterator[bytes]:
            nonlocal size
            for chunk in reply.chunks or ():
                size += len(chunk)
                file.write(chunk)
                for digest in digests.values():
                    digest.update(chunk)
                yield chunk

        try:
            rows = count_rows(written_through())
        except ValueError as error:
            raise DownloadIncomplete(str(error)) from None
        if count_rows in SHAPED and rows is not None:
            proofs.append("shape")
        for name, value in announced.items():
            if digests[name].digest() != value:
                raise DownloadIncomplete(f"the download's {name} is not the one that its reply announced")
        if rows is not None and rows == expected_rows:
            proofs.append("rows")
        elif expected_rows is not None:
            if size == 0 or not proofs:
                raise DownloadIncomplete(f"the download has {rows} rows, the vendor says {expected_rows}")
            log.warning("The download is whole, but has %s rows, and the vendor says %s", rows, expected_rows)
        if not proofs:
            raise DownloadIncomplete(
                "nothing proves that the download is whole: no length, digest or row total"
            )
    return {
        "path": path,
        "bytes": size,
        "rows": rows,
        "sha256": digests["sha256"].hexdigest(),
        "verified_by": ", ".join(proofs),
    }


def _framing(headers: Mapping[str, str]) -> list[str]:
    """Return what of the reply's framing shows its end; the transport has raised if it was not reached."""
    if "content-length" in headers:
        return ["length"]
    return ["chunks"] if "chunked" in headers.get("transfer-encoding", "").lower() else []


def _announced_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return the digests that the headers announce, by the name that ``hashlib`` knows them by."""
    # A digest is over the body as it was sent; we hash it as it was meant.
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return {}
    found: dict[str, str] = {}
    if "content-md5" in headers:
        found["md5"] = headers["content-md5"].strip()
    for item in f"{headers.get('repr-digest', '')},{headers.get('content-digest', '')}".split(","):
        name, _, value = item.strip().partition("=")
        if name in ("sha-256", "sha-512"):
            found[name.replace("-", "")] = value.strip(":")
    digests = {}
    for name, value in found.items():
        try:
            digests[name] = b64decode(value, validate=True)
        except ValueError:
            log.warning("The reply announces a %s that is none", name)
    return digests
