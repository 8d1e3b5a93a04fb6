"""How many submissions of a task are under way at once, as the scheduler reads it from the DAG."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup
from airflow.serialization import serialized_objects

from airflow_provider_jobstatus._compat import counts_deferred_tasks
from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.operators.questionpro import QuestionProSendBatchOperator

#: Airflow 3.1 has it under another name.
STORED: Any = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
BODY = {"compose": {"surveyID": 4711}, "recipients": {"filterType": 1}}


def limits(*, mapped: bool, default_args: dict[str, Any] | None = None, **given: Any) -> tuple[Any, bool]:
    """Return the limit of a task in the DAG that the scheduler has, and whether it looks for limits there."""
    with DAG("d", schedule=None, default_args=default_args or {}) as dag, TaskGroup("g"):
        if mapped:
            QuestionProSendBatchOperator.partial(task_id="send", **given).expand(body=[BODY, BODY])
        else:
            QuestionProSendBatchOperator(task_id="send", body=BODY, **given)
    stored = STORED.from_dict(json.loads(json.dumps(STORED.to_dict(dag))))
    return stored.get_task("g.send").max_active_tis_per_dag, any(
        task.max_active_tis_per_dag is not None for task in stored.tasks
    )


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({"max_active_submissions": 3}, 3),
        ({"max_active_submissions": 3, "max_active_tis_per_dag": 3}, 3),
        ({"max_active_tis_per_dag": 4}, 4),
        ({"default_args": {"max_active_submissions": 2}}, 2),
        ({"default_args": {"max_active_submissions": 2, "retries": 1}, "max_active_submissions": 1}, 1),
        ({"max_active_submissions": None}, None),
        ({}, None),
    ],
)
def test_the_scheduler_sees_the_limit_of_plain_and_mapped_tasks(
    given: dict[str, Any], limit: int | None, mapped: bool
) -> None:
    assert limits(mapped=mapped, **given) == (limit, limit is not None)


def test_a_mapped_task_can_be_constructed_when_it_runs() -> None:
    with DAG("d", schedule=None):
        mapped = QuestionProSendBatchOperator.partial(task_id="send", max_active_submissions=3).expand(
            body=[BODY]
        )
    task = mapped.unmap({"body": BODY})
    assert (task.max_active_submissions, task.max_active_tis_per_dag) == (3, 3)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(
            ({"max_active_submissions": value}, "give a whole number, at least 1")
            for value in (0, -1, True, "3", 1.5, [3])
        ),
        (
            {"max_active_submissions": 3, "max_active_tis_per_dag": 5},
            "max_active_submissions is 3 and max_active_tis_per_dag 5; both limit the same, so give one",
        ),
    ],
)
def test_a_limit_that_is_none_fails_when_the_dag_is_parsed(
    given: dict[str, Any], message: str, mapped: bool
) -> None:
    with pytest.raises(BadSettings, match=message):
        limits(mapped=mapped, **given)


@pytest.mark.parametrize(("wait", "deferrable"), [(True, True), (True, False), (False, False)])
def test_a_limit_that_airflow_would_not_keep_is_refused(wait: bool, deferrable: bool) -> None:
    given: dict[str, Any] = {"max_active_submissions": 3, "wait": wait, "deferrable": deferrable}
    if wait and deferrable and not counts_deferred_tasks():
        with pytest.raises(BadSettings, match="a pool that includes deferred tasks instead"):
            limits(mapped=False, **given)
    else:
        assert limits(mapped=False, **given) == (3, True)
