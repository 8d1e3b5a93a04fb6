"""Filesystems that show a file when it is opened, and storages that know no condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import check_destination, writing
from tests.support.storage import FileServer, ObjectStorage, attached, memory_files, write


@pytest.fixture
def server() -> Iterator[FileServer]:
    with attached(FileServer(), "sftp") as attached_server:
        yield attached_server


@pytest.mark.parametrize("refuses", ["rename", "write"])
def test_what_a_server_refuses_is_one_sentence_and_leaves_nothing(server: FileServer, refuses: str) -> None:
    server.pipe_file("/lake/june.csv", b"old")
    server.refuses = refuses
    with pytest.raises(DestinationError, match=rf"^cannot write sftp://host/\S+: Perm.*: No {refuses}$"):
        write("sftp://host/lake/june.csv")
    assert memory_files(server) == {"lake/june.csv": b"old"}


def test_a_file_that_was_copied_is_published_though_its_first_copy_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: str) -> None:
        raise PermissionError(13, "No remove")

    memory = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    monkeypatch.setattr(memory, "rm_file", refused)
    with attached(memory, "memory"):
        write("memory://lake/june.csv")
    assert memory_files(memory)["lake/june.csv"] == b"rows"


def test_an_error_while_clearing_up_hides_none(server: FileServer) -> None:
    server.refuses = "remove"
    with pytest.raises(RuntimeError, match="the first"), writing("sftp://host/lake/june.csv"):
        raise RuntimeError("the first")


def test_an_error_of_a_client_that_is_no_oserror_is_a_destination_error(
    monkeypatch: pytest.MonkeyPatch, server: FileServer
) -> None:
    paramiko = pytest.importorskip("botocore.exceptions")

    def broken() -> None:
        raise paramiko.EndpointConnectionError(endpoint_url="https://never-shown")

    server.before_rename = broken
    with pytest.raises(DestinationError, match=r"^cannot write sftp://\S+: EndpointConnection"):
        write("sftp://host/lake/june.csv")
    assert memory_files(server) == {}


def test_a_filesystem_for_reading_only_is_a_destination_error() -> None:
    class Web(AbstractFileSystem):  # type: ignore[misc]
        protocol = "web"
        cachable = False

        def exists(self, path: str, **_: Any) -> bool:
            return False

        isdir = exists

        def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
            raise NotImplementedError

    with (
        attached(Web(), "sftp"),
        pytest.raises(DestinationError, match=r"^cannot write sftp://\S+: NotImplementedError$"),
    ):
        write("sftp://host/lake/june.csv")


def test_a_filesystem_within_another_is_written_by_moving(tmp_path: Any) -> None:
    within = DirFileSystem(path=str(tmp_path), fs=LocalFileSystem())
    with attached(within, "memory"):
        with pytest.raises(RuntimeError), writing("memory://lake/june.csv") as file:  # noqa: PT012
            file.write(b"half")
            raise RuntimeError
        assert [path.name for path in tmp_path.rglob("*")] == ["lake"]
        write("memory://lake/june.csv")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["june.csv"]


# Storages that publish what is finished


@pytest.fixture(params=["commit", "close"])
def lake(request: pytest.FixtureRequest) -> Iterator[ObjectStorage]:
    with attached(ObjectStorage(published_by=request.param)) as storage:
        yield storage


@pytest.mark.parametrize("content", [b"", b"rows", b"x" * 3500])
def test_an_object_that_must_be_new_is_published_whole(lake: ObjectStorage, content: bytes) -> None:
    write("s3://lake/june.csv", content, if_exists="fail")
    assert lake.objects == {"lake/june.csv": content}
    assert lake.unfinished == []


@pytest.mark.parametrize("error", [NotImplementedError, ValueError])
def test_a_filesystem_that_knows_no_condition_is_looked_at_twice(
    lake: ObjectStorage, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = lake._open

    def no_condition(path: str, mode: str = "rb", **options: Any) -> Any:
        if "x" in mode:
            raise error("File mode not supported")
        return opened(path, mode, **options)

    monkeypatch.setattr(lake, "_open", no_condition)
    write("s3://lake/june.csv", if_exists="fail")
    with pytest.raises(DestinationError, match="exists already"), writing("s3://lake/july.csv", "fail"):
        lake.objects["lake/july.csv"] = b"theirs"
    write("s3://lake/august.csv", b"", if_exists="fail")
    assert lake.objects == {"lake/june.csv": b"rows", "lake/july.csv": b"theirs", "lake/august.csv": b""}


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (412, "PreconditionFailed", r"s3://lake/june\.csv exists already, and if_exists is 'fail'"),
        (501, "NotImplemented", r"The reason; if_exists='fail' is the header If-None-Match, which this st"),
        (400, "InvalidArgument", r"The reason; if_exists='fail' is the header If-None-Match, which this st"),
        (409, "ConditionalRequestConflict", r"cannot write s3://lake/june\.csv: OSError: .*The reason"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"rows"])
def test_a_storage_that_refuses_the_condition_publishes_nothing_and_says_why(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, said: str, content: bytes
) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    answer = {
        "Error": {"Code": code, "Message": "The reason"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }

    def refuse(step: str) -> None:
        if step == "commit":
            raise translate_boto_error(ClientError(answer, "CompleteMultipartUpload"))

    with attached(ObjectStorage(published_by="commit")) as lake:
        monkeypatch.setattr(lake, "check", refuse)
        monkeypatch.setattr(lake, "pipe_file", lambda *_, **__: refuse("commit"))
        with pytest.raises(DestinationError, match=said):
            write("s3://lake/june.csv", content, if_exists="fail")
        assert lake.objects == {}
        assert lake.unfinished == []


@pytest.mark.parametrize("path", ["lake/{}/june.csv", "lake/{ds}.csv", "lake/%20.csv"])
def test_braces_and_escapes_in_a_key_are_themselves(lake: ObjectStorage, path: str) -> None:
    check_destination(f"s3://{path}")
    write(f"s3://{path}")
    assert lake.objects == {path: b"rows"}
