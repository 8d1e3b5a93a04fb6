"""The operators for Ruler Analytics against a server."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import socket
import stat
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DestinationError,
    DownloadIncomplete,
    JobNotFinished,
    JobStatusError,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.files.retry_budget import MAX_TRIES
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.raw_server import RawServer, Received, reply
from tests.support.storage import ObjectStorage, attached

JOB = "demo-site/rev-1"
STATUS = "/v1/demo-site/batch/rev-1/status"
FAILURES = "/v1/demo-site/batch/rev-1/failures"
SAMPLES = Path(__file__).parent.parent / "samples" / "ruler"
CSV = (SAMPLES / "failures.csv").read_bytes()
NO_ROWS = hashlib.sha256(b"").hexdigest()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


@pytest.fixture
def job(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a job that ended with the three rows of the sample rejected."""
    put_job(sandbox, total_rows=20, failed_rows=3, failures_csv=CSV.decode())
    return sandbox


def put_job(sandbox: Sandbox, **spec: Any) -> None:
    sandbox.put_job("ruler", JOB, **({"pending_seconds": 0, "processing_seconds": 0} | spec))


def operator(destination: object, **arguments: Any) -> RulerDownloadRevenueFailuresOperator:
    arguments = {"task_id": "fetch", "job_id": JOB, "destination": str(destination), **arguments}
    return RulerDownloadRevenueFailuresOperator(**arguments)


