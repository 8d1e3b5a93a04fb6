"""What is Talkdesk's own in a download: how a report is reached, signed addresses, and what is no report."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_jobstatus.exceptions import (
    DownloadIncomplete,
    JobCancelled,
    JobFailed,
    UnknownJob,
    VendorRefused,
)
from airflow_provider_jobstatus.files.retry_budget import MAX_TRIES
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import TALKDESK, calls
from tests.support.flows import sample
from tests.support.storage import everything

STATUS, FILE, STORED = ASKED = TALKDESK.calls
run = TALKDESK.run
put_job = TALKDESK.put_job


@pytest.mark.parametrize("file_format", ["csv", "json", "json_bulk"])
@pytest.mark.parametrize("file_form", ["200", "302", "303"])
@pytest.mark.parametrize("rows", [40, 0])
def test_a_report_may_come_at_once_or_by_a_redirect_and_be_empty(
    rows: int, file_form: str, file_format: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    put_job(sandbox, rows=rows, format=file_format, file_form=file_form)
    if (rows, file_form, file_format) == (0, "200", "json_bulk"):
        # An empty file that comes from no storage is none.
        with pytest.raises(DownloadIncomplete, match="empty file"):
            run(tmp_path / "calls")
        return
    manifest = run(tmp_path / "calls")
    if rows == 0 or file_format != "json_bulk":
        assert manifest["rows"] == rows
    assert (tmp_path / "calls").stat().st_size == manifest["bytes"]
    assert calls(sandbox) == (ASKED[:2] if file_form == "200" else ASKED)


# What arrives


@pytest.mark.parametrize("done_form", ["200", "300", "301", "302", "303", "307", "308", "entries"])
@pytest.mark.parametrize("words", ["lower", "upper"])
def test_a_report_arrives_however_the_status_says_done(
    sandbox: Sandbox, tmp_path: Path, done_form: str, words: str
) -> None:
    put_job(sandbox, rows=4, done_form=done_form, words=words)
    assert run(tmp_path / "calls")["rows"] == 4
    # The report in place of a status is confirmed by its file before it is fetched.
    assert calls(sandbox) == (ASKED[:2] if done_form == "entries" else ASKED[:1]) + ASKED[1:]


def test_what_a_file_is_called_counts_before_how_it_is_labelled(ended: Sandbox, tmp_path: Path) -> None:
    labelled = {
        "body": '{"entries": [{"a": 1}], "total": 1}',
        "content_type": "text/csv",
        "headers": {"Content-Disposition": 'attachment; filename="agents.JSON"'},
    }
    ended.put_answers(STORED, [labelled])
    manifest = run(f"{tmp_path}/")
    assert (manifest["format"], manifest["rows"]) == ("json", 1)


# The storage


CREDENTIAL_HEADERS = {"authorization", "cookie", "api-key", "apikey", "x-api-key", "x-aftercare-key"}


def test_the_storage_sees_nothing_of_ours(ended: Sandbox, tmp_path: Path) -> None:
    ended.put_answers(STATUS, [{"http": 300, "headers": {"Set-Cookie": "canary=cookie; Path=/"}}])
    run(tmp_path / "calls")
    connection = ended.connection("talkdesk")
    (stored,) = [request for request in ended.requests if request["origin"] == "storage"]
    assert not CREDENTIAL_HEADERS & {name.lower() for name, _ in stored["headers"]}
    shown = json.dumps(stored)
    for secret in (connection["login"], connection["password"], "sandbox-token-", "canary"):
        assert secret not in shown
    api = [request for request in ended.requests if request["origin"] == "api"]
    assert all("sandbox-token-" in json.dumps(request["headers"]) for request in api)


@pytest.mark.parametrize("http", [400, 401, 403, 409, 410, 416, 451])
def test_an_address_that_has_expired_is_asked_for_again(ended: Sandbox, tmp_path: Path, http: int) -> None:
    expired = {
        "http": http,
        "body": sample("talkdesk/storage-expired.xml").decode(),
        "content_type": "application/xml",
    }
    ended.put_answers(STORED, [expired])
    assert run(tmp_path / "calls")["rows"] == 40
    assert calls(ended) == [ASKED[0], *ASKED[1:] * 2]


def test_two_refused_addresses_end_the_download(ended: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    ended.change_settings("talkdesk", url_lifetime_seconds=0)
    with pytest.raises(DownloadIncomplete, match="gave 2 signed addresses, and the storage refused each"):
        run(tmp_path / "calls")
    assert calls(ended) == [ASKED[0], *ASKED[1:] * 2]
    assert pauses == []
    assert everything(tmp_path) == []


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_second_redirect_is_not_followed(
    ended: Sandbox, tmp_path: Path, pauses: list[float], status: int
) -> None:
    ended.put_answers(STORED, [{"http": status, "headers": {"Location": f"{ended.storage_url}/elsewhere"}}])
    with pytest.raises(DownloadIncomplete, match=f"answered {status}"):
        run(tmp_path / "calls")
    assert calls(ended) == ASKED
    assert everything(tmp_path) == []


@pytest.mark.parametrize("location", [None, "", "file:///etc/passwd", "https://user@storage.example/k"])
def test_a_redirect_to_no_place_ends_the_download(
    ended: Sandbox, tmp_path: Path, pauses: list[float], location: str | None
) -> None:
    headers = {} if location is None else {"Location": location}
    ended.put_answers(FILE, [{"http": 303, "headers": headers}])
    with pytest.raises(DownloadIncomplete, match="redirects"):
        run(tmp_path / "calls")
    assert calls(ended) == ASKED[:2]
    assert everything(tmp_path) == []


# Whether it is whole


NO_REPORTS: list[tuple[dict[str, Any], str]] = [
    ({"body": "<!doctype html><p>Log in", "content_type": "text/csv"}, "a page of HTML"),
    ({"body": "<html>Log in</html>", "content_type": "application/octet-stream"}, "a page of HTML"),
    (
        {"body": '{"error": "expired"}', "content_type": "application/json"},
        'an error in JSON: {"error": "expired"}',
    ),
    ({"body": '{"id": "0f9c", "status": "uploading"}', "content_type": "text/plain"}, "an error in JSON"),
    (
        {"body": '{"job": {"id": "0f9c", "status": "done"}}', "content_type": "application/json"},
        "an error in JSON",
    ),
    (
        {
            "body": '[{"job": {"id": "0f9c", "status": "done", "name": "Ida"}}]',
            "content_type": "application/json",
        },
        "a job in JSON",
    ),
    (
        {"body": '{"job": {"id": "0f9c", "status": "done"}}\n', "content_type": "application/x-ndjson"},
        "a job in JSON",
    ),
    ({"body": '[{"agent": "Ida Berg"}]', "content_type": "text/csv"}, "JSON with 1 items"),
    ({"body": "<Error><Code>SlowDown</Code></Error>", "content_type": "application/xml"}, "XML"),
    ({"body": "Slow down", "content_type": "text/plain"}, "a line of text"),
    ({"body": "\x7fPNG", "content_type": "image/png"}, "another kind of file"),
    # Only a 200 is a report.
    *(
        ({"http": http, "body": "id,agent\n1,Ida\n", "content_type": "text/csv"}, str(http))
        for http in (201, 202, 203, 206)
    ),
    *(
        (
            {"body": "id\n1\n2\n", "content_type": "text/csv", "headers": {"Content-Range": part}},
            "with a part of a file",
        )
        for part in ("bytes 0-6/90", "bytes 7-13/14", "bytes */7")
    ),
    # What is not whole.
    (
        {"body": '{"entries": [{}, {}], "total": 3}', "content_type": "application/json"},
        "the report holds 2 entries and says that it has 3",
    ),
    *(
        ({"body": body, "content_type": "application/json"}, problem)
        for body, problem in (
            (
                '{"entries": [], "code": "77", "message": "the query was stopped"}',
                "'code' says that it is none",
            ),
            ('{"entries": [], "Code": 9, "description": "too many rows"}', "'Code' says that it is none"),
            ('{"entries": [{}, {}]', "no whole JSON"),
            ('{"entries": [{}', "no whole JSON"),
            ("{]", "no whole JSON"),
            ("id,agent", "no whole JSON"),
        )
    ),
]


@pytest.mark.parametrize(("answer", "problem"), NO_REPORTS)
@pytest.mark.parametrize("path", [FILE, STORED])
def test_what_is_no_whole_report_is_not_kept(
    path: str, answer: dict[str, Any], problem: str, ended: Sandbox, tmp_path: Path
) -> None:
    ended.put_answers(path, [answer] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match=re.escape(problem)) as caught:
        run(tmp_path / "calls")
    assert "Ida" not in str(caught.value)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("path", [FILE, STORED])
def test_a_file_that_is_gone_is_an_unknown_job_at_once(
    path: str, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(path, [{"http": 410}] * (2 if path == STORED else 1))
    with pytest.raises(UnknownJob, match=path):
        run(tmp_path / "calls")
    assert (pauses, everything(tmp_path)) == ([], [])


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/octet-stream"])
def test_an_empty_file_of_the_storage_is_a_report_without_rows(
    ended: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, content_type: str
) -> None:
    ended.put_answers(STORED, [{"body": "", "content_type": content_type}])
    manifest = run(tmp_path / "calls")
    assert (manifest["rows"], manifest["bytes"], manifest["verified_by"]) == (0, 0, "length")
    assert [record for record in caplog.records if record.levelname == "WARNING"]


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
    with pytest.raises(error, match=TALKDESK.job) as caught:
        run(tmp_path / "calls")
    assert type(caught.value) is error
    assert word in str(caught.value)
    assert calls(sandbox) == ASKED[:1]
    assert everything(tmp_path) == []


def test_a_missing_permission_is_refused(ended: Sandbox, tmp_path: Path, pauses: list[float]) -> None:
    ended.change_settings("talkdesk", scopes="data-reports:write")
    with pytest.raises(VendorRefused, match="lacks the scope"):
        run(tmp_path / "calls")
    assert (pauses, everything(tmp_path)) == ([], [])


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


@pytest.mark.parametrize(
    "query", ["X-Goog-Signature={}", "se=2026-03-05&sig={}&sp=r", "Key-Pair-Id=k&Policy={}", "x={}"]
)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", "<html>no such file: {}</html>"),
        ("application/json", '{{"error": "wrong signature {}"}}'),
        ("text/{}", "<html>"),
    ],
)
def test_a_storage_that_repeats_a_signature_in_place_of_a_file_does_not_get_it_shown(
    query: str,
    content_type: str,
    body: str,
    ended: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    signature = "Wq7/Zt3+Lm9Kx2Vb8"  # of 17 characters
    location = f"{ended.storage_url}{STORED}?{query.format(quote(signature * 2, safe=''))}"
    echo = {"content_type": content_type.format(signature * 2), "body": body.format(signature * 2)}
    ended.put_answers(FILE, [{"http": 302, "headers": {"Location": location}}] * MAX_TRIES)
    ended.put_answers(STORED, [echo] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="instead of the file") as caught:
        run(tmp_path / "calls")
    shown = shown_by(caught.value) + "".join(record.getMessage() for record in caplog.records)
    assert signature[:12].lower() not in shown.lower()


def test_a_signature_is_no_file_name(ended: Sandbox, tmp_path: Path) -> None:
    location = f"{ended.storage_url}{STORED}?response-content-type=text%2Fcsv&Signature=b3KfW9sPq2"
    ended.put_answers(FILE, [{"http": 303, "headers": {"Location": location}}])
    name = {"Content-Disposition": 'attachment; filename="b3KfW9sPq2.csv"'}
    ended.put_answers(STORED, [{"body": "a\n1\n", "content_type": "text/csv", "headers": name}])
    manifest = run(f"{tmp_path}/")
    assert manifest["path"] == f"{tmp_path}/report-calls--0f9c.csv"


@pytest.mark.parametrize("status", [401, 403])
def test_a_storage_that_refuses_for_a_while_does_not_blame_the_credential(
    status: int, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(STORED, [{"http": status, "headers": {"Retry-After": "9"}}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete) as caught:
        run(tmp_path / "calls")
    assert f"{STORED} (connection" in str(caught.value)
    assert "client secret" not in str(caught.value)
    assert pauses[0] == 9.0


def test_a_storage_that_cannot_be_reached_does_not_get_its_address_shown(
    ended: Sandbox, tmp_path: Path, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    location = f"http://127.0.0.1:{port}/k?X-Amz-Signature=canary-signature"
    ended.put_answers(FILE, [{"http": 303, "headers": {"Location": location}}] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete) as caught:
        run(tmp_path / "calls")
    assert "no usable reply" in str(caught.value)
    assert "canary" not in shown_by(caught.value)
    assert not [record for record in caplog.records if "canary" in record.getMessage()]


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
    put_job(sandbox, rows=10_000, note_bytes=12_000, format=file_format)
    with resident_memory() as seen:
        manifest = run(tmp_path / "calls")
    assert manifest["rows"] == 10_000
    assert manifest["bytes"] > 120_000_000
    assert len(seen) > 10
    assert max(seen) - seen[0] < 64 * 1024 * 1024
