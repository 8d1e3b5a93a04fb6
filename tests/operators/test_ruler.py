"""What is Ruler's own in a download: rows that its status counts, and jobs that have none."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import socket
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DownloadIncomplete,
    JobStatusError,
    UnknownJob,
)
from airflow_provider_jobstatus.files.retry_budget import MAX_TRIES
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import CSV, RULER, calls, credentials
from tests.support.raw_server import RawServer, Received, reply
from tests.support.storage import everything

STATUS, FAILURES = RULER.calls
run = RULER.run
put_job = RULER.put_job
NO_ROWS = hashlib.sha256(b"").hexdigest()


class Argument(str, Enum):  # noqa: UP042 - whose str() is its name
    CONN_ID = "ruler_default"
    JOB_ID = RULER.job
    FILE_FORMAT = "json"
    IF_EXISTS = "fail"


def test_members_of_enumerations_are_their_values_also_as_templates(ended: Sandbox, tmp_path: Path) -> None:
    place = Enum("Place", {"HERE": f"{tmp_path}/"}, type=str)
    task = RulerDownloadRevenueFailuresOperator(
        task_id="fetch",
        destination=place.HERE,  # type: ignore[attr-defined]
        **{argument.name.lower(): argument for argument in Argument},  # type: ignore[arg-type]
    )
    task.render_template_fields({})

    manifest = task.execute({})

    assert manifest["path"] == f"{tmp_path}/failures-demo-site--rev-1.json"
    assert [type(value) for value in (manifest["format"], manifest["job_id"])] == [str, str]
    assert len(json.loads(Path(manifest["path"]).read_bytes())) == 3


@pytest.mark.parametrize(
    ("file_format", "proofs"), [("csv", "length, rows"), ("json", "length, shape, rows")]
)
def test_rejected_rows_arrive_as_ruler_sends_them_in_either_format(
    file_format: str, proofs: str, ended: Sandbox, tmp_path: Path
) -> None:
    token = ended.connection("ruler", token=True)["password"]
    query, head = {"format": file_format}, {"Authorization": f"Bearer {token}"}
    sent = requests.get(f"{ended.api_url}{FAILURES}", params=query, headers=head, timeout=10).content
    ended.clear_requests()
    # The server names no JSON file; and the connection names the site.
    given = {} if file_format == "csv" else {"file_format": file_format}
    manifest = run(f"{tmp_path}/", job_id="rev-1", **given)
    path = tmp_path / f"failures-demo-site--rev-1.{file_format}"
    assert (manifest["job_id"], manifest["path"]) == ("rev-1", str(path))
    assert (manifest["rows"], manifest["format"], manifest["verified_by"]) == (3, file_format, proofs)
    assert path.read_bytes() == sent
    assert ended.requests[-1]["target"] == f"{FAILURES}?format={file_format}"
    # With quoted line breaks and ragged rows.
    assert CSV.count(b"\n") == 5
    assert len({len(row) for row in csv.reader(io.StringIO(CSV.decode()))}) == 2


@pytest.mark.parametrize(("file_format", "content"), [("csv", b""), ("json", b"[]")])
def test_a_fully_good_job_gives_no_rows_and_is_not_asked_for_any(
    sandbox: Sandbox, tmp_path: Path, file_format: str, content: bytes
) -> None:
    put_job(sandbox, total_rows=10)
    assert run(f"{tmp_path}/", file_format=file_format) == {
        "job_id": RULER.job,
        "path": f"{tmp_path}/failures-demo-site--rev-1.{file_format}",
        "bytes": len(content),
        "rows": 0,
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": file_format,
        "verified_by": "status",
    }
    assert (tmp_path / f"failures-demo-site--rev-1.{file_format}").read_bytes() == content
    assert calls(sandbox) == [STATUS]


def test_a_job_that_failed_as_a_whole_gives_no_rows(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put_job(sandbox, total_rows=0, failure_reason="The file has no rows.")
    manifest = run(tmp_path / "rows.csv")
    assert (manifest["rows"], manifest["sha256"], manifest["verified_by"]) == (0, NO_ROWS, "status")
    # A 404 may be any gateway's: it is believed when it comes twice.
    assert calls(sandbox) == [STATUS, FAILURES, FAILURES]
    assert len(pauses) == 1


@pytest.mark.parametrize("value", [True, False])
def test_a_404_that_does_not_come_again_makes_no_empty_file(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pauses: list[float], value: bool
) -> None:
    uncounted(monkeypatch, sandbox, value)
    counts = dict.fromkeys(["totalRows", "processedRows", "successCount", "failureCount"])
    put_job(sandbox, script=[{"status": "failed", "failureReason": "Bad.", **counts}])
    sandbox.put_answers(FAILURES, [OWN_404, {"body": TWO_OF_THREE, "content_type": "text/csv"}])
    assert run(tmp_path / "rows")["rows"] == 2
    sandbox.put_answers(FAILURES, [OWN_404, {"http": 503}, *[{"http": 404}] * (MAX_TRIES - 2)])
    with pytest.raises(UnknownJob):
        run(tmp_path / "none")
    assert everything(tmp_path) == ["rows"]


def uncounted(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, value: object) -> None:
    """Give the connection a value of ``check_failure_count``."""
    value = credentials(sandbox, "ruler", extra={"check_failure_count": value})
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", value)


def as_csv(body: str, http: int = 200) -> dict[str, Any]:
    return {"http": http, "body": body, "content_type": "text/csv"}


def as_json(body: str, http: int = 200) -> dict[str, Any]:
    return {"http": http, "body": body, "content_type": "application/json"}


OWN_404, ANY_404 = as_json('{"message": "none"}', 404), {"http": 404}
HEAD = "RowNumber,ErrorMessage\r\n"
TWO_OF_THREE = f"{HEAD}2,no value\r\n5,no currency\r\n"
TWO_AS_JSON = as_json('[{"a": 1}, {"a": 2}]')
#: Values of ``check_failure_count``.
USUAL: list[object] = [True]
CHECKED: list[object] = [True, "true", None, ""]
UNCHECKED: list[object] = [False, " False "]
#: Of a job: whether its count is checked, its status or how the sandbox makes it, the format, what the
#: failures address answers; and what a download ends with: rows and what proves them, or an error.
ENDS: list[tuple[list[object], dict[str, Any], str, dict[str, Any] | None, Any]] = [
    (USUAL, {"total_rows": 4, "failed_rows": 4}, "csv", None, (4, "length, rows")),
    # Word and count disagree: the rows that it counts are asked for.
    (
        USUAL,
        {"status": "complete", "failureCount": 3, "totalRows": 8},
        "csv",
        as_csv(f"{TWO_OF_THREE}9,no date\r\n"),
        (3, "length, rows"),
    ),
    (USUAL, {"status": "complete", "failureCount": 3, "totalRows": 8}, "csv", ANY_404, UnknownJob),
    # A good job that contradicts itself is asked for its rows.
    *(
        (USUAL, {"status": "complete", **counts}, "csv", answer, end)
        for counts, proofs in (
            ({"failureCount": "2"}, "length, rows"),
            ({"failureCount": 2.0}, "length, rows"),
            ({"failureCount": -1}, "length"),
            ({"totalRows": 9, "successCount": 7, "failureCount": None}, "length"),
        )
        for answer, end in ((as_csv(TWO_OF_THREE), (2, proofs)), (OWN_404, UnknownJob))
    ),
    # A stray 404 makes no empty file of rows that were rejected.
    *(
        (USUAL, spec, "csv", ANY_404, UnknownJob)
        for spec in (
            {"total_rows": 10, "failed_rows": 3},
            {"total_rows": 4, "failed_rows": 4},
            {"status": "partialcomplete", "failureCount": None},
        )
    ),
    (USUAL, {"status": "failed", "failureCount": None}, "csv", OWN_404, UnknownJob),
    (
        USUAL,
        {
            **{"status": "failed", "totalRows": 9, "processedRows": 9, "successCount": 0},
            **{"failureCount": None, "failureReason": "Bad."},
        },
        "csv",
        OWN_404,
        UnknownJob,
    ),
    (
        USUAL,
        {"status": "failed", "totalRows": 0, "failureCount": None, "failureReason": "No rows."},
        "csv",
        {"http": 404, "body": "<html>404 nginx</html>", "content_type": "text/html"},
        UnknownJob,
    ),
    # What contradicts the vendor's own word is not published.
    *(
        (USUAL, status, file_format, answer, DownloadIncomplete)
        for status, file_format, answer in (
            ({"status": "partialcomplete", "failureCount": 3}, "csv", as_csv(TWO_OF_THREE)),
            ({"status": "failed", "failureCount": 3}, "csv", as_csv(TWO_OF_THREE * 2)),
            ({"status": "failed", "failureCount": 0}, "csv", as_csv(TWO_OF_THREE)),
            ({"status": "partialcomplete", "failureCount": 3}, "json", TWO_AS_JSON),
            ({"status": "partialcomplete"}, "csv", as_csv(HEAD)),
            ({"status": "partialcomplete"}, "json", as_json("[]")),
            ({"status": "partialcomplete"}, "csv", as_csv("")),
            ({"status": "partialcomplete", "failureCount": 2}, "csv", as_csv(TWO_OF_THREE, 202)),
            ({"status": "partialcomplete", "failureCount": 2}, "csv", as_csv(TWO_OF_THREE, 203)),
            ({"status": "partialcomplete", "failureCount": 2}, "csv", as_csv(TWO_OF_THREE, 206)),
            ({"status": "failed", "failureCount": 0}, "csv", {"http": 204, "content_type": "text/csv"}),
            ({"status": "failed"}, "csv", as_json('{"error": "later"}')),
            ({"status": "failed"}, "csv", {"body": "try again", "content_type": "text/plain"}),
            ({"status": "failed"}, "json", as_json('{"entries": []}')),
        )
    ),
    # A count is checked unless the connection says otherwise, which lets nothing else pass.
    (
        CHECKED,
        {"status": "partialcomplete", "failureCount": 7},
        "csv",
        as_csv(TWO_OF_THREE),
        DownloadIncomplete,
    ),
    (UNCHECKED, {"status": "partialcomplete", "failureCount": 7}, "csv", as_csv(TWO_OF_THREE), (2, "length")),
    (UNCHECKED, {"status": "failed", "failureCount": 1}, "csv", as_csv(TWO_OF_THREE), (2, "length")),
    (UNCHECKED, {"status": "complete", "failureCount": 1}, "json", TWO_AS_JSON, (2, "length, shape")),
    (
        UNCHECKED,
        {"status": "partialcomplete", "failureCount": 2},
        "csv",
        as_csv(TWO_OF_THREE),
        (2, "length, rows"),
    ),
    (UNCHECKED, {"status": "complete", "failureCount": 5}, "csv", OWN_404, (0, "status")),
    (UNCHECKED, {"status": "failed", "failureCount": 5}, "csv", OWN_404, (0, "status")),
    (UNCHECKED, {"status": "partialcomplete", "failureCount": 5}, "csv", OWN_404, UnknownJob),
    (UNCHECKED, {"status": "partialcomplete", "failureCount": 7}, "csv", as_csv(HEAD), DownloadIncomplete),
    (
        UNCHECKED,
        {"status": "failed", "failureCount": 1},
        "csv",
        as_csv("<html>Sign in</html>"),
        DownloadIncomplete,
    ),
]


@pytest.mark.parametrize(("values", "spec", "file_format", "answer", "end"), ENDS)
def test_what_a_download_ends_with_agrees_with_what_the_status_says(
    values: list[object],
    spec: dict[str, Any],
    file_format: str,
    answer: dict[str, Any] | None,
    end: Any,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    put_job(sandbox, **({"script": [spec]} if "status" in spec else spec))
    for value in values:
        uncounted(monkeypatch, sandbox, value)
        sandbox.put_answers(FAILURES, [answer] * MAX_TRIES if answer else [])
        if isinstance(end, tuple):
            manifest = run(tmp_path / "rows", file_format=file_format)
            assert (manifest["rows"], manifest["verified_by"]) == end
            continue
        with pytest.raises(end) as caught:
            run(tmp_path / "rows", file_format=file_format)
        assert "no value" not in str(caught.value)
        assert "and yet its rejected rows are not there" in str(caught.value) or end is not UnknownJob
        hint = "'check_failure_count': false in connection 'ruler_default'" in str(caught.value)
        assert hint or values is not CHECKED
        assert everything(tmp_path) == []


def test_a_count_is_checked_or_it_is_not(
    ended: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uncounted(monkeypatch, ended, "perhaps")
    with pytest.raises(BadSettings, match="extra 'check_failure_count' is 'perhaps'; give true or false"):
        run(tmp_path / "rows")
    assert everything(tmp_path) == []


def test_rows_that_are_being_prepared_are_waited_for(
    ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(
        FAILURES,
        [
            {"http": 202, "headers": {"Retry-After": "9"}},
            {"body": {"message": "being prepared"}},
            {"body": "RowNumber,ErrorMessage\r\n", "content_type": "text/csv"},
        ],
    )
    assert run(tmp_path / "rows.csv")["rows"] == 3
    assert (pauses[0], len(pauses)) == (9.0, 3)


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "text/plain", "application/vnd.ms-excel", "application/json"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff", "\r\n"])
def test_rows_arrive_under_whatever_label(
    ended: Sandbox, tmp_path: Path, content_type: str, mark: str
) -> None:
    ended.put_answers(FAILURES, [{"body": mark + CSV.decode(), "content_type": content_type}])
    assert run(tmp_path / "rows.csv")["rows"] == 3


def test_a_vendor_that_stays_down_fails_as_incomplete(
    ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(STATUS, [{"http": 503}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="answered 503"):
        run(tmp_path / "rows.csv")
    assert calls(ended) == [STATUS] * MAX_TRIES


def test_a_download_that_is_not_what_its_digest_says_is_tried_again(
    ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    wrong = {"body": CSV.decode(), "headers": {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}}
    ended.put_answers(FAILURES, [wrong])
    assert run(tmp_path / "rows.csv")["verified_by"] == "length, rows"
    assert len(pauses) == 1


def test_json_that_is_no_array_is_not_kept(ended: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    ended.put_answers(FAILURES, [{"body": {"message": "later"}}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="no whole JSON array") as caught:
        run(tmp_path / "rows.json", file_format="json")
    assert str(caught.value).startswith(f"{RULER.job} (connection 'ruler_default'): ")
    assert str(caught.value).endswith(f"; tried {MAX_TRIES} times")
    assert everything(tmp_path) == []


def closing_server(rows: bytes, failed: int | None) -> RawServer:
    """A vendor whose files end where the connection does."""

    def handle(received: Received, connection: socket.socket) -> None:
        if received.target.endswith("/status"):
            body = {"status": "partialcomplete"} | ({} if failed is None else {"failureCount": failed})
            connection.sendall(reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"}))
        else:
            connection.sendall(reply(200, rows, {"Content-Type": "text/csv"}, length=False))
            connection.shutdown(socket.SHUT_WR)
            connection.close()

    return RawServer(handle)


def connect(monkeypatch: pytest.MonkeyPatch, server: RawServer) -> None:
    connection = {"conn_type": "ruler", "host": server.url, "password": "token-1"}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))


def test_a_body_that_ends_with_its_connection_is_accepted_with_the_right_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing_server(CSV, 3) as server:
        connect(monkeypatch, server)
        assert run(tmp_path / "rows.csv")["verified_by"] == "rows"
    assert (tmp_path / "rows.csv").read_bytes() == CSV


@pytest.mark.parametrize(("rows", "failed"), [(CSV[:-90], 3), (CSV, 4), (CSV, None), (b"", 3)])
def test_a_body_that_ends_with_its_connection_is_refused_without_a_proof(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
    rows: bytes,
    failed: int | None,
) -> None:
    with closing_server(rows, failed) as server:
        connect(monkeypatch, server)
        with pytest.raises(DownloadIncomplete):
            run(tmp_path / "rows.csv")
    assert everything(tmp_path) == []
    assert len(pauses) == MAX_TRIES - 1


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_an_error_in_place_of_the_rows_names_no_person(
    status: int, ended: Sandbox, tmp_path: Path, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    told = {"error": "row 3 cannot be written: <ida@example.org> has no name"}
    ended.put_answers(FAILURES, [{"http": status, "body": json.dumps(told)}] * 20)
    with pytest.raises(JobStatusError) as caught:
        run(tmp_path / "rows.csv")
    assert "row 3" in str(caught.value)
    assert "ida@" not in str(caught.value) + caplog.text
