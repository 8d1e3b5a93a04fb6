"""
A mailing is sent once. Responses to a survey end in a file: all of them, or no file at all, and no call more
than is allowed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DestinationError,
    DownloadIncomplete,
    SubmissionUnknown,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.hooks.questionpro.answers import COLUMNS
from airflow_provider_jobstatus.operators.questionpro import (
    QuestionProExportResponsesOperator,
    QuestionProSendBatchOperator,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.modes import StateStore, TaskInstance

SURVEY = 5001
PATH = f"/a/api/v2/surveys/{SURVEY}/responses"


def make(destination: object, /, **arguments: Any) -> QuestionProExportResponsesOperator:
    given = {"task_id": "export", "survey_id": SURVEY, "destination": destination, **arguments}
    return QuestionProExportResponsesOperator(**given)


def run(destination: object, **arguments: Any) -> dict[str, Any]:
    manifest = make(destination, **arguments).execute({})
    return json.loads(json.dumps(manifest, allow_nan=False))  # type: ignore[no-any-return]


def calls(sandbox: Sandbox) -> int:
    return len(sandbox.requests)


def ids(path: Path) -> list[int]:
    return [json.loads(line)["responseID"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("total", "size", "pages"), [(0, 10, 1), (9, 10, 1), (10, 10, 1), (25, 10, 3), (25, 100, 1)]
)
def test_all_pages_become_one_file_with_a_response_on_each_line(
    sandbox: Sandbox, tmp_path: Path, older: bool, total: int, size: int, pages: int
) -> None:
    sandbox.change_settings("questionpro", survey_responses=total, older_pagination=older)
    manifest = run(f"{tmp_path}/", page_size=size)
    path = tmp_path / "responses-5001.ndjson"
    content = path.read_bytes()
    assert manifest == {
        "job_id": "5001",
        "survey_id": SURVEY,
        "path": str(path),
        "bytes": len(content),
        "rows": total,
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": "ndjson",
        "verified_by": "rows",
        "calls": pages,
    }
    assert ids(path) == [32_000_001 + number for number in range(total)]
    assert calls(sandbox) == pages


def test_a_csv_has_a_row_for_each_answer(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change_settings("questionpro", survey_responses=5)
    manifest = run(tmp_path / "answers.csv", file_format="csv", page_size="2", survey_id=" 5001 ")
    with (tmp_path / "answers.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert (tuple(header), len(rows), manifest["rows"], manifest["calls"]) == (COLUMNS, 15, 15, 3)
    words = rows[1][COLUMNS.index("value.text")]
    assert words == 'Response "0", with a comma\nand a second line'


@pytest.mark.parametrize("newest_first", [False, True])
def test_responses_that_arrive_meanwhile_lose_none_and_repeat_none(
    sandbox: Sandbox, tmp_path: Path, newest_first: bool
) -> None:
    sandbox.change_settings("questionpro", responses_arrive=3, newest_first=newest_first)
    manifest = run(tmp_path / "r", page_size=10)
    found = ids(tmp_path / "r")
    assert len(found) == len(set(found)) == manifest["rows"]
    assert set(found) >= {32_000_001 + number for number in range(25)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"responses_vanish": 1}, "page 2 counts 24 responses, and the page before it 25: some were deleted"),
        ({"ignore_page": True}, "page 2 repeats 10 responses"),
    ],
)
def test_what_may_have_lost_a_response_leaves_no_file(
    sandbox: Sandbox, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    sandbox.change_settings("questionpro", **settings)
    with pytest.raises(DownloadIncomplete, match=f"survey 5001: {message}.*nothing was written"):
        run(tmp_path / "r", page_size=10)
    assert list(tmp_path.iterdir()) == []
    assert calls(sandbox) == 2


def test_pages_may_be_smaller_than_requested(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change_settings("questionpro", most_per_page=7)
    assert run(tmp_path / "r", page_size=10)["calls"] == 4
    assert len(ids(tmp_path / "r")) == 25


def test_calls_that_will_not_do_are_known_after_the_first_page(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        run(tmp_path / "r", page_size=2, max_calls=12)
    assert str(caught.value) == (
        "survey 5001 with 25 responses, on 13 pages, takes 13 calls or more, 1 of them made already, and "
        "max_calls is 12; nothing was written. Raise max_calls, or page_size"
    )
    assert calls(sandbox) == 1
    assert list(tmp_path.iterdir()) == []
    assert run(tmp_path / "r", page_size=2, max_calls="13")["calls"] == 13


def test_a_page_that_is_too_large_to_hold_names_the_setting(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change_settings("questionpro", survey_responses=9000)
    with pytest.raises(
        BadSettings, match="page 1 of 9000 responses is larger than 8388608 bytes; set a smaller"
    ):
        run(tmp_path / "r", page_size=9000)
    assert (calls(sandbox), list(tmp_path.iterdir())) == (1, [])


def test_a_repeated_call_counts(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.put_answers(PATH, [{"http": 503}] * 3)
    with pytest.raises(BadSettings, match="page 1 of 1 of survey 5001 takes 3 calls or more, 2 of them made"):
        run(tmp_path / "r", max_calls=2)
    assert calls(sandbox) == 2
    sandbox.put_answers(PATH, [{"http": 503}, {"body": "<html>a proxy"}, {"http": 404, "body": "<html>"}])
    assert run(tmp_path / "r", max_calls=4)["calls"] == 4


def test_calls_are_spread_over_the_rate_of_the_key(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So seldom that what this test itself takes is nothing.
    extra = {"requests_per_second": 0.001, "burst": 10}
    connection = {**sandbox.connection("questionpro"), "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_QUESTIONPRO_DEFAULT", json.dumps(connection))
    sandbox.change_settings("questionpro", survey_responses=12)
    run(tmp_path / "r", page_size=1)
    assert [round(pause, -2) for pause in pauses] == [1000, 2000]


def test_a_throttled_call_is_made_again(sandbox: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    throttled = {"http": 429, "headers": {"Retry-After": "7"}, "body": "{}"}
    sandbox.put_answers(PATH, [throttled])
    assert run(tmp_path / "r")["calls"] == 2
    # After its pause comes another, of a rate that has become lower and has no burst.
    assert [pauses[0], len(pauses), pauses[1] > 0.1] == [7.0, 2, True]


def test_a_spent_licence_ends_it(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change_settings("questionpro", licence_calls_left=1)
    with pytest.raises(VendorRefused, match="used up"):
        run(tmp_path / "r", page_size=10)
    assert calls(sandbox) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("survey", "error", "message"),
    [
        (6006, UnknownJob, "404 .*check survey_id, and that it is of the account of the key"),
        ("{{ nothing", BadSettings, "survey_id is '{{ nothing'; give a whole number, at least 1"),
    ],
)
def test_a_survey_that_is_none(
    sandbox: Sandbox, tmp_path: Path, survey: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path / "r", survey_id=survey)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_key_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change_settings("questionpro", api_key="another")
    with pytest.raises(
        VendorRefused, match=r"401.*check the API key \(password\) in connection 'questionpro"
    ):
        run(tmp_path / "r")


def test_an_error_inside_a_page_names_the_connection_and_no_secret(sandbox: Sandbox, tmp_path: Path) -> None:
    key = sandbox.connection("questionpro")["password"]
    error = {
        "response": {"error": {"httpStatusCode": 403, "id": "1013", "name": "FORBIDDEN", "message": key}}
    }
    sandbox.put_answers(PATH, [{"body": error}])
    with pytest.raises(VendorRefused, match=r"connection 'questionpro_default'.*\*\*\*") as caught:
        run(tmp_path / "r")
    assert key not in str(caught.value)


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_a_file_that_is_there_costs_no_call(sandbox: Sandbox, tmp_path: Path, if_exists: Any) -> None:
    path = tmp_path / "responses-5001.ndjson"
    path.write_text("old")
    if if_exists == "skip":
        manifest = run(f"{tmp_path}/", if_exists="skip")
        assert (manifest["skipped"], manifest["bytes"], manifest["calls"]) == (True, 3, 0)
    else:
        with pytest.raises(DestinationError, match="exists already"):
            run(f"{tmp_path}/", if_exists="fail")
    assert (path.read_text(), calls(sandbox)) == ("old", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"survey_id": "12a"}, "survey_id is '12a'; give a whole number, at least 1"),
        ({"survey_id": 0}, "survey_id is 0; give a whole number, at least 1"),
        ({"survey_id": True}, "survey_id is True"),
        ({"survey_id": None}, "survey_id is None"),
        ({"page_size": 10_001}, "page_size is 10001; give a whole number of at most 10000, at least 1"),
        ({"page_size": 0.5}, "page_size is 0.5"),
        ({"max_calls": -1}, "max_calls is -1"),
        ({"max_calls": "many"}, "max_calls is 'many'"),
        ({"file_format": "parquet"}, "file_format is 'parquet'; give 'ndjson' or 'csv'"),
        ({"if_exists": "append"}, "if_exists is 'append'"),
        ({"destination": "s3:/x"}, "destination 's3:/x' begins with"),
    ],
)
def test_an_argument_that_cannot_work_fails_when_the_dag_is_parsed(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        make("/lake/", **arguments)
    assert message in str(caught.value)


def test_an_asset_is_a_destination_and_its_event_says_what_was_written(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    asset, events = Asset(f"file://{tmp_path}/r.ndjson"), OutletEventAccessors()
    manifest = make(asset, outlets=[asset]).execute({"outlet_events": events})
    assert events[asset].extra == {name: manifest[name] for name in ("path", "rows", "bytes", "sha256")}


# Mailings

MAIL = "anna.personal@example.com"
BODY: dict[str, Any] = {
    "compose": {"surveyID": 4711},
    "recipients": {"filterType": 2, "emailAddress": MAIL},
    "send": {"notification": {"enableEmailInvitation": True}},
}
BATCHES = "/a/api/v2/micropanel/batches"


class Mailing:
    """A task that sends, tried as often as need be, on an Airflow that keeps a record or does not."""

    def __init__(self, sandbox: Sandbox, *, kept: bool = True, **arguments: Any) -> None:
        self._sandbox, self._arguments = sandbox, {"task_id": "send", "body": BODY, "retries": 1, **arguments}
        self._store = {"task_state_store": StateStore()} if kept else {}
        self._instance = TaskInstance()
        self._instance.max_tries = 1

    def run(self) -> Any:
        """Run the try that is due, as Airflow does, and return what it returns or fails with."""
        context: Any = {"ti": self._instance, **self._store}
        operator = QuestionProSendBatchOperator(**self._arguments)
        operator.render_template_fields(context)
        try:
            return operator.execute(context)
        except Exception as error:  # noqa: BLE001 - how a try ends is what tests look at
            return error
        finally:
            self._instance.try_number += 1

    def clear(self) -> None:
        self._instance.max_tries = self._instance.try_number

    @property
    def sent(self) -> int:
        return int(self._sandbox.settings("questionpro")["mails_sent"])


def test_a_mailing_is_sent_and_its_id_returned(sandbox: Sandbox) -> None:
    mailing = Mailing(sandbox)
    assert (mailing.run(), mailing.sent) == ("2001", 1)
    (request,) = sandbox.requests
    assert json.loads(request["body"]) == BODY
    # A retry and a clear adopt it while it is under way.
    assert (mailing.run(), mailing.sent) == ("2001", 1)
    mailing.clear()
    assert (mailing.run(), mailing.sent) == ("2001", 1)


def test_a_mailing_may_be_waited_for(sandbox: Sandbox) -> None:
    sandbox.change_settings("questionpro", create_running_seconds=0)
    result = Mailing(sandbox, wait=True).run()
    assert (result["job_id"], result["state"]) == ("2001", "succeeded")


@pytest.mark.parametrize("anew", [False, True])
def test_after_its_end_a_clear_sends_again_only_if_that_is_asked_for(sandbox: Sandbox, anew: bool) -> None:
    sandbox.change_settings("questionpro", create_running_seconds=0)
    mailing = Mailing(sandbox, resubmit_when_cleared=anew)
    mailing.run()
    mailing.clear()
    ended = mailing.run()
    assert (ended, mailing.sent) == ("2002", 2) if anew else (type(ended) is SubmissionUnknown)
    assert mailing.sent == 1 + anew


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "answer", [{"disconnect": True}, {"http": 504, "body": f"<html>{MAIL}"}, {"body": {}}]
)
def test_people_are_mailed_once_where_the_reply_is_lost(
    sandbox: Sandbox, answer: dict[str, Any], kept: bool
) -> None:
    mailing = Mailing(sandbox, kept=kept)
    sandbox.put_answers(BATCHES, [{"after_work": True, **answer}], method="POST")
    error = mailing.run()
    assert type(error) is SubmissionUnknown
    assert "a mailing of survey 4711" in str(error)
    assert "Check the mailings of the panel at QuestionPro (connection 'questionpro_default')" in str(error)
    assert MAIL not in str(error)
    assert type(mailing.run()) is SubmissionUnknown
    mailing.clear()
    assert type(mailing.run()) is SubmissionUnknown
    assert mailing.sent == 1


def test_below_airflow_33_each_try_after_the_first_is_refused(sandbox: Sandbox) -> None:
    sandbox.put_answers(BATCHES, [{"http": 401}], method="POST")
    mailing = Mailing(sandbox, kept=False)
    assert type(mailing.run()) is VendorRefused
    assert type(mailing.run()) is SubmissionUnknown
    assert mailing.sent == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"body": {}}, "body.compose is missing; QuestionPro takes an object (a dict)"),
        ({"body": "x"}, "body is str; QuestionPro takes an object (a dict)"),
        (
            {"body": BODY | {"recipients": {"filterType": 2}}},
            "body.recipients.emailAddress is missing: filterType 2 sends to an address",
        ),
        ({"fetch": "/lake/", "wait": True}, "export them later with QuestionProExportResponsesOperator"),
    ],
)
def test_an_order_that_cannot_work_fails_when_the_dag_is_parsed(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadSettings, match=re.escape(message)):
        QuestionProSendBatchOperator(task_id="send", **{"body": BODY, **arguments})


def test_a_rendered_order_that_cannot_work_is_refused_and_nothing_sent(sandbox: Sandbox) -> None:
    error = Mailing(sandbox, body={**BODY, "compose": {"surveyID": "{{ 4711 }}"}}).run()
    assert isinstance(error, BadSettings)
    assert "body.compose.surveyID is str; QuestionPro takes a whole number" in str(error)
    assert sandbox.requests == []
