"""What the event of an asset says of a file, with Airflow's own events and without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_jobstatus.exceptions import BadSettings
from airflow_provider_jobstatus.tasks import arguments
from airflow_provider_jobstatus.tasks.asset_events import describe_files

OTHER = Asset("s3://lake/other")


def manifest(path: str, rows: int | None = 2, **more: Any) -> dict[str, Any]:
    known = {"job_id": "x", "path": path, "bytes": 10, "rows": rows, "sha256": "ab", "format": "csv"}
    return known | more


def extra(outlet: Any, destination: object, *manifests: dict[str, Any]) -> dict[str, Any]:
    """Return what the event of ``outlet`` says; another outlet's says nothing."""
    events = OutletEventAccessors()
    outlets = [OTHER, AssetAlias("alias"), Asset.ref(name="by name"), outlet]
    describe_files({"outlet_events": events}, outlets, destination, manifests)  # type: ignore[arg-type]
    assert events[OTHER].extra == {}
    found: dict[str, Any] = events[outlet].extra
    return found


FILE = {"rows": 2, "bytes": 10, "sha256": "ab"}


@pytest.mark.parametrize(
    ("uri", "destination", "path"),
    [
        ("file:///lake/june.csv", "/lake/june.csv", "/lake/june.csv"),
        ("file:///lake/june.csv", "file://localhost/lake/june.csv", "file:///lake/june.csv"),
        ("file:///lake/./x/../june.csv", Path("/lake/june.csv"), "/lake/june.csv"),
        ("/lake/june.csv", "local:///lake/june.csv", "local:///lake/june.csv"),
        ("s3://lake/june.csv", "s3://lake/june.csv", "s3://lake/june.csv"),
        ("s3://lake/june.csv", "s3://aws_x@lake/june.csv", "s3://aws_x@lake/june.csv"),
        ("s3://aws_x@lake/june.csv", "s3://aws_x@lake/june.csv", "s3://aws_x@lake/june.csv"),
        ("S3://lake/june.csv/", "s3://lake/june.csv", "s3://lake/june.csv"),
        ("sftp://host/june%20a.csv", "sftp://host/june%20a.csv", "sftp://host/june%20a.csv"),
        # A folder's, and a file's within a folder.
        ("s3://lake/calls", "s3://lake/calls/", "s3://lake/calls/0f9c.csv"),
        ("s3://lake/calls/0f9c.csv", "s3://lake/calls/", "s3://lake/calls/0f9c.csv"),
        ("file:///lake/calls", "/lake/calls/", "/lake/calls/0f9c.csv"),
    ],
)
def test_the_outlet_with_the_uri_of_the_file_gets_rows_and_digest(
    uri: str, destination: object, path: str
) -> None:
    assert extra(Asset(name="calls", uri=uri), destination, manifest(path)) == {"path": path, **FILE}


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = extra(Asset(f"file://{tmp_path}/a.csv"), "a.csv", manifest("a.csv"))
    assert found == {"path": "a.csv", **FILE}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("s3://lake/june.csv", "s3://lake/july.csv"),
        ("s3://lake/june.csv", "gs://lake/june.csv"),
        ("s3://aws_x@lake/june.csv", "s3://aws_y@lake/june.csv"),
        ("s3://lake", "s3://lake/june.csv"),
        ("file:///lake/june.csv", "s3://lake/june.csv"),
        ("file://nas/june.csv", "/june.csv"),
        ("june", "june.csv"),
    ],
)
def test_another_outlet_is_left_alone(uri: str, path: str) -> None:
    assert extra(Asset(uri, extra={}), path, manifest(path)) == {}


def test_an_outlet_may_be_referred_to_by_its_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    events: dict[Any, Any] = {}

    class Events(dict[Any, Any]):
        def __missing__(self, key: Any) -> Any:
            return events.setdefault(key, Asset("x", extra={}))

    ref = Asset.ref(uri="s3://lake/june.csv")
    context: Any = {"outlet_events": Events()}
    describe_files(context, [ref], "s3://lake/june.csv", [manifest("s3://lake/june.csv")])
    assert events[ref].extra["rows"] == 2


def test_several_files_are_summed_for_their_folder_and_told_apart_by_their_own() -> None:
    files = [manifest(f"s3://lake/calls/{name}.csv", rows) for name, rows in (("a", 2), ("b", 3))]
    whole = {"path": None, "rows": 5, "bytes": 20, "sha256": None, "files": 2}
    assert extra(Asset("s3://lake/calls"), "s3://lake/calls/", *files) == whole
    assert extra(Asset("s3://lake/calls/b.csv"), "s3://lake/calls/", *files)["rows"] == 3
    unknown = manifest("s3://lake/calls/c.csv", None)
    assert extra(Asset("s3://lake/calls"), "s3://lake/calls/", *files, unknown)["rows"] is None
    assert extra(Asset("s3://lake/calls"), "s3://lake/calls/") == {}


def test_a_file_that_was_kept_is_told_as_such() -> None:
    kept = manifest("/a.csv", None, sha256=None, skipped=True)
    assert extra(Asset("file:///a.csv"), "/a.csv", kept) == {
        "path": "/a.csv",
        "rows": None,
        "bytes": 10,
        "sha256": None,
        "skipped": True,
    }


def test_a_task_outside_airflow_has_no_events() -> None:
    describe_files({}, [OTHER], "s3://lake/other", [manifest("s3://lake/other")])


# As a destination


@pytest.mark.parametrize("uri", ["s3://lake/june.csv", "file:///lake/june.csv", "/lake/june.csv"])
def test_the_uri_of_an_asset_is_the_place(uri: str) -> None:
    assert arguments.destination(Asset(name="june", uri=uri)) == uri


@pytest.mark.parametrize("uri", ["june", "s3://lake/{{ ds }}.csv", "file://nas/june.csv", "lake/june.csv"])
def test_an_asset_without_a_place_is_refused_when_the_dag_is_parsed(uri: str) -> None:
    with pytest.raises(BadSettings):
        arguments.destination(Asset(uri))