def run(destination: object, **arguments: Any) -> dict[str, Any]:
    manifest = operator(destination, **arguments).execute({})
    assert set(manifest) == {"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}
    return json.loads(json.dumps(manifest, allow_nan=False))


class Argument(str, Enum):  # noqa: UP042 - whose str() is its name
    CONN_ID = "ruler_default"
    JOB_ID = JOB
    FILE_FORMAT = "json"
    IF_EXISTS = "fail"


def test_members_of_enumerations_are_their_values_also_as_templates(job: Sandbox, tmp_path: Path) -> None:
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
    assert json.loads(Path(manifest["path"]).read_bytes()) == json.loads(served(job, "json"))


def served(sandbox: Sandbox, file_format: str) -> bytes:
    """Return the failures as the sandbox serves them to anybody."""
    token = sandbox.connection("ruler", token=True)["password"]
    reply = requests.get(
        f"{sandbox.api_url}{FAILURES}",
        params={"format": file_format},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert reply.status_code == 200
    return reply.content


def targets(sandbox: Sandbox) -> list[str]:
    return [request["target"] for request in sandbox.requests if request["origin"] == "api"]


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What arrives


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_the_rejected_rows_arrive_byte_by_byte_with_a_manifest(
    job: Sandbox, tmp_path: Path, file_format: str
) -> None:
    expected = served(job, file_format)
    path = tmp_path / "2026" / "rows"
    assert run(path, file_format=file_format) == {
        "job_id": JOB,
        "path": str(path),
        "bytes": len(expected),
        "rows": 3,
        "sha256": hashlib.sha256(expected).hexdigest(),
        "format": file_format,
        "verified_by": "length, rows" if file_format == "csv" else "length, shape, rows",
    }
    assert path.read_bytes() == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert everything(tmp_path) == ["2026", "2026/rows"]


def test_csv_is_what_arrives_unless_json_is_asked_for(job: Sandbox, tmp_path: Path) -> None:
    assert run(tmp_path / "rows.txt")["format"] == "csv"
    assert (tmp_path / "rows.txt").read_bytes() == CSV
    assert targets(job) == [STATUS, f"{FAILURES}?format=csv"]
    assert run(tmp_path / "rows.csv", file_format="json")["rows"] == 3
    assert len(json.loads((tmp_path / "rows.csv").read_bytes())) == 3


def test_rows_are_counted_with_quoted_line_breaks_and_ragged_rows_in_mind(
    job: Sandbox, tmp_path: Path
) -> None:
    assert run(tmp_path / "rows.csv")["rows"] == 3
    assert CSV.count(b"\n") == 5
    assert len({len(row) for row in csv.reader(io.StringIO(CSV.decode()))}) == 2


def test_a_slash_at_the_end_means_into_this_folder_under_the_files_own_name(
    job: Sandbox, tmp_path: Path
) -> None:
    name = "failures-demo-site--rev-1"
    assert run(f"{tmp_path}/new/")["path"] == f"{tmp_path}/new/{name}.csv"
    assert run(f"file://{tmp_path}/uri/")["path"] == f"file://{tmp_path}/uri/{name}.csv"
    # The server names no JSON file.
    assert run(f"{tmp_path}/new/", file_format="json")["path"] == f"{tmp_path}/new/{name}.json"
    # The same job once more, its site named by the connection.
    assert run(f"{tmp_path}/new/", job_id="rev-1")["path"] == f"{tmp_path}/new/{name}.csv"
    assert everything(tmp_path) == ["new", f"new/{name}.csv", f"new/{name}.json", "uri", f"uri/{name}.csv"]


def test_jobs_of_one_name_at_two_sites_share_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    for site, failed in (("east", 2), ("west", 0)):
        spec = {"total_rows": 9, "failed_rows": failed, "pending_seconds": 0, "processing_seconds": 0}
        sandbox.put_job("ruler", f"{site}/nightly", **spec)
    rows = {site: run(f"{tmp_path}/", job_id=f"{site}/nightly")["rows"] for site in ("east", "west", "east")}
    assert rows == {"east": 2, "west": 0}
    assert everything(tmp_path) == ["failures-east--nightly.csv", "failures-west--nightly.csv"]
    assert (tmp_path / "failures-east--nightly.csv").stat().st_size > 0


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ("../../../../tmp/evil.csv", "evil-demo-site--rev-1.csv"),
        ("..%2F..%2Fevil.csv", "evil-demo-site--rev-1.csv"),
        ("/etc/passwd", "passwd-demo-site--rev-1"),
        ("..\\..\\evil.csv", "evil-demo-site--rev-1.csv"),
        ("..", "failures-demo-site--rev-1.csv"),
        ("", "failures-demo-site--rev-1.csv"),
        ("`rm`;$(x).csv", "_rm___(x)-demo-site--rev-1.csv"),
    ],
)
def test_a_hostile_file_name_stays_in_the_folder(job: Sandbox, tmp_path: Path, hint: str, name: str) -> None:
    header = f'attachment; filename="{hint}"'
    job.put_answers(FAILURES, [{"body": CSV.decode(), "headers": {"Content-Disposition": header}}])
    folder = tmp_path / "a" / "b"
    assert run(f"{folder}/")["path"] == f"{folder}/{name}"
    assert everything(tmp_path) == ["a", "a/b", f"a/b/{name}"]


def test_the_servers_file_name_means_nothing_to_a_destination_that_has_one(
    job: Sandbox, tmp_path: Path
) -> None:
    assert run(f"file://{tmp_path}/mine.csv")["path"] == f"file://{tmp_path}/mine.csv"
    assert (tmp_path / "mine.csv").read_bytes() == CSV


def test_a_retried_task_replaces_what_it_wrote(job: Sandbox, tmp_path: Path) -> None:
    first, second = run(tmp_path / "rows.csv"), run(tmp_path / "rows.csv")
    assert first == second
    assert everything(tmp_path) == ["rows.csv"]


def test_an_existing_file_may_be_protected(job: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"old")
    with pytest.raises(DestinationError, match="exists already"):
        run(tmp_path / "rows.csv", if_exists="fail")
    assert (tmp_path / "rows.csv").read_bytes() == b"old"
    assert run(tmp_path / "other.csv", if_exists="fail")["rows"] == 3


