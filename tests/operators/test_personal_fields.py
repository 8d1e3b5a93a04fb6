"""What is personal shows as a count, by the way that Airflow itself renders and stores a task's fields."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_jobstatus.operators.personal_fields import PersonalFields, content_of

MAIL = "anna.personal@example.com"
ROWS = [{"EmailAddress": MAIL, "Reference": "{{ run_id }}"}]


class Send(PersonalFields, BaseOperator):
    template_fields = ("rows", "body", "name")

    def __init__(self, *, rows: Any = None, body: Any = None, name: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.body, self.name = rows, body, name


def rendered(given: dict[str, Any], **dag: Any) -> tuple[Any, Send]:
    """Return the fields that Airflow stores of a task, and the task that runs."""
    with DAG("d", schedule=None, **dag):
        send = Send(task_id="send", **given)
    send.render_template_fields({"run_id": "r-1", "mails": [MAIL]})  # type: ignore[typeddict-unknown-key]
    return json.loads(json.dumps(_serialize_rendered_fields(send))), send


@pytest.mark.parametrize(
    ("given", "shown", "content"),
    [
        ({"rows": ROWS}, "1 row", [{"EmailAddress": MAIL, "Reference": "r-1"}]),
        ({"rows": tuple(ROWS * 2)}, "2 rows", None),
        ({"rows": []}, "0 rows", []),
        ({"rows": "{{ mails }}"}, "a text of 29 characters", str([MAIL])),
        ({"rows": lambda context, jinja_env: ROWS}, "1 row", ROWS),
        ({"rows": f'{{"a/b": "{MAIL}"}}'}, "a text of 36 characters", None),
        ({"rows": f"{MAIL}/x.json"}, "a text of 32 characters", None),
        ({"rows": "W3siRW1haWwiOiJqYW5lL2RvZUB4In1d"}, "a text of 32 characters", None),
        ({"rows": MAIL}, "a text of 25 characters", MAIL),
        ({"rows": ""}, "a text of 0 characters", ""),
        ({"rows": {"recipients": MAIL, "compose": {}}}, "2 keys", None),
        ({"rows": "s3://lake/{{ run_id }}.json"}, "s3://lake/r-1.json", "s3://lake/r-1.json"),
        ({"rows": None}, None, None),
        ({"rows": {MAIL}}, "set", {MAIL}),
    ],
)
def test_a_personal_field_shows_as_a_count_and_keeps_its_content_for_the_task(
    given: dict[str, Any], shown: object, content: Any
) -> None:
    fields, send = rendered({**given, "name": "{{ run_id }}"})
    assert fields == {"rows": shown, "body": None, "name": "r-1"}
    assert MAIL not in f"{send.rows} {send.rows!r}"
    if content is not None:
        assert content_of(send.rows) == content


def test_a_text_that_renders_to_rows_is_counted_as_rows() -> None:
    fields, send = rendered({"body": "{{ mails }}"}, render_template_as_native_obj=True)
    assert (fields["body"], content_of(send.body)) == ("1 row", [MAIL])


def test_before_rendering_a_field_is_what_was_given() -> None:
    send = Send(task_id="send", rows=ROWS)
    assert content_of(send.rows) is send.rows is ROWS


def test_rows_of_another_task_keep_the_order_of_tasks() -> None:
    with DAG("d", schedule=None):

        @task
        def find() -> list[dict[str, str]]:
            return ROWS

        send = Send(task_id="send", rows=find())
    assert send.upstream_task_ids == {"find"}


def test_a_mapped_task_shows_counts_as_well() -> None:
    with DAG("d", schedule=None):
        mapped = Send.partial(task_id="send", name="x").expand(rows=[ROWS, ROWS * 2])
    ti, run = SimpleNamespace(map_index=1), SimpleNamespace(conf={})
    context: Any = {"ti": ti, "run_id": "r-1", "dag": mapped.dag, "dag_run": run}
    mapped.render_template_fields(context)
    assert _serialize_rendered_fields(context["task"])["rows"] == "2 rows"
    assert content_of(context["task"].rows)[1] == {"EmailAddress": MAIL, "Reference": "r-1"}


@pytest.mark.parametrize("broken", ["{{ 1/0 }}", "{{ broken"])
@pytest.mark.parametrize("kind", [dict, list, tuple, str])
def test_a_template_that_fails_shows_no_content_in_the_log(
    kind: type, broken: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"a": MAIL, "b": broken}
    given = f"{MAIL} {broken}" if kind is str else rows if kind is dict else kind((MAIL, broken))
    with pytest.raises(Exception, match=r"division|end of"):
        rendered({"rows": given})
    written = capsys.readouterr()
    assert MAIL not in caplog.text + written.out + written.err
