"""Uploads to Ruler as tasks make them, and what they fetch of rejected rows."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobFailed,
    NotSubmitted,
    SubmissionUnknown,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.operators.ruler import (
    RulerDownloadFailuresOperator,
    RulerDownloadRevenueFailuresOperator,
    RulerUploadOpportunitiesOperator,
    RulerUploadRevenueOperator,
)
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.tasks.submission_store import KEY
from tests.operators.downloading import credentials
from tests.support.modes import StateStore, TaskInstance, run_deferred
from tests.support.storage import attached
from tests.support.times import FakeTime

HEADER = "RevenueClosedDate,CurrencyCode,Value,EmailAddress,Label,Label,Reference"
GOOD = "2024-01-15,GBP,10.50,canary-a@example.com,one,two,R-1"
#: Passes our check, and is rejected by Ruler.
REJECTED = "2024-01-15,GBP,10.50,canary at example.com,one,,R-2"
OPPORTUNITIES = "OpportunityDateTime,CurrencyCode,OpportunityValue,PipelineStage,EmailAddress\r\n"
PATH = "/v1/demo-site/revenue/batch"


def context() -> dict[str, Any]:
    return {"ti": TaskInstance(), "task_state_store": StateStore()}


def upload(kind: Any = RulerUploadRevenueOperator, within: dict[str, Any] | None = None, **given: Any) -> Any:
    return kind(task_id="upload", **given).execute(within or context())


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "revenue.csv"
    path.write_text(f"\ufeff{HEADER}\r\n{GOOD}\r\n{REJECTED}\r\n", encoding="utf-8", newline="")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return str(path)


@pytest.fixture
def storage() -> Iterator[MemoryFileSystem]:
    files = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    with attached(files, "memory"):
        yield files


def made(sandbox: Sandbox) -> list[str]:
    return [job["id"] for job in sandbox.jobs() if job["vendor"] == "ruler" and len(job["id"]) > 30]


def posts(sandbox: Sandbox) -> list[str]:
    return [
        request["target"]
        for request in sandbox.requests
        if request["method"] == "POST" and request["origin"] == "api"
    ]


def failures_of(sandbox: Sandbox, folder: Path, job_id: str, **given: Any) -> dict[str, Any]:
    sandbox.advance_clock(60)
    operator = RulerDownloadFailuresOperator(task_id="f", job_id=job_id, destination=f"{folder}/", **given)
    manifest: dict[str, Any] = operator.execute({})
    return manifest


@pytest.mark.parametrize("where", ["local", "storage", "rows"])
def test_an_upload_returns_the_id_of_its_job(
    where: str, sandbox: Sandbox, source: str, tmp_path: Path, storage: MemoryFileSystem
) -> None:
    if where == "storage":
        storage.pipe_file("/uploads/revenue.csv", Path(source).read_bytes())
        given: dict[str, Any] = {"source": ObjectStoragePath("memory://uploads/revenue.csv")}
    elif where == "rows":
        columns = HEADER.replace("Label,Label", "Label").split(",")
        cells = [datetime(2024, 1, 15, tzinfo=UTC), "GBP", 10.5, "a@example.com", ["one", "two"], "R-1"]
        good = dict(zip(columns, cells, strict=True))
        given = {"rows": [good, good | {"EmailAddress": "canary at example.com", "Reference": "R-2"}]}
    else:
        given = {"source": source}
    job_id = upload(**given)
    assert [job_id] == made(sandbox)
    # Before the upload, the site's jobs were noted.
    assert [(r["method"], r["target"]) for r in sandbox.requests[-2:]] == [
        ("GET", "/v1/demo-site/batch/jobs"),
        ("POST", PATH),
    ]
    assert failures_of(sandbox, tmp_path, job_id)["rows"] == 1


def test_opportunities_have_a_place_and_failures_of_their_own(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "opportunities.csv"
    path.write_text(f"{OPPORTUNITIES}2024-01-15,EUR,5,Won,canary\r\n2024-01-15,EUR,5,Won,a@b.example\r\n")
    job_id = upload(RulerUploadOpportunitiesOperator, source=path)
    assert posts(sandbox) == ["/v1/demo-site/opportunity/batch"]
    manifest = failures_of(sandbox, tmp_path, job_id, job_type="opportunity")
    site, _, job = job_id.partition("/")
    assert manifest["path"] == f"{tmp_path}/opportunity-failures-{job}--{site}--{job}.csv"
    assert manifest["rows"] == 1
    with pytest.raises(UnknownJob, match="answered 404"):
        failures_of(sandbox, tmp_path, job_id)


@pytest.mark.parametrize("by", ["argument", "extra"])
def test_path_and_part_can_be_set(
    by: str, sandbox: Sandbox, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.change_settings("ruler", upload_path="/imports/{job_type}/{site_id}", upload_part="data")
    places = {"upload_path": "/imports/{job_type}/{site_id}", "part_name": "data"}
    with pytest.raises(VendorRefused, match="set upload_path"):
        upload(source=source)
    with pytest.raises(VendorRefused, match="answered 400"):
        upload(source=source, upload_path=places["upload_path"])
    assert made(sandbox) == []
    if by == "extra":
        monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", credentials(sandbox, "ruler", extra=places))
        places = {}
    assert [upload(source=source, **places)] == made(sandbox)


def test_a_file_that_ruler_refuses_makes_no_job_and_no_cell_is_shown(sandbox: Sandbox, source: str) -> None:
    sandbox.change_settings("ruler", upload_strict=True)
    with pytest.raises(VendorRefused, match=r"row 2: EmailAddress is not an \.\.\.") as caught:
        upload(source=source)
    assert "canary" not in str(caught.value)
    assert made(sandbox) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        f"{HEADER}\n{GOOD}\n{GOOD}",
        f"{HEADER}\n{GOOD.replace('GBP', 'gbp')}",
        f"{HEADER}\n{GOOD},",
    ],
)
def test_a_mistake_in_a_file_is_found_before_anything_is_sent(
    text: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(BadSettings, match=r"^nothing was sent: ") as caught:
        upload(source=tmp_path / "bad.csv")
    assert "canary" not in str(caught.value)
    assert sandbox.requests == []


def test_a_file_that_changes_before_it_is_sent_makes_no_job(sandbox: Sandbox, source: str) -> None:
    operator = RulerUploadRevenueOperator(task_id="upload", source=source)
    order = operator.orders(operator.vendor_hook(operator.hook_class), context())
    with Path(source).open("a", encoding="utf-8") as file:
        file.write(GOOD.replace("R-1", "R-3"))
    with pytest.raises(Exception, match="has changed since it was checked; the upload was broken off"):
        operator.vendor_hook(operator.hook_class).call(order.operation)
    assert made(sandbox) == []


def test_a_file_that_is_not_there_may_be_at_the_next_try(sandbox: Sandbox, source: str) -> None:
    task = context()
    Path(source).rename(f"{source}.later")
    with pytest.raises(NotSubmitted, match="cannot be read: No such file or directory; nothing was sent"):
        upload(within=task, source=source)
    Path(f"{source}.later").rename(source)
    assert [upload(within=task, source=source)] == made(sandbox)


@pytest.mark.parametrize("state", ["made", "intended"])
def test_a_job_that_an_earlier_try_has_made_needs_its_file_no_more(
    state: str, sandbox: Sandbox, source: str, fake_time: FakeTime
) -> None:
    task = context()
    sandbox.change_settings("ruler", upload_pending_seconds=0)
    job_id = upload(within=task, source=source)
    if state == "intended":
        # As a worker leaves it that was killed between the request and its reply.
        task["task_state_store"][f"{KEY}.0"] |= {"state": "intended", "job_id": None}
    Path(source).unlink()
    assert upload(within=task, source=source) == job_id
    assert made(sandbox) == [job_id]
    task["ti"].max_tries += 1
    sandbox.advance_clock(60)
    with pytest.raises(NotSubmitted, match="cannot be read"):
        upload(within=task, source=source)
    assert made(sandbox) == [job_id]


@pytest.mark.parametrize("others", [0, 1])
def test_the_job_of_a_lost_reply_is_found_unless_another_may_be_it(
    others: int, sandbox: Sandbox, source: str, fake_time: FakeTime
) -> None:
    upload(source=source)
    before = made(sandbox)
    sandbox.change_settings("ruler", upload_pending_seconds=0)
    sandbox.put_answers(PATH, [{"after_work": True, "disconnect": True}], method="POST")
    if others:
        # Another upload of as many rows, after the list was read.
        sandbox.put_answers("/v1/demo-site/batch/jobs", [{"body": []}])
    if others:
        with pytest.raises(SubmissionUnknown, match="2 jobs may be it"):
            upload(source=source)
    else:
        assert [upload(source=source)] == [job for job in made(sandbox) if job not in before]
    assert len(made(sandbox)) == 2


@pytest.mark.parametrize(("limit", "found"), [(None, False), (1, True)])
def test_the_job_of_a_mapped_upload_is_looked_for_only_if_the_others_wait(
    limit: int | None, found: bool, sandbox: Sandbox, source: str, fake_time: FakeTime
) -> None:
    sandbox.change_settings("ruler", upload_pending_seconds=0)
    sandbox.put_answers(PATH, [{"after_work": True, "disconnect": True}], method="POST")
    task = context()
    task["ti"].map_index = 0
    if found:
        assert [upload(within=task, source=source, max_active_submissions=limit)] == made(sandbox)
    else:
        with pytest.raises(SubmissionUnknown):
            upload(within=task, source=source, max_active_submissions=limit)


@pytest.mark.parametrize("status", [401, 404, 405, 413])
def test_the_page_of_a_gateway_proves_no_upload_undone(
    status: int, sandbox: Sandbox, source: str, fake_time: FakeTime
) -> None:
    sandbox.change_settings("ruler", upload_pending_seconds=0)
    sandbox.put_answers(PATH, [{"after_work": True, "http": status, "body": "<html>"}], method="POST")
    assert [upload(source=source)] == made(sandbox)


def test_one_task_uploads_waits_and_writes_what_was_rejected(
    sandbox: Sandbox, source: str, tmp_path: Path, fake_time: FakeTime
) -> None:
    operator = RulerUploadRevenueOperator(
        task_id="upload", source=source, wait=True, deferrable=True, fetch=f"{tmp_path}/rejected.csv"
    )
    result = run_deferred(operator, context(), fake_time)
    assert (result["state"], result["counts"]["failed"]) == ("partial", 1)
    assert result["manifest"]["rows"] == 1
    assert b"canary at example.com" in (tmp_path / "rejected.csv").read_bytes()


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_rows_of_an_upload_that_failed_are_written_before_the_task_fails(
    deferrable: bool, sandbox: Sandbox, tmp_path: Path, fake_time: FakeTime
) -> None:
    all_bad = tmp_path / "bad.csv"
    all_bad.write_text(f"{HEADER}\r\n{REJECTED}\r\n", newline="")
    into = tmp_path / "rejected.csv"
    operator = RulerUploadRevenueOperator(
        task_id="upload", source=str(all_bad), wait=True, deferrable=deferrable, fetch=str(into)
    )
    with pytest.raises(JobFailed):
        run_deferred(operator, context(), fake_time)
    assert len(rows_of(str(into))) == 2


def rows_of(path: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(Path(path).read_bytes().decode(), newline="")))


def test_rejected_rows_can_be_corrected_and_uploaded_again(
    sandbox: Sandbox, source: str, tmp_path: Path
) -> None:
    manifest = failures_of(sandbox, tmp_path, upload(source=source), reupload_ready=True)
    header, row = rows_of(manifest["path"])
    assert (",".join(header), ",".join(row)) == (HEADER, REJECTED)
    assert (manifest["rows"], manifest["verified_by"]) == (1, "length, rows")
    assert manifest["bytes"] == Path(manifest["path"]).stat().st_size
    errors = Path(manifest["errors_path"])
    assert errors.name == f"{Path(manifest['path']).name}.errors.json"
    assert stat.S_IMODE(errors.stat().st_mode) == stat.S_IMODE(Path(manifest["path"]).stat().st_mode)
    (summed,) = json.loads(errors.read_bytes())["errors"]
    assert summed == {"message": "EmailAddress is not an e-mail address.", "rows": 1, "row_numbers": ["2"]}
    assert "canary" not in json.dumps(manifest)
    corrected = Path(manifest["path"]).read_text().replace(" at ", "@")
    (tmp_path / "again.csv").write_text(corrected)
    job_id = upload(source=tmp_path / "again.csv")
    assert failures_of(sandbox, tmp_path, job_id)["rows"] == 0


def test_failures_that_were_left_as_they_are_cannot_be_uploaded(
    sandbox: Sandbox, source: str, tmp_path: Path
) -> None:
    manifest = failures_of(sandbox, tmp_path, upload(source=source))
    with pytest.raises(BadSettings, match="download it with reupload_ready=True"):
        upload(source=manifest["path"])


def test_the_sample_of_the_page_survives_with_its_uneven_rows(sandbox: Sandbox, tmp_path: Path) -> None:
    from tests.operators.downloading import CSV, RULER

    RULER.put_ended(sandbox)
    manifest = failures_of(sandbox, tmp_path, RULER.job, reupload_ready=True)
    rows = rows_of(manifest["path"])
    sent = list(csv.reader(io.StringIO(CSV.decode(), newline="")))
    assert rows == [row[1:-1] for row in sent]
    assert len({len(row) for row in rows}) == 2


@pytest.mark.parametrize("if_exists", ["replace", "fail", "skip"])
def test_what_is_there_stays_or_goes_with_its_summary(
    if_exists: str, sandbox: Sandbox, source: str, tmp_path: Path
) -> None:
    job_id = upload(source=source)
    for name in ("x.csv", "x.csv.errors.json"):
        (tmp_path / name).write_text("old")
    given: dict[str, Any] = {"reupload_ready": True, "if_exists": if_exists}
    sandbox.advance_clock(60)
    operator = RulerDownloadFailuresOperator(
        task_id="f", job_id=job_id, destination=f"{tmp_path}/x.csv", **given
    )
    if if_exists == "fail":
        with pytest.raises(Exception, match="exists already"):
            operator.execute({})
    else:
        assert operator.execute({}).get("skipped") is (True if if_exists == "skip" else None)
    kept = [(tmp_path / name).read_text() == "old" for name in ("x.csv", "x.csv.errors.json")]
    assert kept == [if_exists != "replace"] * 2


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (RulerUploadRevenueOperator, {}, "give either source"),
        (RulerUploadRevenueOperator, {"source": "a.csv", "rows": []}, "give either source"),
        (RulerUploadRevenueOperator, {"source": 7}, "source is 7"),
        (RulerUploadRevenueOperator, {"source": "folder/"}, "source is 'folder/', a folder"),
        (RulerUploadRevenueOperator, {"source": "s3:/lake/a"}, "source 's3:/lake/a' begins with"),
        (RulerUploadRevenueOperator, {"source": "a.csv", "fetch": "x"}, "fetch needs wait"),
        (RulerDownloadFailuresOperator, {"job_type": "leads"}, "job_type is 'leads'"),
        (
            RulerDownloadFailuresOperator,
            {"file_format": "json", "reupload_ready": True},
            "reupload_ready needs",
        ),
        (RulerDownloadFailuresOperator, {"reupload_ready": "yes"}, "reupload_ready is 'yes'"),
    ],
)
def test_arguments_that_cannot_work_fail_when_the_dag_is_parsed(
    kind: Any, given: dict[str, Any], says: str
) -> None:
    needed = {"job_id": "s/j", "destination": "x"} if kind is RulerDownloadFailuresOperator else {}
    with pytest.raises(BadSettings, match=says):
        kind(task_id="t", **needed, **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rows": "text"}, "rows is a str"),
        ({"rows": []}, "the file is empty"),
        ({"rows": [{"Value": 1}]}, "the header misses"),
        (
            {"rows": [{"RevenueClosedDate": datetime(2024, 1, 1)}]},  # noqa: DTZ001
            r"rows\[0\], RevenueClosedDate: is a datetime",
        ),
        ({"rows": [], "site_id": "a/b"}, "site_id: the siteId"),
        ({"rows": [], "upload_path": "x"}, "upload_path is no path"),
    ],
)
def test_arguments_that_are_known_late_fail_before_anything_is_sent(
    given: dict[str, Any], says: str, sandbox: Sandbox
) -> None:
    with pytest.raises(BadSettings, match=says):
        upload(**given)
    assert sandbox.requests == []


def test_a_mistake_in_rows_is_named_by_the_place_in_the_list(sandbox: Sandbox) -> None:
    row = dict(
        zip(
            HEADER.replace("Label,Label", "Label").split(","),
            GOOD.replace("one,two", "one").split(","),
            strict=True,
        )
    )
    with pytest.raises(
        BadSettings, match=r"^nothing was sent: rows\[1\], Reference: stands in an earlier row, too$"
    ):
        upload(rows=[row, row])


def test_rows_show_as_a_count_on_the_page_of_rendered_fields() -> None:
    operator = RulerUploadRevenueOperator(task_id="upload", rows=[{"EmailAddress": "canary-{{ 1 }}"}])
    operator.render_template_fields({})
    assert str(operator.rows) == "1 row"


def test_the_old_name_is_another_of_the_same_class() -> None:
    assert RulerDownloadRevenueFailuresOperator is RulerDownloadFailuresOperator
