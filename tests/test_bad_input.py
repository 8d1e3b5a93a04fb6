"""
What a user gets wrong in the first hour: one clear sentence for each, and nothing is sent.

What can be known when the DAG is parsed fails there; what a template or another task gives fails when the
task runs, before its first request.
"""

from __future__ import annotations

import copy
import json
import os
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

import jinja2
import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk import ObjectStoragePath

from airflow_provider_jobstatus.exceptions import BadSettings, DestinationError
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from tests.support.modes import TaskInstance

AIRFLOW = tuple(map(int, version("apache-airflow-core").split(".")[:2]))
LONGEST = 700
NAN = float("nan")
TASKS: dict[str, tuple[type[BaseOperator], dict[str, Any]]] = {
    "sensor": (BatchJobSensor, {"conn_id": "ruler_default", "job_id": "site/job"}),
    "ruler": (RulerDownloadRevenueFailuresOperator, {"job_id": "site/job", "destination": "/nowhere/rows"}),
    "talkdesk": (TalkdeskDownloadReportOperator, {"job_id": "calls/job", "destination": "/nowhere/rows"}),
}
#: No vendor has such ids.
NO_IDS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "blank": " \n ",
    "text of None": "None",
    "a bool": True,
    "a float": 1.5,
    "bytes": b"site/job",
    "a dict that is no result": {"state": "succeeded"},
    "a result without an id": {"job_id": None, "state": "succeeded"},
    "dot segments": "site/../../admin",
    "encoded dot segments": "site/%2e%2E/admin",
    "a line break": "site/job\nX-Forged: 1",
    "a NUL": "site/job\0",
    "two megabytes": "x" * 2_000_000,
    "a broken list": "['a', 'b'",
    "a zero-width space": "site/jo\u200bb",
    "a lone surrogate": "site/job\udc80",
    "the text of a generator": str(each for each in "ab"),
}
#: Known to be none only by somebody who knows the vendor.
NO_IDS_OF_THESE_VENDORS: dict[str, Any] = {
    "a query": "site/job?admin=1",
    "a fragment": "site/job#top",
    "a Cyrillic letter": "site/jоb",  # noqa: RUF001 - the look-alike is the case
    "full-width digits": "site/１２",  # noqa: RUF001 - the look-alike is the case
    "a backslash": "site\\job",
    "an escape": "site/%252e%252e",
    "a trailing slash": "site/",
}
BAD_ARGUMENTS: list[tuple[str, str, Any]] = [
    *[("sensor", "poke_interval", value) for value in (-1, NAN, float("inf"), "30", True)],
    *[("sensor", "timeout", value) for value in (-1, NAN, float("inf"), "1h", timedelta(seconds=-5))],
    ("sensor", "timeout", 30),  # under the interval
    *[("sensor", "max_outage", value) for value in (-1, NAN, "1h")],
    *[("sensor", "max_wait", value) for value in (-1, NAN, "1h")],
    *[("sensor", "allowed_states", value) for value in ("done", ("running",), (None,), 5, [["failed"]])],
    *[("sensor", "skipped_states", value) for value in ("Failed", ("succeeded",))],
    *[("sensor", "deferrable", value) for value in ("false", None, 1)],
    *[("sensor", "adaptive", value) for value in ("false", None, 1)],
    *[("sensor", "conn_id", value) for value in (None, "", " ", 5)],
    ("sensor", "job_id", ["site/a", None]),
    ("sensor", "job_id", ["{{ one }}", "None"]),
    ("sensor", "job_id", [["site/a"]]),
    ("ruler", "ruler_conn_id", None),
    ("talkdesk", "talkdesk_conn_id", ""),
    *[("ruler", "file_format", value) for value in ("xml", "CSV", None)],
    *[
        (task, name, value)
        for task in ("ruler", "talkdesk")
        for name, values in {
            "if_exists": ("overwrite", None, True),
            "job_id": (["site/a"], [], "['site/a']", *NO_IDS_OF_THESE_VENDORS.values()),
            "destination": (
                "",
                "  ",
                None,
                5,
                b"/x",
                "a\nb",
                "s3:/lake/x",
                "sftp://user:secret@host/x",
                "s3//lake/x",
                "gs:lake/x",
                "file:/x",
                "S3:/lake/x",
                "sftp:/host/x",
                "$HOME/x",
                "/lake/${DAY}/x",
                "file://nas/x",
                Path("/lake/$DAY/x"),
                PurePath("a\nb"),
                ObjectStoragePath("/lake/$DAY/x"),
                {"path": "/x"},
            ),
        }.items()
        for value in values
    ],
]