def test_the_rows_arrive_in_an_object_storage(job: Sandbox) -> None:
    with attached(ObjectStorage(published_by="commit")) as lake:
        assert run("s3://lake/2026/")["path"] == "s3://lake/2026/failures-demo-site--rev-1.csv"
        assert lake.objects == {"lake/2026/failures-demo-site--rev-1.csv": CSV}


def test_an_access_token_fetches_as_well(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.dumps(job.connection("ruler", token=True))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection)
    monkeypatch.delenv("AIRFLOW_CONN_RULER_DEFAULT")
    assert run(tmp_path / "rows.csv", ruler_conn_id="other", job_id="rev-1")["job_id"] == "rev-1"


def test_a_token_that_ends_between_status_and_failures_is_renewed(job: Sandbox, tmp_path: Path) -> None:
    job.put_answers(FAILURES, [{"http": 401}])
    assert run(tmp_path / "rows.csv")["rows"] == 3
    assert job.settings("ruler")["tokens_issued"] == 2


# Which job


def test_the_result_of_the_sensor_is_a_job_id(job: Sandbox, tmp_path: Path) -> None:
    result = {"job_id": JOB, "vendor": "ruler", "state": "partial", "vendor_status": "partialcomplete"}
    assert run(tmp_path / "rows.csv", job_id=result)["job_id"] == JOB


@pytest.mark.parametrize("job_id", [[JOB], [JOB, "demo-site/rev-2"], f"['{JOB}']", (JOB,), []])
def test_a_list_of_jobs_is_refused_with_a_hint(job: Sandbox, tmp_path: Path, job_id: Any) -> None:
    with pytest.raises(BadSettings, match=r"this operator takes one job, so map it: \.expand\(job_id="):
        run(tmp_path / "rows.csv", job_id=job_id)
    assert job.requests == []


@pytest.mark.parametrize("job_id", ["", None, "None", "a/b/c", "demo-site/../x", {"state": "partial"}, 1.5])
def test_a_malformed_job_id_is_refused_and_never_retried(job: Sandbox, tmp_path: Path, job_id: Any) -> None:
    with pytest.raises(BadSettings, match="job_id") as caught:
        run(tmp_path / "rows.csv", job_id=job_id)
    assert isinstance(caught.value, AirflowFailException)
    assert job.requests == []
    assert everything(tmp_path) == []


@pytest.mark.parametrize("spec", [{"pending_seconds": 60}, {"processing_seconds": 60}])
def test_a_running_job_has_nothing_to_fetch_yet(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float], spec: dict[str, Any]
) -> None:
    put_job(sandbox, total_rows=10, failed_rows=3, **spec)
    with pytest.raises(JobNotFinished, match=f"{JOB} is still 'p.*; wait for it with BatchJobSensor"):
        run(tmp_path / "rows.csv")
    assert targets(sandbox) == [STATUS]
    assert everything(tmp_path) == []
    assert pauses == []


@pytest.mark.parametrize(("file_format", "content"), [("csv", b""), ("json", b"[]")])
def test_a_fully_good_job_gives_no_rows_and_is_not_asked_for_any(
    sandbox: Sandbox, tmp_path: Path, file_format: str, content: bytes
) -> None:
    put_job(sandbox, total_rows=10)
    assert run(f"{tmp_path}/", file_format=file_format) == {
        "job_id": JOB,
        "path": f"{tmp_path}/failures-demo-site--rev-1.{file_format}",
        "bytes": len(content),
        "rows": 0,
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": file_format,
        "verified_by": "status",
    }
    assert (tmp_path / f"failures-demo-site--rev-1.{file_format}").read_bytes() == content
    assert targets(sandbox) == [STATUS]


