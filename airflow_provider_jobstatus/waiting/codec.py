"""
What travels from the triggerer to the worker: plain JSON that every database stores.

The event of a few jobs carries their ends as they are. The event of many carries the same JSON compressed,
behind a summary for a person and the ids in clear.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_jobstatus.core import strict_json
from airflow_provider_jobstatus.core.text import storable
from airflow_provider_jobstatus.waiting.outcome import OutcomeKind, WaitOutcome
from airflow_provider_jobstatus.waiting.wait_log import MAX_DETAILED

#: Version of the event.
VERSION = 1
#: Jobs that are compressed in one step: a few milliseconds.
SLICE = 50
#: Most bytes of JSON that are read for each job, on average. A text in it has at most 2,000 characters.
MAX_JOB_BYTES = 16 * 1024


def encode(events: Sequence[WaitOutcome], compressed: Iterable[bytes] | None = None) -> dict[str, Any]:
    """
    Return the event for these ends.

    :param compressed: what :func:`compress` has yielded for them; by default it is done here.
    """
    if len(events) <= MAX_DETAILED:
        return {"version": VERSION, "jobs": [event.as_dict() for event in events]}
    return {
        "version": VERSION,
        "summary": summary(events),
        "ids": _ids(event.job_id for event in events),
        "jobs": base64.b64encode(b"".join(compress(events) if compressed is None else compressed)).decode(),
    }


def compress(events: Sequence[WaitOutcome]) -> Iterator[bytes]:
    """Yield the compressed ends of many jobs in steps, between which an event loop can do other work."""
    if len(events) <= MAX_DETAILED:
        return
    stream = zlib.compressobj()
    for start in range(0, len(events), SLICE):
        rows = [_without_id(event.as_dict()) for event in events[start : start + SLICE]]
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        yield stream.compress(((start and ",") or "[").encode() + text[1:-1].encode())
    yield stream.compress(b"]") + stream.flush()


def summary(events: Sequence[WaitOutcome]) -> str:
    """Return these ends as a line for a person, such as ``"30 jobs: 28 succeeded, 2 timed out"``."""
    if len(events) == 1:
        return f"{storable(events[0].job_id)}: {_end(events[0])}"
    ends = Counter(map(_end, events))
    return f"{len(events)} jobs: {', '.join(f'{number} {end}' for end, number in ends.items())}"


def _end(event: WaitOutcome) -> str:
    finished = event.outcome is OutcomeKind.FINISHED and event.status
    return (event.status.state if finished and event.status else event.outcome).value.replace("_", " ")


def decode(payload: Mapping[str, Any], job_ids: Sequence[str]) -> list[WaitOutcome]:
    """
    Read what :func:`encode` made.

    :param job_ids: that the task waits for.
    :raises ValueError, TypeError, LookupError, AttributeError: it is something else.
    """
    if "ids" not in payload:
        events = [WaitOutcome.from_dict(job) for job in payload["jobs"]]
        if [event.job_id for event in events] != list(job_ids):
            raise ValueError("it is of other jobs")
        return events
    if payload["ids"] != _ids(job_ids):
        raise ValueError("it is of other jobs")
    rows = _decompress(payload["jobs"], MAX_JOB_BYTES * len(job_ids))
    return [WaitOutcome.from_dict(_with_id(row, job_id)) for row, job_id in zip(rows, job_ids, strict=True)]


def jobs_of(payload: Any) -> Any:
    """Return the id of the job of an event, or a list of them; None if it is no event."""
    try:
        ids = payload["ids"] if "ids" in payload else [job["job_id"] for job in payload["jobs"]]
        return ids if len(ids) > 1 else ids[0]
    except (LookupError, TypeError):
        return None


def _decompress(text: str, limit: int) -> Any:
    """
    Return the JSON that was compressed.

    :param limit: bytes that it may have.
    """
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(base64.b64decode(text, validate=True), limit)
        if not stream.eof or stream.unused_data:
            raise ValueError("it is cut, or larger than an event can be")
        return strict_json.parse(raw.decode())
    except (zlib.error, RecursionError) as error:
        raise ValueError(f"it is not what was compressed: {error}") from None


def _ids(job_ids: Iterable[str]) -> list[Any]:
    return [storable(job_id) for job_id in job_ids]


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    del row["job_id"]
    if row["status"] is not None:
        del row["status"]["job_id"]
    return row


def _with_id(row: Mapping[str, Any], job_id: str) -> dict[str, Any]:
    status = row["status"]
    return {**row, "job_id": job_id, "status": None if status is None else {**status, "job_id": job_id}}
