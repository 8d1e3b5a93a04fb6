"""What a hook asks for, as values: flows without credentials, and conversations with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.operation import Conversation, Operation
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook, results
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.results import file_flow as talkdesk_file_flow


def status_flow(hook: BatchJobHook, job_id: str) -> Flow[JobStatus]:
    """Return the flow that asks for a job's status."""
    return (yield from hook.status_flow(hook.parse_job_id(job_id)))


def status_operation(hook: BatchJobHook, job_id: str) -> Operation[JobStatus]:
    """Return the operation that asks for a job's status."""
    return hook.status_operation(hook.parse_job_id(job_id))


def asking(hook: BatchJobHook, job_id: str) -> Conversation[JobStatus]:
    """Return the conversation about a job's status."""
    return (yield from hook.converse(status_operation(hook, job_id)))


def with_credentials(hook: BatchJobHook, flow: Flow[Any]) -> Conversation[Any]:
    """Return a flow as a conversation."""
    return (yield from hook.converse(Operation(lambda: flow)))


def list_place(hook: BatchJobHook, job_id: str) -> tuple[str, str] | None:
    """Return the list in which a job stands, and its key there."""
    return hook.list_place(hook.parse_job_id(job_id))


def failures_flow(hook: RulerHook, job_id: str, file_format: Any = "csv") -> Flow[Response]:
    """Return the flow that opens a job's rejected rows."""
    return (yield from results.failures_flow(hook, hook.parse_job_id(job_id), file_format))


def file_flow(hook: TalkdeskHook, job_id: str) -> Flow[Response]:
    """Return the flow that opens a report."""
    return (yield from talkdesk_file_flow(hook, hook.parse_job_id(job_id)))


def on_a_worker(hook: BatchJobHook, operation: Operation[Any]) -> Any:
    """Drive an operation as a worker does."""
    return hook.call(operation)


def in_a_loop(hook: BatchJobHook, operation: Operation[Any]) -> Any:
    """Drive an operation as a triggerer does."""

    async def main() -> Any:
        async with hook.aconnect() as client:
            return await hook.acall(operation, client)

    return asyncio.run(main())


#: Both ways to drive an operation.
DRIVES: tuple[Callable[[BatchJobHook, Operation[Any]], Any], ...] = (on_a_worker, in_a_loop)
