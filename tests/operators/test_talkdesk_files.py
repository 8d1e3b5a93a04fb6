"""Several reports, breaks, sizes, and reports that are deleted once they are fetched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    JobCancelled,
    JobFailed,
)
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.operators.talkdesk_files import delete_report
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.operators.downloading import TALKDESK
from tests.support.modes import StateStore
from tests.support.storage import FileServer, attached, everything

STATUS, FILE, STORED = TALKDESK.calls
JOBS = ["calls/0f9c", "user_status/0f9c", "calls/0f9d"]
run = TALKDESK.run


def fetch(destination: object, jobs: Any = JOBS, **arguments: Any) -> Any:
    return TALKDESK.make(destination, job_id=jobs, **arguments).execute({})


def put(sandbox: Sandbox, *jobs: str, **spec: Any) -> None:
    for job in jobs or JOBS:
        sandbox.put_job("talkdesk", job, **(TALKDESK.at_once | spec))


def methods(sandbox: Sandbox) -> list[str]:
    return [f"{each['method']} {each['target'].partition('?')[0]}" for each in sandbox.requests]


# Several jobs


@pytest.mark.parametrize("jobs", [JOBS, str(JOBS), ({"job_id": job} for job in JOBS), tuple(JOBS)])
def test_several_reports_go_into_one_folder_no_name_twice(
    jobs: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    put(sandbox, disposition='attachment; filename="report.csv"')
    manifests = fetch(f"{tmp_path}/", jobs)
    names = ["report-calls--0f9c.csv", "report-user_status--0f9c.csv", "report-calls--0f9d.csv"]
    assert [each["job_id"] for each in manifests] == JOBS
    assert [each["path"] for each in manifests] == [f"{tmp_path}/{name}" for name in names]
    assert everything(tmp_path) == sorted(names)


def test_a_list_of_none_or_of_one_gives_a_list(ended: Sandbox, tmp_path: Path) -> None:
    assert fetch(f"{tmp_path}/", []) == []
    (one,) = fetch(f"{tmp_path}/", [TALKDESK.job])
    assert one["rows"] == 40
    assert [each["path"] for each in fetch(f"{tmp_path}/", [TALKDESK.job] * 2)] == [one["path"]] * 2
    assert methods(ended).count(f"GET {STORED}") == 2


@pytest.mark.parametrize(
    ("jobs", "destination", "problem"),
    [
        (JOBS, "file.csv", "one file; end it with /"),
        (["calls/0f9c"], "file.csv", "one file; end it with /"),
        (["calls/0f9c", "0f9d"], "", "names no report type"),
        (["calls/0f9c", ["calls/0f9d"]], "", "job_id"),
        (["calls/0f9c", "calls/a b"], "", "a space"),
    ],
)
def test_a_list_that_cannot_work_is_refused_before_anything_is_sent(
    jobs: Any, destination: str, problem: str, ended: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(BadSettings, match=problem):
        fetch(f"{tmp_path}/{destination}", jobs)
    assert (ended.requests, everything(tmp_path)) == ([], [])


# Breaks


@pytest.mark.parametrize("file_form", ["200", "303"])
def test_a_file_that_breaks_goes_on_where_it_broke(
    file_form: str, sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put(sandbox, "calls/whole", rows=20_000)
    whole = Path(run(tmp_path / "whole", job_id="calls/whole")["path"]).read_bytes()
    put(sandbox, TALKDESK.job, rows=20_000, file_form=file_form, breaks=[1, 300_000, 300_001, len(whole) - 1])
    manifest = run(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == whole
    assert (manifest["rows"], manifest["bytes"], manifest["verified_by"]) == (20_000, len(whole), "length")
    at = FILE if file_form == "200" else STORED
    asked = [dict(each["headers"]) for each in sandbox.requests if each["target"].partition("?")[0] == at]
    starts = [None, 1, 300_000, 300_001, len(whole) - 1]
    assert [each.get("Range") for each in asked] == [start and f"bytes={start}-" for start in starts]
    assert len({each.get("If-Range") for each in asked}) == 2  # none, and the validator of the file
    # Each address was signed anew, and nothing was read twice.
    assert methods(sandbox).count(f"GET {FILE}") == 5
    assert pauses == []


def test_a_file_that_was_replaced_meanwhile_is_fetched_anew(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put(sandbox, TALKDESK.job, rows=4, breaks=[100])
    sandbox.put_answers(FILE, [{}, {"http": 503}])  # time for the other version

    def replace_file(_: float) -> None:
        put(sandbox, TALKDESK.job, rows=5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", replace_file)
        assert run(tmp_path / "file")["rows"] == 5


def test_a_file_comes_packed_and_after_a_break_plain(
    sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put(sandbox, TALKDESK.job, rows=20_000, zipped=True)
    packed = run(tmp_path / "packed")
    put(sandbox, TALKDESK.job, rows=20_000, zipped=True, breaks=[300_000, 600_000])
    plain = run(tmp_path / "plain")
    assert (packed["verified_by"], plain["verified_by"]) == ("chunks", "length")
    assert packed["sha256"] == plain["sha256"]
    asked = [each for each in sandbox.requests if each["target"].startswith(STORED)]
    assert [dict(each["headers"])["Accept-Encoding"] for each in asked] == ["gzip"] * 2 + ["identity"] * 2
    assert [dict(each["headers"]).get("Range") for each in asked][2:] == [None, "bytes=600000-"]
    assert len(pauses) == 1


# Sizes


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_of_more_than_max_bytes_is_not_kept_nor_tried_again(
    zipped: bool, sandbox: Sandbox, tmp_path: Path, pauses: list[float]
) -> None:
    put(sandbox, TALKDESK.job, rows=20_000, zipped=zipped)
    size = run(tmp_path / "file")["bytes"]
    assert run(tmp_path / "file", max_bytes=size)["bytes"] == size
    with pytest.raises(BadSettings, match=f"max_bytes, which is {size - 1}"):
        run(tmp_path / "other", max_bytes=size - 1)
    assert (pauses, everything(tmp_path)) == ([], ["file"])


@pytest.mark.parametrize(
    "arguments", [{"max_bytes": value} for value in (0, -1, True, "5", 1.5)] + [{"delete_after": "true"}]
)
def test_an_argument_that_cannot_work_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=next(iter(arguments))):
        TALKDESK.make("/data/", **arguments)


# Deleting


def test_reports_are_deleted_once_all_are_there(sandbox: Sandbox, tmp_path: Path) -> None:
    put(sandbox)
    fetch(f"{tmp_path}/", delete_after=True)
    asked = methods(sandbox)
    deletions = [f"DELETE /data/reports/{job.replace('/', '/files/')}" for job in JOBS]
    assert asked[-3:] == deletions
    assert [call for call in asked if call.startswith("DELETE")] == deletions
    assert len(everything(tmp_path)) == 3


def test_nothing_is_deleted_before_all_are_there(sandbox: Sandbox, tmp_path: Path) -> None:
    put(sandbox)
    put(sandbox, JOBS[-1], script=["failed"])
    with pytest.raises(JobFailed):
        fetch(f"{tmp_path}/", delete_after=True)
    assert not [call for call in methods(sandbox) if call.startswith("DELETE")]


@pytest.mark.parametrize(
    "answer", [{"http": 403}, {"http": 404}, {"http": 500}, {"http": 200}, {"disconnect": True}]
)
def test_a_deletion_that_fails_is_only_a_warning(
    answer: dict[str, Any],
    ended: Sandbox,
    tmp_path: Path,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended.put_answers(FILE, [answer] * 2, method="DELETE")
    assert run(tmp_path / "file", delete_after=True)["rows"] == 40
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record for record in warned if "deleted at Talkdesk" in record.getMessage()]
    assert pauses == []


@pytest.mark.parametrize("spec", [{"rows": 0, "format": "json_bulk"}, {}])
def test_the_report_stays_where_nothing_of_it_was_fetched(
    spec: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    put(sandbox, TALKDESK.job, **spec)
    if not spec:
        (tmp_path / "file").write_bytes(b"of another run")
    run(tmp_path / "file", delete_after=True, if_exists="replace" if spec else "skip")
    assert not [call for call in methods(sandbox) if call.startswith("DELETE")]


@pytest.mark.parametrize("size", [None, 3])
def test_the_report_stays_if_our_file_is_not_what_was_published(
    size: int | None, ended: Sandbox, tmp_path: Path
) -> None:
    manifest = run(tmp_path / "file")
    Path(manifest["path"]).unlink() if size is None else Path(manifest["path"]).write_bytes(b"x" * size)
    delete_report(TalkdeskHook("talkdesk_default"), TALKDESK.job, manifest)
    assert not [call for call in methods(ended) if call.startswith("DELETE")]


def again(destination: object, context: Any, jobs: Any = TALKDESK.job, **arguments: Any) -> Any:
    task = TALKDESK.make(destination, job_id=jobs, delete_after=True, **arguments)
    return task.execute(context)


@pytest.mark.parametrize("file_format", ["csv", "json"])
@pytest.mark.parametrize("into", ["", "file"])
def test_a_retry_that_finds_our_file_and_the_report_deleted_succeeds(
    into: str, file_format: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    put(sandbox, TALKDESK.job, format=file_format)
    into = into and f"file.{file_format}"
    in_run = {"task_state_store": StateStore()}
    first = again(f"{tmp_path}/{into}", in_run)
    assert first["verified_by"] != "earlier try"
    assert again(f"{tmp_path}/{into}", in_run) == first | {"verified_by": "earlier try"}
    if into:
        # Nothing but what was kept shows whose the file is.
        with pytest.raises(JobCancelled):
            again(f"{tmp_path}/{into}", {})
    with pytest.raises(JobCancelled):
        TALKDESK.make(f"{tmp_path}/{into}", job_id=TALKDESK.job).execute(in_run)
    with pytest.raises(JobCancelled):
        again(f"{tmp_path}/{into}", in_run, if_exists="fail")
    with pytest.raises(JobCancelled):
        again(f"{tmp_path}/{into}", in_run | {"ti": SimpleNamespace(try_number=1)})


def test_a_retry_fetches_what_the_try_before_it_has_not(sandbox: Sandbox, tmp_path: Path) -> None:
    put(sandbox)
    first = again(f"{tmp_path}/", {}, JOBS)
    put(sandbox, JOBS[1], rows=3)
    found = again(f"{tmp_path}/", {}, JOBS)
    assert [each["rows"] for each in found] == [40, 3, 40]
    assert [each["path"] for each in found] == [each["path"] for each in first]


def test_a_report_that_is_unknown_by_now_is_one_that_is_deleted(ended: Sandbox, tmp_path: Path) -> None:
    first = again(f"{tmp_path}/", {})
    ended.put_answers(STATUS, [{"http": 404}])
    assert again(f"{tmp_path}/", {})["sha256"] == first["sha256"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # Of another task or run, of another job, empty, cut short, twice.
        ("file.csv", b"id\n1\n"),
        ("", b""),
        ("file.csv", b""),
        ("file.csv", b'id\n"1'),
        ("other-calls--0f9d.csv", b"id\n1\n"),
        ("x-calls--0f9c.csv y-calls--0f9c.json", b"id\n1\n"),
    ],
)
def test_a_file_that_may_be_anothers_is_no_earlier_try(
    name: str, content: bytes, sandbox: Sandbox, tmp_path: Path
) -> None:
    put(sandbox, TALKDESK.job, script=["deleted"])
    for each in name.split():
        (tmp_path / each).write_bytes(content)
    with pytest.raises(JobCancelled):
        again(f"{tmp_path}/{name if name == 'file.csv' else ''}", {})


def test_an_earlier_try_is_known_in_a_storage_as_well(ended: Sandbox) -> None:
    with attached(FileServer(), "sftp") as server:
        in_run = {"task_state_store": StateStore()}
        for into in ("sftp://lake/2026/", "sftp://lake/file.csv"):
            TALKDESK.put_ended(ended)
            first = again(into, in_run)
            assert again(into, in_run) == first | {"verified_by": "earlier try"}
        server.store.clear()
        for into in ("sftp://lake/2026/", "sftp://lake/file.csv"):
            with pytest.raises(JobCancelled):
                again(into, in_run)
