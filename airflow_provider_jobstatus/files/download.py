"""Download a file from a vendor: streamed, verified, published whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from airflow_provider_jobstatus.core.body import GZIP, Inflater
from airflow_provider_jobstatus.core.content import JUDGED_BYTES, announces_nothing, framing, misfit
from airflow_provider_jobstatus.core.csv_rows import count_csv_rows
from airflow_provider_jobstatus.core.encodings import is_binary, is_packed, peek, text_of
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.json_errors import fault_of_json
from airflow_provider_jobstatus.core.json_rows import count_entries, count_json_rows
from airflow_provider_jobstatus.core.redaction import redact
from airflow_provider_jobstatus.core.responses import retry_after
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DownloadIncomplete
from airflow_provider_jobstatus.files.destination import IfExists, writing
from airflow_provider_jobstatus.files.naming import file_name

log = logging.getLogger(__name__)

#: Most bytes to which a gzip is inflated to see whether it is whole: a few seconds of work.
MOST_INFLATED_BYTES = 1024**3

_DIGESTS = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}

Counter = Callable[[Iterable[bytes]], int | None]
#: Counters that see by its closing shape whether a text is whole.
SHAPED: tuple[Counter, ...] = (count_entries, count_json_rows)


def named(reply: Response, default: str, secrets: Iterable[str]) -> tuple[str, Response]:
    """
    Return the name that a reply gives its file, or else ``default``, and the reply to be read on.

    A name that repeats a secret is not used. A name that ends in ``.gz`` loses that ending where the content
    coding has been undone and the file is no gzip any more.
    """
    name = file_name(reply.headers.get("content-disposition", ""), default)
    given = unquote(reply.headers.get("content-disposition", ""))
    if any(redact(text, secrets) != text for text in (name, given)):
        log.warning("The reply gives its file a name that repeats a secret: %s is used", default)
        name = file_name("", default)
    if name.lower().endswith(".gz") and reply.headers.get("content-encoding"):
        head, chunks = peek(reply.chunks or ())
        reply = replace(reply, chunks=chunks)
        if not is_packed(head):
            name = name[: -len(".gz")]
    return name, reply


def save(
    reply: Response,
    path: str,
    if_exists: IfExists,
    count_rows: Counter,
    expected_rows: int | None,
    *,
    file_format: str | None = None,
    fewest_rows: int = 0,
    relaxed: bool = False,
    hint: str = "",
    secrets: Iterable[str] = (),
) -> dict[str, Any]:
    """
    Write a streamed reply to ``path`` byte by byte, verify it, and publish it.

    A body without an announced length that simply ended proves nothing: then its number of rows must be
    right, and the last row have the end of its line.

    :param count_rows: pulls the chunks and counts rows; raises ValueError for a shape that is not whole.
    :param expected_rows: how many rows the vendor says there are, if it does.
    :param file_format: ``"csv"``, ``"json"``, or None if that is not known.
    :param fewest_rows: how many rows there are at least.
    :param relaxed: whether another number of rows than expected is only warned about.
    :param hint: what may be done about another number of rows, for the message.
    :param secrets: of ours, which a response in place of the file may repeat.
    :return: ``{"path", "bytes", "rows", "sha256", "verified_by"}``.
    :raises DownloadIncomplete: it ended early, is not what its digest says, is another file than the one
        that was asked for, has another number of rows, or nothing proves that it is whole.
    :raises DestinationError: it cannot be written.
    """
    announced = _announced_digests(reply.headers)
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *announced}}
    size, head, packed = 0, bytearray(), _GzipCheck()
    proofs = [*announced, *framing(reply.headers)]
    with writing(path, if_exists) as file:

        def written_through() -> Iterator[bytes]:
            nonlocal size
            for chunk in reply.chunks or ():
                size += len(chunk)
                file.write(chunk)
                head.extend(chunk[: JUDGED_BYTES - len(head)])
                packed.feed(chunk)
                for digest in digests.values():
                    digest.update(chunk)
                yield chunk

        rows, broken = None, ""
        try:
            if count_rows is count_csv_rows and not proofs:
                count_rows = partial(count_csv_rows, to_line_end=True)
            rows = count_rows(written_through())
        except ValueError as error:
            broken = str(error)
        secrets = (*secrets, *reply.secrets)
        about = f"{clean(redact(reply.content_type, secrets), 80) or 'no media type'}, {size} bytes"
        if sent := misfit(file_format, reply.content_type, bytes(head), size == len(head)):
            asked = f"; {broken}" if broken else ""
            incomplete = DownloadIncomplete(
                f"instead of the file came {sent.describe(secrets)} ({about}){asked}"
            )
            incomplete.retry_after = retry_after(reply)
            raise incomplete
        if not broken and rows is not None and count_rows in SHAPED and size == len(head):
            broken = fault_of_json(text_of(bytes(head)))
        if broken or (broken := packed.fault()):
            raise DownloadIncomplete(f"{broken} ({about})")
        if count_rows in SHAPED and rows is not None:
            proofs.append("shape")
        for name, value in announced.items():
            if digests[name].digest() != value:
                raise DownloadIncomplete(f"the download's {name} is not the one that its reply announced")
        if rows is not None and rows == expected_rows:
            proofs.append("rows")
        elif rows is not None and (expected_rows is not None or rows < fewest_rows):
            says = f"at least {fewest_rows}" if expected_rows is None else expected_rows
            differs = f"the download has {rows} rows, the vendor says {says} ({about})"
            if not relaxed or rows < fewest_rows:
                raise DownloadIncomplete(differs + hint)
            log.warning("%s", differs)
        if size == 0 and expected_rows != 0 and not announces_nothing(reply.headers):
            raise DownloadIncomplete("the download is empty, and no length announced that")
        if not proofs:
            raise DownloadIncomplete(
                "nothing proves that the download is whole: no length, digest or row total"
            )
        if size == 0:
            log.warning("The file is empty, without even a header: it counts as one without rows")
        elif rows is None and is_binary(bytes(head)):
            log.warning("The file is compressed, or otherwise no text: its rows are not counted")
    return {
        "path": path,
        "bytes": size,
        "rows": rows,
        "sha256": digests["sha256"].hexdigest(),
        "verified_by": ", ".join(proofs),
    }


class _GzipCheck:
    """Inflates a file that is a gzip while it passes, and keeps nothing of it but what is wrong."""

    def __init__(self) -> None:
        self._begin = b""
        self._inflater: Inflater | None = Inflater("gzip")
        self._size = 0
        self._fault = ""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self._inflater is None:
            return
        if len(self._begin) < len(GZIP):
            self._begin += chunk
            if not self._begin.startswith(GZIP):
                if not GZIP.startswith(self._begin):
                    self._inflater = None
                return
            chunk = self._begin
        try:
            for piece in self._inflater.feed(chunk):
                self._size += len(piece)
                if self._size > MOST_INFLATED_BYTES:
                    self._inflater = None
                    break
        except ValueError as error:
            self._fault, self._inflater = str(error), None

    def fault(self) -> str:
        """Return what is wrong with a gzip that has ended, or nothing."""
        if self._inflater is not None and self._begin.startswith(GZIP):
            try:
                self._inflater.finish()
            except ValueError as error:
                return str(error)
        return self._fault


def _announced_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return the digests that the headers announce, by the name that ``hashlib`` knows them by."""
    # A digest is of the encoded body; here the decoded one is hashed.
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return {}
    listed = ["repr-digest", "content-digest", "digest"]
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        listed.append("x-goog-hash")  # of the file as it is stored
    found: dict[str, str] = {}
    for item in ",".join(headers.get(name, "") for name in listed).split(","):
        name, _, value = item.strip().partition("=")
        if hashed := _DIGESTS.get(name.lower()):
            found[hashed] = value.strip(":")
    for name in ("sha1", "sha256"):
        value = headers.get(f"x-amz-checksum-{name}", "").strip()
        if value and "-" not in value:  # else it is of the checksums of parts
            found[name] = value
    if "content-md5" in headers:
        found["md5"] = headers["content-md5"].strip()
    digests = {}
    for name, value in found.items():
        if digest := _digest(value, hashlib.new(name, usedforsecurity=False).digest_size):
            digests[name] = digest
        else:
            log.warning("The reply announces a %s that is malformed", name)
    return digests


def _digest(value: str, size: int) -> bytes | None:
    """Return a digest of ``size`` bytes that is written in Base64, or in hex as some servers do."""
    for read in (partial(b64decode, validate=True), bytes.fromhex):
        with suppress(ValueError):
            digest = read(value)
            if len(digest) == size:
                return digest
    return None