def test_a_job_that_failed_as_a_whole_gives_no_rows(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put_job(sandbox, total_rows=0, failure_reason="The file has no rows.")
    manifest = run(tmp_path / "rows.csv")
    assert (manifest["rows"], manifest["sha256"], manifest["verified_by"]) == (0, NO_ROWS, "status")
    # A 404 may be any gateway's: it is believed when it comes twice.
    assert targets(sandbox) == [STATUS, *[f"{FAILURES}?format=csv"] * 2]
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


def test_a_job_that_failed_in_all_its_rows_gives_them_all(sandbox: Sandbox, tmp_path: Path) -> None:
    put_job(sandbox, total_rows=4, failed_rows=4)
    assert run(tmp_path / "rows.csv")["rows"] == 4


@pytest.mark.parametrize("spec", [{"total_rows": 10, "failed_rows": 3}, {"total_rows": 4, "failed_rows": 4}])
def test_rejected_rows_that_are_not_there_are_an_unknown_job_and_no_empty_file(
    sandbox: Sandbox, tmp_path: Path, spec: dict[str, Any]
) -> None:
    put_job(sandbox, **spec)
    sandbox.put_answers(FAILURES, [{"http": 404}] * MAX_TRIES)
    with pytest.raises(UnknownJob, match="and yet its rejected rows are not there"):
        run(tmp_path / "rows.csv")
    assert everything(tmp_path) == []


def test_rejected_rows_that_appear_some_time_after_their_job_has_ended_are_waited_for(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put_job(sandbox, total_rows=10, failed_rows=3)
    sandbox.put_answers(FAILURES, [{"http": 404}, OWN_404, {"http": 404}])
    assert run(tmp_path / "rows.csv")["rows"] == 3
    assert len(pauses) == 3


def test_a_partial_job_without_counts_still_has_rows_to_be_found(sandbox: Sandbox, tmp_path: Path) -> None:
    put_job(sandbox, script=[{"status": "partialcomplete", "failureCount": None}])
    sandbox.put_answers(FAILURES, [{"http": 404}] * MAX_TRIES)
    with pytest.raises(UnknownJob):
        run(tmp_path / "rows.csv")
    assert everything(tmp_path) == []


OWN_404 = {"http": 404, "body": '{"message": "none"}', "content_type": "application/json"}
REJECTED = [("2", "no value"), ("5", "no currency"), ("9", "no date")]
TWO_OF_THREE = "RowNumber,ErrorMessage\r\n2,no value\r\n5,no currency\r\n"


def test_a_job_whose_word_and_count_disagree_is_asked_for_the_rows_that_it_counts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    put_job(sandbox, script=[{"status": "complete", "failureCount": 3, "totalRows": 8}])
    rows = "".join(f"{number},{problem}\r\n" for number, problem in REJECTED)
    sandbox.put_answers(FAILURES, [{"body": f"RowNumber,ErrorMessage\r\n{rows}", "content_type": "text/csv"}])
    manifest = run(tmp_path / "rows.csv")
    assert (manifest["rows"], manifest["verified_by"]) == (3, "length, rows")
    sandbox.put_answers(FAILURES, [{"http": 404}] * MAX_TRIES)
    with pytest.raises(UnknownJob):
        run(tmp_path / "none.csv")
    assert everything(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize(
    ("status", "file_format", "answer"),
    [
        ({"status": "partialcomplete", "failureCount": 3}, "csv", {"body": TWO_OF_THREE}),
        ({"status": "failed", "failureCount": 3}, "csv", {"body": TWO_OF_THREE * 2}),
        ({"status": "failed", "failureCount": 0}, "csv", {"body": TWO_OF_THREE}),
        ({"status": "partialcomplete", "failureCount": 3}, "json", {"body": '[{"a": 1}, {"a": 2}]'}),
        ({"status": "partialcomplete"}, "csv", {"body": "RowNumber,ErrorMessage\r\n"}),
        ({"status": "partialcomplete"}, "json", {"body": "[]"}),
        ({"status": "partialcomplete"}, "csv", {"body": ""}),
        ({"status": "partialcomplete", "failureCount": 2}, "csv", {"http": 202, "body": TWO_OF_THREE}),
        ({"status": "partialcomplete", "failureCount": 2}, "csv", {"http": 203, "body": TWO_OF_THREE}),
        ({"status": "partialcomplete", "failureCount": 2}, "csv", {"http": 206, "body": TWO_OF_THREE}),
        ({"status": "failed", "failureCount": 0}, "csv", {"http": 204}),
        ({"status": "failed"}, "csv", {"body": '{"error": "later"}', "content_type": "application/json"}),
        ({"status": "failed"}, "csv", {"body": "try again", "content_type": "text/plain"}),
        ({"status": "failed"}, "json", {"body": '{"entries": []}', "content_type": "application/json"}),
    ],
)
def test_what_contradicts_the_vendors_own_word_is_not_published(
    sandbox: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    status: dict[str, Any],
    file_format: str,
    answer: dict[str, Any],
) -> None:
    put_job(sandbox, script=[status])
    sandbox.put_answers(FAILURES, [{"content_type": "text/csv", **answer}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete) as caught:
        run(tmp_path / "rows", file_format=file_format)
    assert "no value" not in str(caught.value)
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    "status",
    [
        {"status": "complete", "failureCount": "2"},
        {"status": "complete", "failureCount": 2.0},
        {"status": "complete", "failureCount": -1},
        {"status": "complete", "totalRows": 9, "successCount": 7, "failureCount": None},
    ],
)
def test_a_good_job_that_contradicts_itself_is_asked_for_its_rows(
    sandbox: Sandbox, tmp_path: Path, status: dict[str, Any]
) -> None:
    put_job(sandbox, script=[status])
    sandbox.put_answers(FAILURES, [{"body": TWO_OF_THREE, "content_type": "text/csv"}])
    assert run(tmp_path / "rows")["rows"] == 2
    sandbox.put_answers(FAILURES, [OWN_404] * MAX_TRIES)
    with pytest.raises(UnknownJob):
        run(tmp_path / "none")
    assert everything(tmp_path) == ["rows"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ({"status": "failed", "failureCount": None}, OWN_404),
        (
            {
                "status": "failed",
                "totalRows": 9,
                "processedRows": 9,
                "successCount": 0,
                "failureReason": "Bad.",
            },
            OWN_404,
        ),
        (
            {"status": "failed", "totalRows": 0, "failureReason": "No rows."},
            {"http": 404, "body": "<html>404 nginx</html>", "content_type": "text/html"},
        ),
    ],
)
def test_a_stray_404_makes_no_empty_file_of_rows_that_were_rejected(
    sandbox: Sandbox, tmp_path: Path, status: dict[str, Any], answer: dict[str, Any]
) -> None:
    put_job(sandbox, script=[{"failureCount": None, **status}])
    sandbox.put_answers(FAILURES, [answer] * MAX_TRIES)
    with pytest.raises(UnknownJob):
        run(tmp_path / "rows")
    assert everything(tmp_path) == []


def uncounted(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, value: object) -> None:
    """Give the connection a value of ``check_failure_count``."""
    connection = sandbox.connection("ruler")
    connection["extra"]["check_failure_count"] = value
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))


