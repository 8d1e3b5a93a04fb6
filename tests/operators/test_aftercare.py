"""The results of Aftercare's jobs, downloaded from the sandbox, and from servers that go wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DownloadIncomplete,
    JobFailed,
    JobNotFinished,
    JobStatusError,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.files.retry_budget import MAX_TRIES
from airflow_provider_jobstatus.operators.aftercare import AftercareDownloadCodingResultsOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import calls
from tests.support.raw_server import Handler, RawServer, reply, says
from tests.support.storage import everything

AT_ONCE = {"queued_seconds": 0, "processing_seconds": 0}
PATH = "/api/v1/coding/j"


def run(destination: object, **arguments: Any) -> dict[str, Any]:
    given = {"task_id": "fetch", "job_id": "j", "destination": str(destination), **arguments}
    manifest = AftercareDownloadCodingResultsOperator(**given).execute({})  # type: ignore[arg-type]
    assert set(manifest) - {"skipped"} == {
        "job_id",
        "path",
        "bytes",
        "rows",
        "sha256",
        "format",
        "verified_by",
    }
    return json.loads(json.dumps(manifest, allow_nan=False))  # type: ignore[no-any-return]


@pytest.fixture
def coded(sandbox: Sandbox) -> Sandbox:
    """A sandbox with results on three pages, the second of which begins within a question."""
    sandbox.put_job("aftercare", "j", questions=2, codes_per_question=3, page_size=2, **AT_ONCE)
    return sandbox


def page(cursor: str | None = None, identifier: str = "1", **more: Any) -> bytes:
    """Return a page with a row."""
    responses = [{"responseIdentifier": identifier, "answer": "So."}]
    codes = [{"id": 1, "label": "x", "responses": responses, "subCodes": []}]
    questions = [{"questionIdentifier": "Q1", "question": "Why?", "responseCodes": codes}]
    results = {"questionCodes": questions, "nextCursor": cursor}
    body = json.dumps({"batchJobId": "j", "status": "completed", "results": results} | more)
    return reply(200, body.encode(), {"Content-Type": "application/json"})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serves replies in turn, after the one to the poll of the status."""
    servers = []

    def serve(*replies: bytes, handler: Handler | None = None, **options: Any) -> RawServer:
        server = RawServer(handler or says(page(), *replies, **options))
        servers.append(server.__enter__())
        connection = {"conn_type": "aftercare", "host": server.url, "password": "canary"}
        monkeypatch.setenv("AIRFLOW_CONN_AFTERCARE_DEFAULT", json.dumps(connection))
        return server

    yield serve
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])
def test_all_pages_of_a_job_are_one_file(coded: Sandbox, tmp_path: Path, file_format: str) -> None:
    manifest = run(f"{tmp_path}/", file_format=file_format)
    assert manifest["path"] == f"{tmp_path}/results-j.{file_format}"
    assert (manifest["rows"], manifest["format"], manifest["verified_by"]) == (
        16,
        file_format,
        "length, shape",
    )
    assert calls(coded) == [PATH] * 4
    if file_format == "csv":
        with Path(manifest["path"]).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["questionIdentifier"], row["codeIdPath"]) for row in rows][:4:2] == [
            ("Q1", "[1]"),
            ("Q1", "[1,11]"),
        ]


