"""Conversations with a vendor as values: hooks of connections, replies, and what a flow ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import Connection

from airflow_provider_jobstatus.core.body import BodyReader
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from tests.support.asking import status_flow

SAMPLES = Path(__file__).parent.parent / "samples"
#: What the connections of the tests hold, besides what a test gives.
FIELDS = {"conn_id": "mine", "password": "canary-key-of-mine"}
#: What Talkdesk's need besides.
TALKDESK: dict[str, Any] = {"login": "client-1", "extra": {"account": "acme"}}


def sample(name: str) -> bytes:
    """Return a vendor's reply, by folder and file."""
    return (SAMPLES / name).read_bytes()


def hook_of(kind: type[BatchJobHook], **fields: Any) -> Any:
    """Return a hook whose connection has these fields; ``extra`` is an object, merged over what is needed."""
    needed = TALKDESK if kind.conn_type == "talkdesk" else {}
    extra = needed.get("extra", {}) | (fields.get("extra") or {})
    values = {"conn_type": kind.conn_type, **FIELDS, **needed, **fields, "extra": json.dumps(extra)}
    return kind.from_connection(Connection(**values))


def reply(body: bytes | object = b"", status: int = 200, **headers: str) -> Response:
    """Return a response; what is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def as_read(request: Request, answer: Response, pieces: int | None = None) -> Response:
    """Return a response as a transport hands it on that receives it in pieces without a known length."""
    reader, size = BodyReader("", request.outline_for(answer.status)), pieces or max(len(answer.body), 1)
    for begin in range(0, len(answer.body), size):
        if any(list(reader.feed(answer.body[begin : begin + size]))):
            break
    return Response(answer.status, answer.headers, reader.finish())


def finish(flow: Any, *answers: Any) -> Any:
    """Send answers to a flow, one by one, and return its result."""
    next(flow)
    try:
        for answer in answers:
            flow.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the flow goes on")


def status_of(hook: BatchJobHook, job_id: Any, *answers: Response, read: bool = False) -> JobStatus:
    """
    Return the status that some replies mean.

    :param read: whether the first is read as a transport reads it.
    """
    first = as_read(next(status_flow(hook, job_id)), answers[0]) if read else answers[0]
    result: JobStatus = finish(status_flow(hook, job_id), first, *answers[1:])
    return result