def make(task: str, **arguments: Any) -> Any:
    kind, usual = TASKS[task]
    return kind(task_id="task", **{**usual, **arguments})


def sentence(error: Exception) -> str:
    """Return an error's message, after what holds for each."""
    message = str(error)
    assert len(message) <= LONGEST
    assert message.isprintable()
    return message


def name_of(value: Any) -> str:
    return repr(value)[:30]


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in NO_IDS.items()])
@pytest.mark.parametrize("task", TASKS)
def test_an_id_that_no_job_has_fails_when_the_dag_is_parsed(task: str, value: Any) -> None:
    with pytest.raises(BadSettings) as caught:
        make(task, job_id=value)

    assert "job_id" in sentence(caught.value)


@pytest.mark.parametrize(("task", "name", "value"), BAD_ARGUMENTS, ids=name_of)
def test_an_argument_that_cannot_work_fails_when_the_dag_is_parsed(task: str, name: str, value: Any) -> None:
    with pytest.raises(BadSettings) as caught:
        make(task, **{name: value})

    assert name in sentence(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=name)
        for name, value in {
            **NO_IDS,
            **NO_IDS_OF_THESE_VENDORS,
            "undefined": jinja2.Undefined(name="job"),
            "undefined, chainable": jinja2.ChainableUndefined(name="job"),
        }.items()
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_an_id_that_no_job_has_is_refused_when_it_was_rendered_and_nothing_is_sent(
    task: str, deferrable: bool, value: Any, sandbox: Sandbox
) -> None:
    rendered = make(task, job_id="{{ id }}", **({"deferrable": deferrable} if task == "sensor" else {}))
    rendered.job_id = value

    with pytest.raises(BadSettings) as caught:
        rendered.execute({"ti": TaskInstance()})

    assert "job_id" in sentence(caught.value)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "value",
    [
        "{{ params.job }}",
        "{% if x %}a{% endif %}",
        ["{{ one }}", "site/b"],
        {"job_id": "{{ x }}", "state": "failed"},
        {"job_id": "site/job", "state": "partial"},
        "site/job",
        5,
    ],
    ids=name_of,
)
def test_what_is_yet_to_be_rendered_and_what_is_fine_pass_when_the_dag_is_parsed(value: Any) -> None:
    assert make("sensor", job_id=value).job_id == value


def test_templates_pass_in_every_field_that_takes_them() -> None:
    for task, (kind, _) in TASKS.items():
        templates = dict.fromkeys(kind.template_fields, "{{ value }}")
        made = make(task, **templates)
        assert {name: getattr(made, name) for name in templates} == templates
        copy.deepcopy(made)


def test_an_argument_of_a_mapped_task_is_refused_without_a_retry() -> None:
    """A mapped operator is made on the worker, with what another task gave."""
    mapped = BatchJobSensor.partial(task_id="task", conn_id="ruler_default").expand(job_id=["site/a", None])

    with pytest.raises(BadSettings, match="job_id"):
        mapped.unmap({"job_id": None})


CONNECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "another type": ({"conn_type": "http"}, "is of type 'http'"),
    "no type": ({"conn_type": "generic"}, "is of type 'generic'"),
    "no key": ({"password": None}, "password is not set"),
    "a key with a line break": ({"password": "canary-se\ncret"}, "password holds a line break"),
    "a key with an accent": ({"password": "canary-sécret"}, "password holds a character"),
    "user info in the host": ({"host": "https://me:canary-secret@ruler.test"}, "host holds a user"),
    "http to the world": ({"host": "http://ruler.test"}, "host is plain http"),
    "no address": ({"host": "https://"}, "host is no address"),
    "broken extra": ({"extra": '{"site_id": '}, "extra is no JSON"),
    "extra is a text": ({"extra": '"{\\"site_id\\": 1}"'}, "extra is a JSON str"),
    "extra is a list": ({"extra": "[]"}, "extra is a JSON list"),
    "statuses are a word": ({"extra": '{"statuses": "paused"}'}, "extra 'statuses' is no JSON"),
    "verify is off": ({"extra": '{"verify": false}'}, "extra 'verify' would switch"),
    "an unknown state": (
        {"extra": '{"statuses": {"Paused": "waiting"}}'},
        "extra 'statuses' has the unknown state 'waiting'",
    ),
    "a time-out of words": ({"extra": '{"timeout": "soon"}'}, "extra 'timeout' is 'soon'"),
    "unknown region": ({"conn_type": "talkdesk", "extra": '{"region": "mars"}'}, "region"),
}