def test_a_data_quality_batch_is_a_file_of_its_checks(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.put_job("aftercare", "data-quality/j", responses=5, page_size=2, **AT_ONCE)
    manifest = run(f"{tmp_path}/", job_id="data-quality/j")
    rows = [json.loads(line) for line in Path(manifest["path"]).read_text().splitlines()]
    assert (manifest["path"], manifest["rows"]) == (f"{tmp_path}/results-data-quality--j.ndjson", 5)
    assert [row["isIssue"] for row in rows] == [False, True, False, True, False]


@pytest.mark.parametrize("where", ["the operator", "the connection", "both"])
def test_the_name_of_the_cursors_parameter_can_be_set(
    coded: Sandbox, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded.change_settings("aftercare", cursor_parameter="after")
    extra = {} if where == "the operator" else {"cursor_parameter": "no" if where == "both" else "after"}
    connection = coded.connection("aftercare") | {"extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AFTERCARE_DEFAULT", json.dumps(connection))
    given = {} if where == "the connection" else {"cursor_parameter": "after"}
    assert run(tmp_path / "file", **given)["rows"] == 16


@pytest.mark.parametrize("forms", [{}, {"repeat_cursor": True}])
def test_pages_that_do_not_go_on_are_an_error_that_names_the_setting_and_leave_nothing(
    coded: Sandbox, tmp_path: Path, forms: dict[str, Any], pauses: list[float]
) -> None:
    # A server that does not know the name answers the first page again.
    coded.change_settings("aftercare", cursor_parameter="cursor" if forms else "after", **forms)
    with pytest.raises(DownloadIncomplete, match="cursor_parameter of the operator, or as extra"):
        run(tmp_path / "file")
    assert (everything(tmp_path), pauses) == ([], [])


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ({"queued_seconds": 100}, JobNotFinished, "BatchJobSensor"),
        ({"end": "total_failure", **AT_ONCE}, JobFailed, "PROCESSING_ERROR"),
        ({"end": "partial_failure", "failure_code": "TOO_FEW", **AT_ONCE}, JobFailed, "TOO_FEW: The answers"),
        (None, UnknownJob, "no batch job j"),
    ],
)
def test_a_job_without_results_has_no_file(
    sandbox: Sandbox, tmp_path: Path, spec: dict[str, Any] | None, error: type[JobStatusError], says: str
) -> None:
    if spec is not None:
        sandbox.put_job("aftercare", "j", **spec)
    with pytest.raises(error, match=says):
        run(tmp_path / "file")
    assert everything(tmp_path) == []


CUT = page("b", "2")[:-30]
BAD_PAGES: dict[str, tuple[list[bytes], str]] = {
    "cut": ([CUT], "no usable reply|early"),
    "no JSON": ([page().replace(b"So.", b"S\no")], "page 1 of the results"),
    "a page of HTML": ([reply(200, b"<html><body>Log in</body></html>")], "page of HTML"),
    "an error of a gateway": ([reply(504, b"<html>")], "504"),
    "not yet": ([page(status="processing")], "processing"),
    "a second page that is cut": ([page("a"), CUT], "no usable reply|early"),
}


@pytest.mark.parametrize(("replies", "says"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_a_page_that_is_not_whole_is_tried_again_from_the_first_one(
    served: Any, tmp_path: Path, pauses: list[float], replies: list[bytes], says: str
) -> None:
    server = served(*replies, page("a"), page("b", "2"), page(None, "3"), close=True)
    manifest = run(tmp_path / "file")
    assert (manifest["rows"], len(pauses)) == (3, 1)
    assert len(server.requests) == 1 + len(replies) + 3

    served(*(replies * MAX_TRIES), close=True)
    with pytest.raises(DownloadIncomplete, match=says):
        run(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_later_page_that_is_rejected_names_the_setting(served: Any, tmp_path: Path) -> None:
    served(page("a"), reply(400, b'{"code": "INVALID_REQUEST", "message": "unknown parameter"}'))
    with pytest.raises(VendorRefused, match=r"'cursor'.*cursor_parameter"):
        run(tmp_path / "file")


@pytest.mark.parametrize("name", ["a b", "x&y=1"])
def test_a_name_that_is_none_sends_nothing_but_a_poll(coded: Sandbox, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSettings, match="cursor_parameter"):
        run(tmp_path / "file", cursor_parameter=name)
    assert calls(coded) == [PATH]


def test_a_file_that_is_there_stays_where_it_is_to_be_skipped(coded: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "results-j.ndjson").write_text("mine")
    manifest = run(f"{tmp_path}/", if_exists="skip")
    assert (manifest["skipped"], manifest["bytes"], calls(coded)) == (True, 4, [])


def test_large_results_arrive_whole(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.put_job("aftercare", "j", results_bytes=4_000_000, **AT_ONCE)
    manifest = run(tmp_path / "file")
    rows = [json.loads(line) for line in (tmp_path / "file").read_text().split("\n")[:-1]]
    assert (len(rows), len({row["responseIdentifier"] for row in rows})) == (
        manifest["rows"],
        manifest["rows"],
    )
    assert manifest["rows"] == 4 * len({row["codeId"] for row in rows})


def test_arguments_that_cannot_work_are_refused_at_once() -> None:
    for wrong in ({"file_format": "json"}, {"if_exists": "overwrite"}, {"job_id": ""}, {"destination": ""}):
        given: dict[str, Any] = {"task_id": "t", "job_id": "j", "destination": "/x"} | wrong
        with pytest.raises(BadSettings):
            AftercareDownloadCodingResultsOperator(**given)