@pytest.mark.parametrize("value", [False, " False "])
@pytest.mark.parametrize(
    ("status", "file_format", "body", "proofs"),
    [
        ({"status": "partialcomplete", "failureCount": 7}, "csv", TWO_OF_THREE, "length"),
        ({"status": "failed", "failureCount": 1}, "csv", TWO_OF_THREE, "length"),
        ({"status": "complete", "failureCount": 1}, "json", '[{"a": 1}, {"a": 2}]', "length, shape"),
        ({"status": "partialcomplete", "failureCount": 2}, "csv", TWO_OF_THREE, "length, rows"),
    ],
)
def test_a_connection_may_have_another_count_warned_about_only(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    value: object,
    status: dict[str, Any],
    file_format: str,
    body: str,
    proofs: str,
) -> None:
    uncounted(monkeypatch, sandbox, value)
    put_job(sandbox, script=[status])
    sandbox.put_answers(FAILURES, [{"body": body, "content_type": f"text/{file_format}"}])
    manifest = run(tmp_path / "rows", file_format=file_format)
    assert (manifest["rows"], manifest["verified_by"]) == (2, proofs)


@pytest.mark.parametrize(("status", "rows"), [("complete", 0), ("failed", 0), ("partialcomplete", None)])
def test_a_count_that_is_not_checked_makes_no_rows_of_those_that_are_not_there(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pauses: list[float],
    status: str,
    rows: int | None,
) -> None:
    uncounted(monkeypatch, sandbox, False)
    put_job(sandbox, script=[{"status": status, "failureCount": 5}])
    sandbox.put_answers(FAILURES, [OWN_404] * (MAX_TRIES if rows is None else 2))
    if rows is None:
        with pytest.raises(UnknownJob):
            run(tmp_path / "rows")
        return
    assert run(tmp_path / "rows")["rows"] == rows


