"""The operator for Talkdesk against a server."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DestinationError,
    DownloadIncomplete,
    JobCancelled,
    JobFailed,
    JobNotFinished,
    JobStatusError,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.files.retry_budget import MAX_TRIES
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.storage import ObjectStorage, attached

JOB = "calls/0f9c"
STATUS = "/data/reports/calls/jobs/0f9c"
FILE = "/data/reports/calls/files/0f9c"
STORED = "/reports/calls/files/0f9c"
SAMPLES = Path(__file__).parent.parent / "samples" / "talkdesk"
NOW = {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


@pytest.fixture
def job(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a job that is done."""
    put_job(sandbox, rows=40)
    return sandbox


def put_job(sandbox: Sandbox, **spec: Any) -> None:
    sandbox.put_job("talkdesk", JOB, **(NOW | spec))


def text(name: str) -> str:
    return (SAMPLES / name).read_bytes().decode()


def operator(destination: object, **arguments: Any) -> TalkdeskDownloadReportOperator:
    arguments = {"task_id": "fetch", "job_id": JOB, "destination": str(destination), **arguments}
    return TalkdeskDownloadReportOperator(**arguments)


def run(destination: object, **arguments: Any) -> dict[str, Any]:
    manifest = operator(destination, **arguments).execute({})
    assert set(manifest) == {"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}
    return json.loads(json.dumps(manifest, allow_nan=False))


def asked(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return origin and path of what was asked, logins left out."""
    return [
        (request["origin"], request["target"].partition("?")[0])
        for request in sandbox.requests
        if request["origin"] != "auth"
    ]


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


ASKED = [("api", STATUS), ("api", FILE), ("storage", STORED)]


# What arrives


@pytest.mark.parametrize(
    ("file_format", "name", "rows"),
    [("csv", "report.csv", 2), ("json", "report.json", 3), ("json_bulk", "report.jsonl", None)],
)
def test_a_report_arrives_byte_by_byte_with_a_manifest(
    sandbox: Sandbox, tmp_path: Path, file_format: str, name: str, rows: int | None
) -> None:
    put_job(sandbox, format=file_format, file_text=text(name))
    expected = (SAMPLES / name).read_bytes()
    path = tmp_path / "2026" / "calls"
    manifest = run(path)
    assert manifest.pop("verified_by").startswith("length")
    assert manifest == {
        "job_id": JOB,
        "path": str(path),
        "bytes": len(expected),
        "rows": rows,
        "sha256": hashlib.sha256(expected).hexdigest(),
        "format": None if file_format == "json_bulk" else file_format,
    }
    assert path.read_bytes() == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert everything(tmp_path) == ["2026", "2026/calls"]
    assert asked(sandbox) == ASKED


@pytest.mark.parametrize("file_format", ["csv", "json"])
@pytest.mark.parametrize("file_form", ["200", "302", "303"])
def test_a_report_may_come_at_once_or_by_a_redirect(
    sandbox: Sandbox, tmp_path: Path, file_form: str, file_format: str
) -> None:
    put_job(sandbox, rows=40, format=file_format, file_form=file_form)
    manifest = run(tmp_path / "calls")
    assert (manifest["rows"], manifest["format"]) == (40, file_format)
    assert asked(sandbox) == (ASKED[:2] if file_form == "200" else ASKED)


@pytest.mark.parametrize("done_form", ["200", "300", "301", "302", "303", "307", "308", "entries"])
@pytest.mark.parametrize("words", ["lower", "upper"])
def test_a_report_arrives_however_the_status_says_done(
    sandbox: Sandbox, tmp_path: Path, done_form: str, words: str
) -> None:
    put_job(sandbox, rows=4, done_form=done_form, words=words)
    assert run(tmp_path / "calls")["rows"] == 4
    # The report in place of a status is confirmed by its file before it is fetched.
    assert asked(sandbox) == (ASKED[:2] if done_form == "entries" else ASKED[:1]) + ASKED[1:]


@pytest.mark.parametrize(
    ("file_format", "name"),
    [("json", "report-empty.json"), ("csv", None), ("json_bulk", None), ("json", None)],
)
def test_an_empty_period_is_a_good_report(
    sandbox: Sandbox, tmp_path: Path, file_format: str, name: str | None
) -> None:
    put_job(sandbox, format=file_format, rows=0, **({"file_text": text(name)} if name else {}))
    manifest = run(tmp_path / "calls")
    assert manifest["rows"] == 0
    assert (tmp_path / "calls").stat().st_size == manifest["bytes"]


def test_a_newer_report_with_more_members_is_counted_too(sandbox: Sandbox, tmp_path: Path) -> None:
    put_job(sandbox, format="json", file_text=text("report-newer.json"))
    assert run(tmp_path / "calls")["rows"] == 2


def test_a_slash_at_the_end_means_into_this_folder_under_the_files_own_name(
    job: Sandbox, tmp_path: Path
) -> None:
    assert run(f"{tmp_path}/new/")["path"] == f"{tmp_path}/new/0f9c-calls--0f9c.csv"
    assert run(f"file://{tmp_path}/uri/")["path"] == f"file://{tmp_path}/uri/0f9c-calls--0f9c.csv"
    assert everything(tmp_path) == ["new", "new/0f9c-calls--0f9c.csv", "uri", "uri/0f9c-calls--0f9c.csv"]


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ('attachment; filename="../../evil.csv"', "evil-calls--0f9c.csv"),
        ('attachment; filename="..%2F..%2Fevil.csv"', "evil-calls--0f9c.csv"),
        ('attachment; filename=".."', "report-calls--0f9c.csv"),
        ("attachment", "report-calls--0f9c.csv"),
        ("", "report-calls--0f9c.csv"),
    ],
)
def test_a_hostile_or_missing_file_name_stays_in_the_folder(
    sandbox: Sandbox, tmp_path: Path, hint: str, name: str
) -> None:
    put_job(sandbox, rows=4, disposition=hint)
    folder = tmp_path / "a" / "b"
    assert run(f"{folder}/")["path"] == f"{folder}/{name}"
    assert everything(tmp_path) == ["a", "a/b", f"a/b/{name}"]


def test_jobs_of_one_id_and_two_types_share_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    put_job(sandbox, rows=4, disposition="")
    sandbox.put_job("talkdesk", "contacts/0f9c", rows=2, disposition="", script=["done"])
    manifests = [run(f"{tmp_path}/"), run(f"{tmp_path}/", job_id="contacts/0f9c")]
    assert [manifest["rows"] for manifest in manifests] == [4, 2]
    assert everything(tmp_path) == ["report-calls--0f9c.csv", "report-contacts--0f9c.csv"]


def test_what_a_file_is_called_counts_before_how_it_is_labelled(job: Sandbox, tmp_path: Path) -> None:
    labelled = {
        "body": '{"entries": [{"a": 1}], "total": 1}',
        "content_type": "text/csv",
        "headers": {"Content-Disposition": 'attachment; filename="agents.JSON"'},
    }
    job.put_answers(STORED, [labelled])
    manifest = run(f"{tmp_path}/")
    assert (manifest["format"], manifest["rows"]) == ("json", 1)


def test_a_retried_task_replaces_what_it_wrote_unless_told_not_to(job: Sandbox, tmp_path: Path) -> None:
    assert run(tmp_path / "calls") == run(tmp_path / "calls")
    with pytest.raises(DestinationError, match="exists already"):
        run(tmp_path / "calls", if_exists="fail")
    assert everything(tmp_path) == ["calls"]


def test_the_report_arrives_in_an_object_storage(sandbox: Sandbox) -> None:
    put_job(sandbox, format="json", file_text=text("report.json"))
    with attached(ObjectStorage(published_by="commit")) as lake:
        assert run("s3://lake/2026/")["path"] == "s3://lake/2026/0f9c-calls--0f9c.json"
        assert lake.objects == {"lake/2026/0f9c-calls--0f9c.json": (SAMPLES / "report.json").read_bytes()}


# The storage


CREDENTIAL_HEADERS = {"authorization", "cookie", "api-key", "apikey", "x-api-key", "x-aftercare-key"}


def test_the_storage_sees_nothing_of_ours(job: Sandbox, tmp_path: Path) -> None:
    job.put_answers(STATUS, [{"http": 300, "headers": {"Set-Cookie": "canary=cookie; Path=/"}}])
    run(tmp_path / "calls")
    connection = job.connection("talkdesk")
    (stored,) = [request for request in job.requests if request["origin"] == "storage"]
    assert not CREDENTIAL_HEADERS & {name.lower() for name, _ in stored["headers"]}
    shown = json.dumps(stored)
    for secret in (connection["login"], connection["password"], "sandbox-token-", "canary"):
        assert secret not in shown
    api = [request for request in job.requests if request["origin"] == "api"]
    assert all("sandbox-token-" in json.dumps(request["headers"]) for request in api)


@pytest.mark.parametrize("http", [400, 401, 403, 409, 410, 416, 451])
def test_an_address_that_has_expired_is_asked_for_again(job: Sandbox, tmp_path: Path, http: int) -> None:
    expired = {"http": http, "body": text("storage-expired.xml"), "content_type": "application/xml"}
    job.put_answers(STORED, [expired])
    assert run(tmp_path / "calls")["rows"] == 40
    assert asked(job) == [ASKED[0], *ASKED[1:] * 2]


@pytest.mark.parametrize("http", [400, 403, 408, 425, 429, 503])
def test_a_storage_that_asks_for_patience_is_not_asked_again_at_once(
    job: Sandbox, tmp_path: Path, pauses: list[float], http: int
) -> None:
    job.put_answers(STORED, [{"http": http, "headers": {"Retry-After": "70"}}])
    assert run(tmp_path / "calls")["rows"] == 40
    assert pauses == [70.0]


@pytest.mark.parametrize("path", [STATUS, FILE, STORED])
@pytest.mark.parametrize("http", [400, 404, 429, 503])
def test_a_vendor_or_storage_that_wants_hours_fails_soon(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str, http: int
) -> None:
    job.put_answers(path, [{"http": http, "headers": {"Retry-After": "2400"}}] * MAX_TRIES)
    with pytest.raises(JobStatusError, match=f"answered {http}.* asks for a pause of 2400 s"):
        run(tmp_path / "calls")
    assert (pauses, everything(tmp_path)) == ([], [])


def test_an_address_that_expires_before_it_is_called_is_asked_for_anew(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_jobstatus.hooks.talkdesk import results

    late: list[float] = []
    real = results.target_of

    def dawdling(*arguments: Any) -> str:
        if not late:
            late.append(job.advance_clock(61))
        return real(*arguments)

    monkeypatch.setattr(results, "target_of", dawdling)
    assert run(tmp_path / "calls")["rows"] == 40
    assert [request["status"] for request in job.requests if request["origin"] == "storage"] == [403, 200]


def test_two_refused_addresses_end_the_download(job: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    job.change_settings("talkdesk", url_lifetime_seconds=0)
    with pytest.raises(DownloadIncomplete, match="gave 2 signed addresses, and the storage refused each"):
        run(tmp_path / "calls")
    assert asked(job) == [ASKED[0], *ASKED[1:] * 2]
    assert pauses == []
    assert everything(tmp_path) == []


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_second_redirect_is_not_followed(
    job: Sandbox, tmp_path: Path, pauses: list[float], status: int
) -> None:
    job.put_answers(STORED, [{"http": status, "headers": {"Location": f"{job.storage_url}/elsewhere"}}])
    with pytest.raises(DownloadIncomplete, match=f"answered {status}"):
        run(tmp_path / "calls")
    assert asked(job) == ASKED
    assert everything(tmp_path) == []


@pytest.mark.parametrize("location", [None, "", "file:///etc/passwd", "https://user@storage.example/k"])
def test_a_redirect_to_no_place_ends_the_download(
    job: Sandbox, tmp_path: Path, pauses: list[float], location: str | None
) -> None:
    headers = {} if location is None else {"Location": location}
    job.put_answers(FILE, [{"http": 303, "headers": headers}])
    with pytest.raises(DownloadIncomplete, match="redirects"):
        run(tmp_path / "calls")
    assert asked(job) == ASKED[:2]
    assert everything(tmp_path) == []


# Whether it is whole


def test_a_total_that_is_not_the_number_of_entries_is_incomplete(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put_job(sandbox, format="json", file_text='{"entries": [{}, {}], "total": 3}')
    with pytest.raises(DownloadIncomplete, match="the report holds 2 entries and says that it has 3"):
        run(tmp_path / "calls")
    assert len(pauses) == MAX_TRIES - 1
    assert everything(tmp_path) == []


@pytest.mark.parametrize("body", ['{"entries": [{}, {}]', '{"entries": [{}', "{]", "id,agent"])
def test_json_that_is_not_whole_is_incomplete(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float], body: str
) -> None:
    put_job(sandbox, format="json", file_text=body)
    with pytest.raises(DownloadIncomplete, match="no whole JSON"):
        run(tmp_path / "calls")
    assert everything(tmp_path) == []


def test_a_download_that_breaks_off_leaves_nothing_and_is_tried_again(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(
        "time.sleep",
        lambda _: seen.append(everything(tmp_path)),
    )
    broken = {"body": "id\n" * 1000, "content_type": "text/csv", "disconnect": True}
    # A connection that ends without an answer is tried once more at once.
    job.put_answers(STORED, [broken, {"disconnect": True}, {"disconnect": True}])
    assert run(tmp_path / "calls")["rows"] == 40
    assert seen == [[], []]
    assert asked(job) == [ASKED[0], *ASKED[1:] * 2, ASKED[-1], *ASKED[1:]]


def test_a_download_that_breaks_off_every_time_keeps_what_was_there(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    (tmp_path / "calls").write_bytes(b"old")
    broken = {"body": "id\n" * 1000, "content_type": "text/csv", "disconnect": True}
    job.put_answers(STORED, [broken] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="no usable reply"):
        run(tmp_path / "calls")
    assert (tmp_path / "calls").read_bytes() == b"old"
    assert everything(tmp_path) == ["calls"]


PAGE_LABELS = ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "text/plain", "text/csv"]


@pytest.mark.parametrize("content_type", PAGE_LABELS)
@pytest.mark.parametrize("path", [FILE, STORED])
def test_a_page_in_place_of_a_report_may_pass_whatever_its_label(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str, content_type: str
) -> None:
    job.put_answers(path, [{"body": "<html>back soon</html>", "content_type": content_type}] * 2)
    assert run(tmp_path / "calls")["rows"] == 40
    assert len(pauses) == 2


@pytest.mark.parametrize("content_type", PAGE_LABELS)
@pytest.mark.parametrize("path", [FILE, STORED])
def test_a_page_that_stays_in_place_of_a_report_is_shown_and_not_kept(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str, content_type: str
) -> None:
    page = "<html>ask ida@example.org</html>"
    job.put_answers(path, [{"body": page, "content_type": content_type}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match=re.escape("a page of HTML: <html>ask ***</html> (")):
        run(tmp_path / "calls")
    assert len(pauses) == MAX_TRIES - 1
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("content_type", "body", "what"),
    [
        ("text/csv", "<!doctype html><p>Log in", "a page of HTML"),
        ("application/octet-stream", "<html>Log in</html>", "a page of HTML"),
        ("application/json", '{"error": "expired"}', 'an error in JSON: {"error": "expired"}'),
        ("text/plain", '{"id": "0f9c", "status": "uploading"}', "an error in JSON"),
        ("application/json", '{"job": {"id": "0f9c", "status": "done"}}', "an error in JSON"),
        ("application/json", '[{"job": {"id": "0f9c", "status": "done", "name": "Ida"}}]', "a job in JSON"),
        ("application/x-ndjson", '{"job": {"id": "0f9c", "status": "done"}}\n', "a job in JSON"),
        ("text/csv", '[{"agent": "Ida Berg"}]', "JSON with 1 items"),
        ("application/xml", "<Error><Code>SlowDown</Code></Error>", "XML"),
        ("text/plain", "Slow down", "a line of text"),
        ("image/png", "\x7fPNG", "another kind of file"),
    ],
)
@pytest.mark.parametrize("path", [FILE, STORED])
def test_what_is_no_report_is_not_kept(
    job: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    path: str,
    content_type: str,
    body: str,
    what: str,
) -> None:
    job.put_answers(path, [{"body": body, "content_type": content_type}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match=re.escape(what)) as caught:
        run(tmp_path / "calls")
    assert "Ida" not in str(caught.value)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("http", [201, 202, 203, 206])
@pytest.mark.parametrize("path", [FILE, STORED])
def test_only_200_is_a_report(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str, http: int
) -> None:
    part = {"http": http, "body": "id,agent\n1,Ida\n", "content_type": "text/csv"}
    job.put_answers(path, [part] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match=f"{http}"):
        run(tmp_path / "calls")
    assert everything(tmp_path) == []


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/octet-stream"])
def test_an_empty_file_of_the_storage_is_a_report_without_rows(
    job: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, content_type: str
) -> None:
    job.put_answers(STORED, [{"body": "", "content_type": content_type}])
    manifest = run(tmp_path / "calls")
    assert (manifest["rows"], manifest["bytes"], manifest["verified_by"]) == (0, 0, "length")
    assert [record for record in caplog.records if record.levelname == "WARNING"]


def test_an_empty_file_that_comes_from_no_storage_is_none(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    job.put_answers(FILE, [{"body": "", "content_type": "text/csv"}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="empty file"):
        run(tmp_path / "calls")
    assert everything(tmp_path) == []


@pytest.mark.parametrize("path", [STATUS, FILE, STORED])
def test_a_vendor_that_asks_for_patience_gets_it(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str
) -> None:
    job.put_answers(path, [{"http": 503, "headers": {"Retry-After": "45"}}])
    assert run(tmp_path / "calls")["rows"] == 40
    assert pauses == [45.0]


# Which job


@pytest.mark.parametrize("word", ["created", "processing", "uploading", "PROCESSING"])
def test_a_running_job_has_no_report_yet(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float], word: str
) -> None:
    put_job(sandbox, script=[word])
    with pytest.raises(JobNotFinished, match=f"{JOB}: .*; wait for it with BatchJobSensor"):
        run(tmp_path / "calls")
    assert asked(sandbox) == ASKED[:1]
    assert (pauses, everything(tmp_path)) == ([], [])


def test_a_job_that_answers_nothing_yet_still_runs(job: Sandbox, tmp_path: Path) -> None:
    job.put_answers(STATUS, [{"http": 204}])
    with pytest.raises(JobNotFinished):
        run(tmp_path / "calls")


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("failed", JobFailed),
        ("FAILED", JobFailed),
        ("error", JobFailed),
        ("canceled", JobCancelled),
        ("deleted", JobCancelled),
    ],
)
def test_a_job_without_a_report_fails_as_it_ended(
    sandbox: Sandbox, tmp_path: Path, word: str, error: type[Exception]
) -> None:
    put_job(sandbox, script=[word])
    with pytest.raises(error, match=JOB) as caught:
        run(tmp_path / "calls")
    assert type(caught.value) is error
    assert word in str(caught.value)
    assert asked(sandbox) == ASKED[:1]
    assert everything(tmp_path) == []


def test_an_unknown_job_or_file_is_named_by_its_error(
    job: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    with pytest.raises(UnknownJob, match="calls/jobs/nobodys"):
        run(tmp_path / "calls", job_id="calls/nobodys")
    for path in (FILE, STORED):
        job.put_answers(path, [{"http": 410}] * (2 if path == STORED else 1))
        with pytest.raises(UnknownJob, match=path):
            run(tmp_path / "calls")
    assert (pauses, everything(tmp_path)) == ([], [])


@pytest.mark.parametrize("path", [FILE, STORED])
def test_a_file_that_appears_some_time_after_its_job_is_done_is_waited_for(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str
) -> None:
    job.put_answers(path, [{"http": 404}] * 5)
    assert run(tmp_path / "calls")["rows"] == 40
    # A storage's 404, too, gets a pause before another address is asked for.
    assert len(pauses) == 5
    assert [target for _, target in asked(job)].count(path) == 6


@pytest.mark.parametrize("path", [FILE, STORED])
def test_a_file_that_never_appears_is_said_to_be_missing_of_a_job_that_is_done(
    job: Sandbox, tmp_path: Path, pauses: list[float], path: str
) -> None:
    job.put_answers(path, [{"http": 404}] * MAX_TRIES)
    with pytest.raises(UnknownJob, match=f"{path}.*; the job is done, and yet its file is not there"):
        run(tmp_path / "calls")
    assert len(pauses) == MAX_TRIES - 1
    assert everything(tmp_path) == []


def test_the_result_of_the_sensor_is_a_job_id(job: Sandbox, tmp_path: Path) -> None:
    result = {"job_id": JOB, "vendor": "talkdesk", "state": "succeeded", "vendor_status": "done"}
    assert run(tmp_path / "calls", job_id=result)["job_id"] == JOB


@pytest.mark.parametrize(
    "job_id", ["", None, "0f9c", "a/b/c", "calls/..", [JOB], f"['{JOB}']", {"state": "x"}]
)
def test_a_malformed_job_id_is_refused_and_never_retried(job: Sandbox, tmp_path: Path, job_id: Any) -> None:
    with pytest.raises(BadSettings, match="job_id") as caught:
        run(tmp_path / "calls", job_id=job_id)
    assert isinstance(caught.value, AirflowFailException)
    assert job.requests == []


# Credentials


def connect(monkeypatch: pytest.MonkeyPatch, connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TALKDESK_DEFAULT", json.dumps(connection))


def test_a_wrong_secret_is_refused_and_not_shown(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    connect(monkeypatch, job.connection("talkdesk") | {"password": "canary-wrong-secret"})
    with pytest.raises(VendorRefused) as caught:
        run(tmp_path / "calls")
    assert "canary" not in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_signed_login_fetches_as_well(
    job: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    job.change_settings("talkdesk", jwt_algorithm=algorithm)
    connect(monkeypatch, job.connection("talkdesk", jwt=True))
    assert run(tmp_path / "calls")["rows"] == 40


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_ends_between_status_and_file_is_renewed(
    job: Sandbox, tmp_path: Path, status: int
) -> None:
    job.put_answers(FILE, [{"http": status}])
    assert run(tmp_path / "calls")["rows"] == 40
    assert job.settings("talkdesk")["tokens_issued"] == 2


def test_a_missing_permission_is_refused(job: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    job.change_settings("talkdesk", scopes="data-reports:write")
    with pytest.raises(VendorRefused, match="lacks the scope"):
        run(tmp_path / "calls")
    assert (pauses, everything(tmp_path)) == ([], [])


def test_a_connection_that_is_not_defined_is_bad_settings(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="connection 'nowhere' is not defined"):
        run(tmp_path / "calls", talkdesk_conn_id="nowhere")


# What Airflow sees


def shown_by(error: BaseException | None) -> str:
    """Return all that an error and what led to it show."""
    links = []
    while error is not None:
        links += [str(error), repr(error), repr(error.args), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(links)


def test_a_signed_address_appears_nowhere(
    sandbox: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "sandbox-signature-"
    put_job(sandbox, rows=40)
    good = json.dumps(run(tmp_path / "calls"))
    assert canary in [request["target"] for request in sandbox.requests][-1]
    shown = [good]
    broken = {"body": "id\n" * 1000, "content_type": "text/csv", "disconnect": True}
    for answers in (
        [broken] * MAX_TRIES,
        [{"disconnect": True}] * 2 * MAX_TRIES,  # each try asks anew at once, as a connection may die idle
        [{"http": 500}] * MAX_TRIES,
        [{"http": 403}] * 2,
        [{"http": 404}] * MAX_TRIES,
        [{"http": 307}],
    ):
        sandbox.put_answers(STORED, answers)
        with pytest.raises((DownloadIncomplete, UnknownJob)) as caught:
            run(tmp_path / "other")
        shown.append(shown_by(caught.value))
    records = [record for record in caplog.records if ".sandbox." not in record.name]
    shown += [f"{record.name} {record.getMessage()} {record.args!r}" for record in records]
    assert "try 2 of" in "\n".join(shown)  # so something was captured
    assert f'"GET {STORED} ' in "\n".join(shown)  # by the HTTP library as well
    for seen in shown:
        assert canary not in seen
        assert "X-Amz-" not in seen


def test_a_storage_that_cannot_be_reached_does_not_get_its_address_shown(
    job: Sandbox, tmp_path: Path, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    location = f"http://127.0.0.1:{port}/k?X-Amz-Signature=canary-signature"
    job.put_answers(FILE, [{"http": 303, "headers": {"Location": location}}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete) as caught:
        run(tmp_path / "calls")
    assert "no usable reply" in str(caught.value)
    assert "canary" not in shown_by(caught.value)
    assert not [record for record in caplog.records if "canary" in record.getMessage()]


def test_rows_appear_neither_in_logs_nor_in_what_is_returned(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    put_job(sandbox, file_text=text("report.csv"))
    manifest = run(tmp_path / "calls")
    assert "Ida Berg" in (tmp_path / "calls").read_text()
    assert "Ida Berg" not in caplog.text + json.dumps(manifest)


def test_the_arguments_are_templated() -> None:
    task = operator(
        "/data/{{ params.day }}/", job_id="calls/{{ params.job }}", talkdesk_conn_id="{{ params.conn }}"
    )
    task.render_template_fields({"params": {"day": "2026-03-02", "job": "0f9c", "conn": "talkdesk_eu"}})
    assert (task.destination, task.job_id, task.talkdesk_conn_id) == ("/data/2026-03-02/", JOB, "talkdesk_eu")


def test_a_constructor_only_stores_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a DAG is parsed every few seconds")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    task = operator("{{ nothing }}", job_id="{{ job }}")
    assert (task.talkdesk_conn_id, task.if_exists) == ("talkdesk_default", "replace")


# Memory


@contextmanager
def resident_memory() -> Iterator[list[int]]:
    """Collect this process's resident bytes while the ``with`` lasts; the first is where it began."""
    page = os.sysconf("SC_PAGE_SIZE")
    ended = threading.Event()
    seen: list[int] = []

    def look() -> None:
        seen.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)

    def watch() -> None:
        while not ended.wait(0.005):
            look()

    look()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_a_large_report_costs_no_memory(sandbox: Sandbox, tmp_path: Path, file_format: str) -> None:
    put_job(sandbox, rows=10, format=file_format)
    run(tmp_path / "calls")  # what is imported and allocated once
    put_job(sandbox, rows=20_000, note_bytes=12_000, format=file_format)
    with resident_memory() as seen:
        manifest = run(tmp_path / "calls")
    assert manifest["rows"] == 20_000
    assert manifest["bytes"] > 240_000_000
    assert len(seen) > 10
    assert max(seen) - seen[0] < 64 * 1024 * 1024
