"""What the operators that download have in common, against a server."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

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
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import BOTH, CSV, FILES, RULER, TALKDESK, calls, credentials
from tests.support.flows import sample
from tests.support.storage import ObjectStorage, attached, everything

EACH = pytest.mark.parametrize("vendor", BOTH)
EACH_FILE = pytest.mark.parametrize(("vendor", "path"), FILES)
#: A file whose connection breaks off before its end.
BROKEN = {"body": "id\n" * 1000, "content_type": "text/csv", "disconnect": True}


# What arrives


@pytest.mark.parametrize(
    ("vendor", "spec", "arguments", "file", "rows", "file_format", "verified_by"),
    [
        ("ruler", RULER.spec, {}, "failures.csv", 3, "csv", "length, rows"),
        ("talkdesk", {"format": "csv"}, {}, "report.csv", 2, "csv", "length"),
        ("talkdesk", {"format": "json"}, {}, "report.json", 3, "json", "length, shape, rows"),
        ("talkdesk", {"format": "json"}, {}, "report-newer.json", 2, "json", "length, shape, rows"),
        ("talkdesk", {"format": "json"}, {}, "report-empty.json", 0, "json", "length, shape, rows"),
        ("talkdesk", {"format": "json_bulk"}, {}, "report.jsonl", None, None, "length"),
    ],
)
def test_a_file_arrives_byte_by_byte_with_a_manifest(
    vendor: str,
    spec: dict[str, Any],
    arguments: dict[str, Any],
    file: str,
    rows: int | None,
    file_format: str | None,
    verified_by: str,
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    download, expected = BOTH[vendor], sample(f"{vendor}/{file}")
    spec = spec if vendor == "ruler" else spec | {"file_text": expected.decode()}
    download.put_job(sandbox, **spec)
    path = tmp_path / "2026" / "file"
    manifest = download.run(path, **arguments)
    assert manifest.pop("verified_by").startswith(verified_by.partition(",")[0])
    assert manifest == {
        "job_id": download.job,
        "path": str(path),
        "bytes": len(expected),
        "rows": rows,
        "sha256": hashlib.sha256(expected).hexdigest(),
        "format": file_format,
    }
    assert path.read_bytes() == expected
    assert everything(tmp_path) == ["2026", "2026/file"]
    assert calls(sandbox) == download.calls


@EACH
def test_a_slash_at_the_end_means_into_this_folder_under_the_files_own_name(
    vendor: str, ended: Sandbox, tmp_path: Path
) -> None:
    download, name = BOTH[vendor], BOTH[vendor].name
    assert download.run(f"{tmp_path}/new/")["path"] == f"{tmp_path}/new/{name}"
    assert download.run(f"file://{tmp_path}/uri/")["path"] == f"file://{tmp_path}/uri/{name}"
    # A destination that has a name of its own keeps it.
    assert download.run(f"file://{tmp_path}/mine")["path"] == f"file://{tmp_path}/mine"
    assert everything(tmp_path) == ["mine", "new", f"new/{name}", "uri", f"uri/{name}"]


@pytest.mark.parametrize(
    ("vendor", "hint", "name"),
    [
        *(
            ("ruler", f'attachment; filename="{hint}"', name)
            for hint, name in (
                ("../../../../tmp/evil.csv", "evil-demo-site--rev-1.csv"),
                ("..%2F..%2Fevil.csv", "evil-demo-site--rev-1.csv"),
                ("/etc/passwd", "passwd-demo-site--rev-1"),
                ("..\\..\\evil.csv", "evil-demo-site--rev-1.csv"),
                ("..", "failures-demo-site--rev-1.csv"),
                ("", "failures-demo-site--rev-1.csv"),
                ("`rm`;$(x).csv", "_rm___(x)-demo-site--rev-1.csv"),
            )
        ),
        ("talkdesk", 'attachment; filename="../../evil.csv"', "evil-calls--0f9c.csv"),
        ("talkdesk", 'attachment; filename="..%2F..%2Fevil.csv"', "evil-calls--0f9c.csv"),
        ("talkdesk", 'attachment; filename=".."', "report-calls--0f9c.csv"),
        ("talkdesk", "attachment", "report-calls--0f9c.csv"),
        ("talkdesk", "", "report-calls--0f9c.csv"),
    ],
)
def test_a_hostile_or_missing_file_name_stays_in_the_folder(
    vendor: str, hint: str, name: str, ended: Sandbox, tmp_path: Path
) -> None:
    answer = {"body": CSV.decode(), "content_type": "text/csv", "headers": {"Content-Disposition": hint}}
    ended.put_answers(BOTH[vendor].files[-1], [answer])
    folder = tmp_path / "a" / "b"
    assert BOTH[vendor].run(f"{folder}/")["path"] == f"{folder}/{name}"
    assert everything(tmp_path) == ["a", "a/b", f"a/b/{name}"]


@pytest.mark.parametrize(
    ("vendor", "jobs", "names"),
    [
        (
            "ruler",
            {"east/nightly": {"total_rows": 9, "failed_rows": 2}, "west/nightly": {"total_rows": 9}},
            ["failures-east--nightly.csv", "failures-west--nightly.csv"],
        ),
        (
            "talkdesk",
            {
                "calls/0f9c": {"rows": 2, "disposition": ""},
                "contacts/0f9c": {"rows": 0, "disposition": "", "script": ["done"]},
            },
            ["report-calls--0f9c.csv", "report-contacts--0f9c.csv"],
        ),
    ],
)
def test_jobs_of_one_name_in_two_places_share_no_file(
    vendor: str, jobs: dict[str, Any], names: list[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    for job_id, spec in jobs.items():
        sandbox.put_job(vendor, job_id, **({} if "script" in spec else BOTH[vendor].at_once), **spec)
    rows = [BOTH[vendor].run(f"{tmp_path}/", job_id=job_id)["rows"] for job_id in (*jobs, next(iter(jobs)))]
    assert rows == [2, 0, 2]
    assert everything(tmp_path) == names
    assert (tmp_path / names[0]).stat().st_size > 0


@EACH
def test_a_retried_task_replaces_what_it_wrote_unless_it_may_not(
    vendor: str, ended: Sandbox, tmp_path: Path
) -> None:
    download = BOTH[vendor]
    assert download.run(tmp_path / "file") == download.run(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DestinationError, match="exists already"):
        download.run(tmp_path / "file", if_exists="fail")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert everything(tmp_path) == ["file"]
    assert download.run(tmp_path / "other", if_exists="fail")["rows"] == download.rows


@EACH
def test_an_asset_is_a_destination_and_its_event_says_what_was_written(
    vendor: str, ended: Sandbox, tmp_path: Path
) -> None:
    asset, events = Asset(f"file://{tmp_path}/file.csv"), OutletEventAccessors()
    task = BOTH[vendor].operator(task_id="fetch", job_id=BOTH[vendor].job, destination=asset, outlets=[asset])
    manifest = task.execute({"outlet_events": events})
    assert (tmp_path / "file.csv").stat().st_size == manifest["bytes"]
    assert events[asset].extra == {name: manifest[name] for name in ("path", "rows", "bytes", "sha256")}


@EACH
@pytest.mark.parametrize("into", ["", "file"])
def test_a_file_that_is_there_may_be_kept(vendor: str, into: str, ended: Sandbox, tmp_path: Path) -> None:
    download = BOTH[vendor]
    first = download.run(f"{tmp_path}/{into}", if_exists="skip")
    assert first["rows"] == download.rows
    Path(first["path"]).write_bytes(b"old")
    asked = len(ended.requests)
    kept = download.run(f"{tmp_path}/{into}", if_exists="skip")
    assert (kept["job_id"], kept["path"], kept["bytes"]) == (download.job, first["path"], 3)
    assert (kept["rows"], kept["sha256"], kept["format"], kept["verified_by"]) == (None,) * 4
    assert kept["skipped"] is True
    assert Path(first["path"]).read_bytes() == b"old"
    assert bool(ended.requests[asked:]) is (into == "")  # the file's own name is the vendor's to say


@pytest.mark.parametrize(
    ("vendor", "spec", "file", "name"),
    [
        ("ruler", RULER.spec, "ruler/failures.csv", RULER.name),
        ("talkdesk", {"format": "json"}, "talkdesk/report.json", "0f9c-calls--0f9c.json"),
    ],
)
def test_a_file_arrives_in_an_object_storage(
    vendor: str, spec: dict[str, Any], file: str, name: str, sandbox: Sandbox
) -> None:
    text = {"file_text": sample(file).decode()} if vendor == "talkdesk" else {}
    BOTH[vendor].put_job(sandbox, **spec, **text)
    with attached(ObjectStorage(published_by="commit")) as lake:
        assert BOTH[vendor].run("s3://lake/2026/")["path"] == f"s3://lake/2026/{name}"
        assert lake.objects == {f"lake/2026/{name}": sample(file)}


# Which job


@EACH
def test_the_result_of_the_sensor_is_a_job_id(vendor: str, ended: Sandbox, tmp_path: Path) -> None:
    result = {"job_id": BOTH[vendor].job, "vendor": vendor, "state": "partial", "vendor_status": "x"}
    assert BOTH[vendor].run(tmp_path / "file", job_id=result)["job_id"] == BOTH[vendor].job


@pytest.mark.parametrize(
    ("vendor", "job_id"),
    [
        *((vendor, job_id) for vendor in BOTH for job_id in ("", None, "None", {"state": "x"}, 1.5)),
        *(("ruler", job_id) for job_id in ([RULER.job], f"['{RULER.job}']")),
        *(("ruler", job_id) for job_id in ("a/b/c", "demo-site/../x")),
        *(("ruler", job_id) for job_id in ([RULER.job, "demo-site/rev-2"], (RULER.job,), [])),
        *(("talkdesk", job_id) for job_id in ("0f9c", "a/b/c", "calls/..")),
    ],
)
def test_a_malformed_job_id_is_refused_and_never_retried(
    vendor: str, job_id: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    is_list = isinstance(job_id, (list, tuple)) or str(job_id).startswith("[")
    hint = r"this operator takes one job, so map it: \.expand\(job_id=" if is_list else "job_id"
    with pytest.raises(BadSettings, match=hint) as caught:
        BOTH[vendor].run(tmp_path / "file", job_id=job_id)
    assert isinstance(caught.value, AirflowFailException)
    assert (sandbox.requests, everything(tmp_path)) == ([], [])


@pytest.mark.parametrize(
    ("vendor", "spec"),
    [
        ("ruler", {"pending_seconds": 60}),
        ("ruler", {"processing_seconds": 60}),
        *(("talkdesk", {"script": [word]}) for word in ("created", "processing", "uploading", "PROCESSING")),
        ("talkdesk", {"script": [{"http": 204}]}),
    ],
)
def test_a_running_job_has_nothing_to_fetch_yet(
    vendor: str, spec: dict[str, Any], sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    BOTH[vendor].put_job(sandbox, **(BOTH[vendor].spec | spec))
    with pytest.raises(JobNotFinished, match=f"{BOTH[vendor].job}.*; wait for it with BatchJobSensor"):
        BOTH[vendor].run(tmp_path / "file")
    assert calls(sandbox) == [BOTH[vendor].status]
    assert (pauses, everything(tmp_path)) == ([], [])


@pytest.mark.parametrize(
    ("vendor", "job_id", "path"),
    [
        ("ruler", "demo-site/nobodys", "demo-site/batch/nobodys"),
        ("talkdesk", "calls/nobodys", "calls/jobs/nobodys"),
    ],
)
def test_an_unknown_job_is_named_by_its_error(
    vendor: str, job_id: str, path: str, sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    with pytest.raises(UnknownJob, match=path):
        BOTH[vendor].run(tmp_path / "file", job_id=job_id)
    assert pauses == []


@EACH_FILE
def test_a_file_that_appears_some_time_after_its_job_has_ended_is_waited_for(
    vendor: str, path: str, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    download = BOTH[vendor]
    ended.put_answers(path, [{"http": 404}] * 5)
    assert download.run(tmp_path / "file")["rows"] == download.rows
    # A storage's 404, too, gets a pause before another address is asked for.
    assert len(pauses) == 5
    assert calls(ended).count(path) == 6
    ended.put_answers(path, [{"http": 404}] * MAX_TRIES)
    missing = "its rejected rows are" if vendor == "ruler" else "its file is"
    with pytest.raises(UnknownJob, match=f"{path}.*and yet {missing} not there"):
        download.run(tmp_path / "none")
    assert len(pauses) == 5 + MAX_TRIES - 1
    assert everything(tmp_path) == ["file"]


# Where to


@EACH
def test_a_destination_that_cannot_be_written_is_named_and_not_tried_again(
    vendor: str, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for destination, problem in (
        (tmp_path, "it is a folder; end it with /"),
        (tmp_path / "file" / "rows.csv", f"cannot write {tmp_path}/file/rows.csv"),
        ("gs://lake/rows.csv", r"pip install 'airflow-provider-jobstatus\[gcs\]'"),
        ("s33://lake/rows.csv", "check the scheme"),
    ):
        with pytest.raises(DestinationError, match=problem):
            BOTH[vendor].run(destination)
    assert (pauses, everything(tmp_path)) == ([], ["file"])


@pytest.mark.parametrize("destination", ["", "  "])
@EACH
def test_an_empty_destination_is_refused(vendor: str, destination: str, ended: Sandbox) -> None:
    rendered = BOTH[vendor].make("{{ folder }}")
    rendered.destination = destination
    with pytest.raises(BadSettings, match="give a path or a URI"):
        rendered.execute({})
    assert ended.requests == []


# When things go wrong


@EACH
def test_a_download_that_breaks_off_leaves_nothing_and_is_tried_again(
    vendor: str, ended: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(time, "sleep", lambda _: seen.append(everything(tmp_path)))
    # A connection that ends without a response is tried once more at once.
    ended.put_answers(BOTH[vendor].files[-1], [BROKEN, {"disconnect": True}, {"disconnect": True}])
    assert BOTH[vendor].run(tmp_path / "file")["rows"] == BOTH[vendor].rows
    assert seen == [[], []]  # not even a temporary file
    assert everything(tmp_path) == ["file"]
    status, *files = BOTH[vendor].calls
    assert calls(ended) == [status, *files * 2, files[-1], *files]


@EACH
def test_a_download_that_breaks_off_every_time_keeps_what_was_there(
    vendor: str, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    ended.put_answers(BOTH[vendor].files[-1], [BROKEN] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match="no usable reply"):
        BOTH[vendor].run(tmp_path / "file")
    assert len(pauses) == MAX_TRIES - 1
    assert (tmp_path / "file").read_bytes() == b"old"
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize("published_by", ["commit", "close"])
@EACH
def test_a_download_that_breaks_off_publishes_no_object(
    vendor: str, published_by: str, ended: Sandbox
) -> None:
    ended.put_answers(BOTH[vendor].files[-1], [BROKEN] * MAX_TRIES)
    with attached(ObjectStorage(published_by=published_by)) as lake:
        with pytest.raises(DownloadIncomplete):
            BOTH[vendor].run("s3://lake/rows.csv")
        assert (lake.objects, lake.unfinished) == ({}, [])


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "text/plain", "text/csv"],
)
@EACH_FILE
def test_a_page_in_place_of_a_file_may_pass_and_is_never_kept_whatever_its_label(
    vendor: str, path: str, content_type: str, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    page = {"body": "<html>ask ida@example.org</html>", "content_type": content_type}
    ended.put_answers(path, [page] * 2)
    assert BOTH[vendor].run(tmp_path / "file")["rows"] == BOTH[vendor].rows
    assert len(pauses) == 2
    ended.put_answers(path, [page] * MAX_TRIES)
    with pytest.raises(DownloadIncomplete, match=r"a page of HTML: <html>ask \*\*\*</html>"):
        BOTH[vendor].run(tmp_path / "other")
    assert len(pauses) == 2 + MAX_TRIES - 1
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("vendor", "path", "http"),
    [
        *((name, download.status, http) for name, download in BOTH.items() for http in (429, 503)),
        *((*file, http) for file in FILES for http in (429, 503)),
        *(("talkdesk", TALKDESK.files[-1], http) for http in (400, 403, 408, 425)),
    ],
)
def test_a_pause_that_is_asked_for_is_made(
    vendor: str, path: str, http: int, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(path, [{"http": http, "headers": {"Retry-After": "70"}}])
    assert BOTH[vendor].run(tmp_path / "file")["rows"] == BOTH[vendor].rows
    assert pauses == [70.0]


@pytest.mark.parametrize(
    ("vendor", "path"), [(name, path) for name, download in BOTH.items() for path in download.calls]
)
@pytest.mark.parametrize("http", [400, 404, 429, 503])
def test_a_pause_of_hours_ends_the_task(
    vendor: str, path: str, http: int, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(path, [{"http": http, "headers": {"Retry-After": "2400"}}] * MAX_TRIES)
    with pytest.raises(JobStatusError, match=f"answered {http}.* asks for a pause of 2400 s"):
        BOTH[vendor].run(tmp_path / "file")
    assert (pauses, everything(tmp_path)) == ([], [])


@pytest.mark.parametrize(
    ("vendor", "path", "http"),
    [(name, path, http) for name, path in FILES[:2] for http in (400, 422)]
    + [("ruler", RULER.files[0], http) for http in (401, 403)],
)
def test_a_refusal_is_not_tried_again(
    vendor: str, path: str, http: int, ended: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    ended.put_answers(path, [{"http": http}] * 3)
    with pytest.raises(VendorRefused):
        BOTH[vendor].run(tmp_path / "file")
    assert pauses == []


# Credentials


@EACH
def test_a_wrong_secret_is_refused_and_not_shown(
    vendor: str, ended: Sandbox, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    value = credentials(ended, vendor, password="canary-wrong-secret")
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", value)
    with pytest.raises(VendorRefused) as caught:
        BOTH[vendor].run(tmp_path / "file")
    assert "canary" not in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize(("vendor", "form"), [("ruler", "token"), ("talkdesk", "jwt")])
def test_another_kind_of_credential_fetches_as_well(
    vendor: str, form: str, ended: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", credentials(ended, vendor, form))
    monkeypatch.delenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT")
    assert BOTH[vendor].run(tmp_path / "file", **{f"{vendor}_conn_id": "other"})["rows"] == BOTH[vendor].rows


@pytest.mark.parametrize(("vendor", "http"), [("ruler", 401), ("talkdesk", 401), ("talkdesk", 403)])
def test_a_token_that_ends_between_status_and_file_is_renewed(
    vendor: str, http: int, ended: Sandbox, tmp_path: Path
) -> None:
    ended.put_answers(BOTH[vendor].files[0], [{"http": http}])
    assert BOTH[vendor].run(tmp_path / "file")["rows"] == BOTH[vendor].rows
    assert ended.settings(vendor)["tokens_issued"] == 2


@EACH
def test_a_connection_that_is_not_defined_is_bad_settings(vendor: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="connection 'nowhere' is not defined"):
        BOTH[vendor].run(tmp_path / "file", **{f"{vendor}_conn_id": "nowhere"})


# What Airflow sees


@EACH
def test_rows_appear_neither_in_logs_nor_in_what_is_returned(
    vendor: str,
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    download = BOTH[vendor]
    spec = RULER.spec if vendor == "ruler" else {"file_text": sample("talkdesk/report.csv").decode()}
    personal = ["ida@example.org", "olaf@example.org", "INV-17", "not-a-number"]
    personal = personal if vendor == "ruler" else ["Ida Berg"]
    download.put_job(sandbox, **spec)
    for arguments in ({}, {"file_format": "json"}) if vendor == "ruler" else ({},):
        sandbox.put_answers(download.files[-1], [BROKEN | {"body": CSV.decode()}])
        manifest = download.run(tmp_path / "rows", **arguments)
        file = (tmp_path / "rows").read_text()
        assert all(text in file for text in personal)
        assert not [text for text in personal if text in json.dumps(manifest)]
    output = capfd.readouterr()
    shown = caplog.text + output.out + output.err
    assert "rows" in shown  # so something was captured
    assert not [text for text in personal if text in shown]


@EACH
def test_the_arguments_are_templated(vendor: str) -> None:
    values = {
        "job_id": BOTH[vendor].job,
        "destination": "/data/2026-03-02/",
        f"{vendor}_conn_id": "eu",
        **({"file_format": "json"} if vendor == "ruler" else {}),
    }
    task = BOTH[vendor].make(**{name: f"{{{{ params.{name} }}}}" for name in values})
    task.render_template_fields({"params": values})
    assert {name: getattr(task, name) for name in values} == values


@EACH
def test_a_constructor_only_stores_what_it_is_given(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a DAG is parsed every few seconds")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    templates = {"job_id": "{{ job }}", **({"file_format": "{{ format }}"} if vendor == "ruler" else {})}
    task = BOTH[vendor].make("{{ nothing }}", **templates)
    given = (getattr(task, f"{vendor}_conn_id"), task.if_exists, task.job_id)
    assert given == (f"{vendor}_default", "replace", "{{ job }}")


@pytest.mark.parametrize(
    ("vendor", "argument", "value", "problem"),
    [
        ("ruler", "file_format", "xml", "file_format is 'xml'; give 'csv' or 'json'"),
        ("ruler", "file_format", "CSV", "file_format is 'CSV'"),
        ("ruler", "file_format", None, "file_format is None"),
        *(
            (vendor, "if_exists", "keep", "if_exists is 'keep'; give 'replace' or 'fail' or 'skip'")
            for vendor in BOTH
        ),
        *((vendor, "if_exists", None, "if_exists is None") for vendor in BOTH),
    ],
)
def test_an_argument_that_means_nothing_is_refused_before_anything_is_sent(
    vendor: str, argument: str, value: Any, problem: str, ended: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(BadSettings, match=problem):
        BOTH[vendor].run(tmp_path / "file", **{argument: value})
    assert (ended.requests, everything(tmp_path)) == ([], [])