@pytest.mark.parametrize("value", [True, "true", None, ""])
def test_a_count_is_checked_unless_a_connection_says_otherwise_and_the_error_says_how(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pauses: list[float], value: object
) -> None:
    uncounted(monkeypatch, sandbox, value)
    put_job(sandbox, script=[{"status": "partialcomplete", "failureCount": 7}])
    sandbox.put_answers(FAILURES, [{"body": TWO_OF_THREE, "content_type": "text/csv"}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="'check_failure_count': false in connection 'ruler_de"):
        run(tmp_path / "rows")
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("RowNumber,ErrorMessage\r\n", {"status": "partialcomplete", "failureCount": 7}),
        ("<html>Sign in</html>", {"status": "failed", "failureCount": 1}),
    ],
)
def test_a_count_that_is_not_checked_lets_nothing_else_pass(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pauses: list[float],
    body: str,
    status: dict[str, Any],
) -> None:
    uncounted(monkeypatch, sandbox, False)
    put_job(sandbox, script=[status])
    sandbox.put_answers(FAILURES, [{"body": body, "content_type": "text/csv"}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete):
        run(tmp_path / "rows")
    assert everything(tmp_path) == []


def test_a_count_is_checked_or_it_is_not(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uncounted(monkeypatch, job, "perhaps")
    with pytest.raises(BadSettings, match="extra 'check_failure_count' is 'perhaps'; give true or false"):
        run(tmp_path / "rows")
    assert everything(tmp_path) == []


def test_rows_that_are_being_prepared_are_waited_for(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    job.put_answers(
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
def test_rows_arrive_under_whatever_label(job: Sandbox, tmp_path: Path, content_type: str, mark: str) -> None:
    job.put_answers(FAILURES, [{"body": mark + CSV.decode(), "content_type": content_type}])
    assert run(tmp_path / "rows.csv")["rows"] == 3


def test_an_unknown_job_is_named_by_its_error(sandbox: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(UnknownJob, match="demo-site/batch/nobodys"):
        run(tmp_path / "rows.csv", job_id="demo-site/nobodys")
    assert pauses == []


# Where to


def test_a_folder_is_no_destination(job: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(DestinationError, match="it is a folder; end it with /"):
        run(tmp_path)
    assert pauses == []


def test_a_destination_that_cannot_be_written_is_named_and_not_tried_again(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match=f"cannot write {tmp_path}/file/rows.csv"):
        run(tmp_path / "file" / "rows.csv")
    assert pauses == []
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize("destination", ["", "  "])
def test_an_empty_destination_is_refused(job: Sandbox, destination: str) -> None:
    rendered = operator("{{ folder }}")
    rendered.destination = destination
    with pytest.raises(BadSettings, match="give a path or a URI"):
        rendered.execute({})
    assert job.requests == []


def test_a_missing_filesystem_names_the_extra_to_install(job: Sandbox, pauses: list[float]) -> None:
    with pytest.raises(DestinationError, match=r"pip install 'airflow-provider-jobstatus\[gcs\]'"):
        run("gs://lake/rows.csv")
    with pytest.raises(DestinationError, match="check the scheme"):
        run("s33://lake/rows.csv")
    assert pauses == []


@pytest.mark.parametrize(
    ("argument", "value", "problem"),
    [
        ("file_format", "xml", "file_format is 'xml'; give 'csv' or 'json'"),
        ("file_format", "CSV", "file_format is 'CSV'"),
        ("file_format", None, "file_format is None"),
        ("if_exists", "skip", "if_exists is 'skip'; give 'replace' or 'fail'"),
        ("if_exists", None, "if_exists is None"),
    ],
)
def test_an_argument_that_means_nothing_is_refused_before_anything_is_asked(
    job: Sandbox, tmp_path: Path, argument: str, value: Any, problem: str
) -> None:
    with pytest.raises(BadSettings, match=problem):
        run(tmp_path / "rows.csv", **{argument: value})
    assert job.requests == []
    assert everything(tmp_path) == []


# When things go wrong


def test_a_download_that_breaks_off_leaves_nothing_and_is_tried_again(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    broken = {"body": CSV.decode(), "disconnect": True}
    seen: list[list[str]] = []
    pauses_append = pauses.append

    def look(seconds: float) -> None:
        seen.append(everything(tmp_path))
        pauses_append(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", look)
        # A connection that ends without an answer is tried once more at once.
        job.put_answers(FAILURES, [broken, {"disconnect": True}, {"disconnect": True}])
        assert run(tmp_path / "rows.csv")["rows"] == 3
    assert seen == [[], []]  # not even a temporary file
    assert len(pauses) == 2
    assert everything(tmp_path) == ["rows.csv"]
    assert targets(job) == [STATUS, *[f"{FAILURES}?format=csv"] * 4]


@pytest.mark.parametrize("published_by", ["commit", "close"])
def test_a_download_that_breaks_off_publishes_no_object(
    job: Sandbox, pauses: list[float], published_by: str
) -> None:
    job.put_answers(FAILURES, [{"body": CSV.decode(), "disconnect": True}] * MAX_TRIES)
    with attached(ObjectStorage(published_by=published_by)) as lake:
        with pytest.raises(DownloadIncomplete):
            run("s3://lake/rows.csv")
        assert (lake.objects, lake.unfinished) == ({}, [])


def test_a_download_that_breaks_off_every_time_fails_as_incomplete(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    (tmp_path / "rows.csv").write_bytes(b"old")
    job.put_answers(FAILURES, [{"body": CSV.decode(), "disconnect": True}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="no usable reply"):
        run(tmp_path / "rows.csv")
    assert len(pauses) == MAX_TRIES - 1
    assert everything(tmp_path) == ["rows.csv"]
    assert (tmp_path / "rows.csv").read_bytes() == b"old"


@pytest.mark.parametrize("path", [STATUS, FAILURES])
@pytest.mark.parametrize("http", [429, 503])
def test_retry_after_is_obeyed(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str, http: int
) -> None:
    job.put_answers(path, [{"http": http, "headers": {"Retry-After": "45"}}])
    assert run(tmp_path / "rows.csv")["rows"] == 3
    assert pauses == [45.0]


def test_a_vendor_that_stays_down_fails_as_incomplete(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    job.put_answers(STATUS, [{"http": 503}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="answered 503"):
        run(tmp_path / "rows.csv")
    assert targets(job) == [STATUS] * MAX_TRIES


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml", "text/plain", "text/csv"])
def test_a_page_in_place_of_rows_may_pass_whatever_its_label(
    job: Sandbox, tmp_path: Path, pauses: list[float], content_type: str
) -> None:
    page = {"body": "<html>down</html>", "content_type": content_type}
    job.put_answers(FAILURES, [page] * 2)
    assert run(tmp_path / "rows.csv")["bytes"] == len(CSV)
    assert len(pauses) == 2
    job.put_answers(FAILURES, [page] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="a page of HTML: <html>down</html>"):
        run(tmp_path / "others.csv")
    assert len(pauses) == MAX_TRIES + 1
    assert everything(tmp_path) == ["rows.csv"]


def test_a_download_that_is_not_what_its_digest_says_is_tried_again(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    wrong = {"body": CSV.decode(), "headers": {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}}
    job.put_answers(FAILURES, [wrong])
    assert run(tmp_path / "rows.csv")["verified_by"] == "length, rows"
    assert len(pauses) == 1


def test_json_that_is_no_array_is_not_kept(job: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    job.put_answers(FAILURES, [{"body": {"message": "later"}}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="no whole JSON array") as caught:
        run(tmp_path / "rows.json", file_format="json")
    assert str(caught.value).startswith(f"{JOB} (connection 'ruler_default'): ")
    assert str(caught.value).endswith(f"; tried {MAX_TRIES} times")
    assert everything(tmp_path) == []


@pytest.mark.parametrize("http", [400, 401, 403, 422])
def test_a_refusal_is_not_tried_again(job: Sandbox, tmp_path: Path, pauses: list[float], http: int) -> None:
    job.put_answers(FAILURES, [{"http": http}] * 3)
    with pytest.raises(VendorRefused):
        run(tmp_path / "rows.csv")
    assert pauses == []


def test_wrong_credentials_are_refused_and_not_shown(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = job.connection("ruler") | {"password": "canary-wrong-password"}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
    with pytest.raises(VendorRefused) as caught:
        run(tmp_path / "rows.csv")
    assert "canary" not in str(caught.value)


def test_a_connection_that_is_not_defined_is_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="connection 'nowhere' is not defined"):
        run(tmp_path / "rows.csv", ruler_conn_id="nowhere")


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


# What Airflow sees


def test_rows_appear_neither_in_logs_nor_in_what_is_returned(
    job: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    personal = ["ida@example.org", "olaf@example.org", "INV-17", "not-a-number"]
    for file_format in ("csv", "json"):
        job.put_answers(FAILURES, [{"body": CSV.decode(), "disconnect": True}])
        manifest = run(tmp_path / "rows", file_format=file_format)
        file = (tmp_path / "rows").read_text()
        assert all(text in file for text in personal)
        assert not [text for text in personal if text in json.dumps(manifest)]
    output = capfd.readouterr()
    shown = caplog.text + output.out + output.err
    assert "rows" in shown  # so something was captured
    assert not [text for text in personal if text in shown]


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_an_error_in_place_of_the_rows_names_no_person(
    status: int, job: Sandbox, tmp_path: Path, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    told = {"error": "row 3 cannot be written: <ida@example.org> has no name"}
    job.put_answers(FAILURES, [{"http": status, "body": json.dumps(told)}] * 20)
    with pytest.raises(JobStatusError) as caught:
        run(tmp_path / "rows.csv")
    assert "row 3" in str(caught.value)
    assert "ida@" not in str(caught.value) + caplog.text


def test_the_arguments_are_templated() -> None:
    task = operator(
        "/data/{{ params.day }}/",
        job_id="{{ params.job }}",
        ruler_conn_id="{{ params.conn }}",
        file_format="{{ params.format }}",
    )
    values = {"day": "2026-03-02", "job": JOB, "conn": "ruler_eu", "format": "json"}
    task.render_template_fields({"params": values})
    assert (task.destination, task.job_id, task.ruler_conn_id, task.file_format) == (
        "/data/2026-03-02/",
        JOB,
        "ruler_eu",
        "json",
    )


def test_a_constructor_only_stores_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a DAG is parsed every few seconds")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    task = operator("{{ nothing }}", job_id="{{ job }}", file_format="{{ format }}")
    assert (task.ruler_conn_id, task.if_exists) == ("ruler_default", "replace")
    assert task.job_id == "{{ job }}"