@pytest.mark.parametrize(("fields", "problem"), CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_connection_that_cannot_work_fails_at_the_first_look_and_nothing_is_sent(
    fields: dict[str, Any], problem: str, deferrable: bool, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "ruler", "password": "canary-secret", **fields}
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))

    with pytest.raises(BadSettings) as caught:
        make("sensor", conn_id="mine", deferrable=deferrable).execute({"ti": TaskInstance()})

    message = sentence(caught.value)
    assert "connection 'mine'" in message
    # Airflow 3.1 itself does not return a connection whose extra is no JSON object.
    assert problem in message or (AIRFLOW < (3, 2) and "see in Airflow's log why" in message)
    assert "canary-s" not in message
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "dressed",
    ["{}/", "{}///", " {} ", "HTTP://LOCALHOST:{port}/v1"],
    ids=["slash", "slashes", "spaces", "case"],
)
def test_an_address_that_is_only_dressed_oddly_works(
    dressed: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = sandbox.connection("ruler", token=True)
    port = sandbox.api_url.rpartition(":")[2]
    connection["host"] = dressed.format(connection["host"], port=port)
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))
    sandbox.put_job("ruler", "site/job", script=["complete"])

    assert make("sensor", conn_id="mine").execute({"ti": TaskInstance()})["state"] == "succeeded"


def test_a_field_of_the_extra_that_means_nothing_is_named_with_those_that_do(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
    from airflow_provider_jobstatus.hooks.registry import hook_for

    connection = sandbox.connection("ruler", token=True)
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps({**connection, "extra": {"siteid": "site"}}))

    [caveat] = hook_for(read_connection("mine")).connection_warnings()

    assert "extra 'siteid' is unknown" in caveat
    assert "site_id" in caveat


@pytest.mark.parametrize(
    "kind", [str, Path, ObjectStoragePath, "file://{}".format, "file://localhost{}".format]
)
@pytest.mark.parametrize("task", ["ruler", "talkdesk"])
def test_a_destination_may_be_the_object_of_a_path(
    task: str, kind: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.put_job("ruler", "site/job", script=["partialcomplete"])
    sandbox.put_job("talkdesk", "calls/job", script=["done"])

    manifest = make(task, destination=kind(str(tmp_path / "new" / "rows"))).execute({})

    assert manifest["path"] in (f"{tmp_path}/new/rows", f"file://{tmp_path}/new/rows")
    assert (tmp_path / "new" / "rows").stat().st_size == manifest["bytes"]


@pytest.mark.parametrize("kind", [str, PurePath, ObjectStoragePath])
@pytest.mark.parametrize("task", ["ruler", "talkdesk"])
def test_a_template_in_the_object_of_a_path_is_judged_when_the_task_runs(task: str, kind: Any) -> None:
    make(task, destination=kind("/lake/{{ ds }}/$DAY/x"))


DESTINATIONS: dict[str, tuple[str, str]] = {
    "a pipe": ("{tmp}/pipe", "is a named pipe"),
    "no user": ("~no-such-user/rows.csv", "has no home here"),
    "a folder": ("{tmp}/folder", "is a folder"),
    "below a file": ("{tmp}/file/rows.csv", "cannot write"),
    "not writable": ("/proc/rows.csv", "cannot write"),
    "no filesystem": ("gs://lake/rows.csv", "pip install 'airflow-provider-jobstatus[gcs]'"),
    "a mistyped scheme": ("s33://lake/rows.csv", "check the scheme"),
}


@pytest.mark.parametrize(("destination", "problem"), DESTINATIONS.values(), ids=DESTINATIONS)
@pytest.mark.parametrize("task", ["ruler", "talkdesk"])
def test_a_destination_that_cannot_be_written_says_why_at_once(
    task: str, destination: str, problem: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    sandbox.put_job("ruler", "site/job", script=["partialcomplete"])
    sandbox.put_job("talkdesk", "calls/job", script=["done"])

    with pytest.raises(DestinationError) as caught:
        make(task, destination=destination.format(tmp=tmp_path)).execute({})

    assert problem in sentence(caught.value)
