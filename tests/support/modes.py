"""
Run a sensor the way Airflow does, in each of its modes.

``dag.test()`` is of little use for a deferrable task: it drops the arguments of ``defer``, does not enforce
its time-out, and keeps the trigger object instead of storing and loading it.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_jobstatus._compat import AirflowRescheduleException
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from tests.support.times import WAITING, FakeTime

MODES = ("poke", "reschedule", "deferred")


class TaskInstance:
    """What our sensor asks of Airflow's task instance."""

    def __init__(self) -> None:
        self.try_number = 1
        self.max_tries = 0
        self.first_reschedule: datetime | None = None
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value, allow_nan=False))

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


class StateStore(dict[str, Any]):
    """What our sensor asks of Airflow's task state store (3.3): values that survive as JSON."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self[key] = json.loads(json.dumps(value, allow_nan=False))


def run(
    sensor_arguments: dict[str, Any],
    mode: str,
    time: FakeTime,
    *,
    store: bool = True,
    task: TaskInstance | None = None,
) -> Any:
    """Run a ``BatchJobSensor`` to its end, and return what it returns or raise what it raises."""
    context: dict[str, Any] = {"ti": task or TaskInstance()}
    if mode == "deferred":
        return run_deferred(
            BatchJobSensor(task_id="wait", deferrable=True, **sensor_arguments), context, time
        )
    if mode == "reschedule" and store:
        context["task_state_store"] = StateStore()
    while True:
        # Each poke of a rescheduled task is a new process.
        sensor = BatchJobSensor(task_id="wait", deferrable=False, mode=mode, **sensor_arguments)
        began = datetime.fromtimestamp(time.now, UTC)
        try:
            return sensor.execute(context)
        except AirflowRescheduleException as reschedule:
            context["ti"].first_reschedule = context["ti"].first_reschedule or began
            time.advance_to(reschedule.reschedule_date.timestamp())


def run_deferred(operator: BaseOperator, context: Any, time: FakeTime) -> Any:
    """
    Run an operator that defers, and return what it returns in the end or raise what it raises.

    As the real triggerer does: the trigger is stored and loaded as JSON, the event travels as JSON, a trigger
    that outlives the deferral's time-out is cancelled and the task resumed with a failure.
    """
    try:
        return operator.execute(context)
    except TaskDeferred as first:
        deferral = first
    while True:
        trigger = stored_and_loaded(deferral.trigger)
        arguments = dict(deferral.kwargs or {})
        time.limit = None if deferral.timeout is None else time.now + deferral.timeout.total_seconds()
        try:
            event = asyncio.run(first_event(trigger))
            method, arguments = deferral.method_name, {**arguments, "event": over_json(event.payload)}
        except asyncio.CancelledError:
            method, arguments = "__fail__", {"error": "Trigger timeout"}
        finally:
            time.limit = None
        try:
            return operator.resume_execution(method, arguments, context)
        except TaskDeferred as again:
            deferral = again


def deferred(now: float, conn_id: str, *job_ids: str, **arguments: Any) -> BatchJobTrigger:
    """Return a trigger that was deferred just now, with polls every ten seconds for ten minutes."""
    interval = arguments.setdefault("poll_interval", 10.0)
    times = {"started_at": now, "first_poll_at": now + interval, "deadline_at": now + 600}
    return BatchJobTrigger(conn_id, list(job_ids), **{**times, **arguments})


def stored_and_loaded(trigger: BaseTrigger) -> BaseTrigger:
    """Return the trigger that a triggerer makes of what the worker stored."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    loaded: BaseTrigger = getattr(import_module(module), name)(**over_json(arguments))
    return loaded


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    """Return the trigger's first event."""
    task = asyncio.current_task()
    assert task is not None
    WAITING.add(task)
    try:
        async for event in trigger.run():
            return event
    finally:
        WAITING.discard(task)
    raise AssertionError("the trigger ended without an event")


def over_json(value: Any) -> Any:
    """Return what a strict JSON store hands back."""
    return json.loads(json.dumps(value, allow_nan=False))
