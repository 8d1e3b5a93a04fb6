"""Where a download goes, and that nothing but a whole one stays there, in each kind of storage."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import resolve, unless_there, writing
from tests.support.storage import ObjectStorage, attached, everything, memory_files, write

EXISTS = "exists already, and if_exists is 'fail'"


@dataclass(frozen=True)
class Place:
    """
    A storage.

    :param uri: how a path in it begins.
    :param files: returns what it holds, by path; what is not published yet has a name of ours.
    """

    uri: str
    files: Callable[[], dict[str, bytes]]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["path", "file", "local", "sftp", "memory", "s3, commit", "s3, close"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty storage: on a disk, one that shows what is opened, one that publishes what is finished."""
    kind, _, published_by = request.param.partition(", ")
    if kind == "s3":
        with attached(ObjectStorage(published_by)) as lake:
            uploads = lambda: {f"{path}/.jobstatus-upload": b"" for path in lake.unfinished}  # noqa: E731
            yield Place("s3://", lambda: lake.objects | uploads())
    elif kind == "sftp":
        folder = request.getfixturevalue("sftp_folder")
        yield Place(f"sftp://host/{folder.name}/", lambda: files_below(folder))
    elif kind == "memory":
        own = MemoryFileSystem(global_store=False, skip_instance_cache=True)
        with attached(own, kind):
            yield Place("memory://", lambda: memory_files(own))
    else:
        yield Place(
            f"{tmp_path}/" if kind == "path" else f"{kind}://{tmp_path}/", lambda: files_below(tmp_path)
        )


JUNE = "lake/june.csv"
PATHS = [JUNE, "lake/{}/june.csv", "lake/[1]/*.csv", "lake/%20/a b.csv", "a/b/c/d.csv"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("if_exists", ["replace", "fail"])
def test_a_file_appears_when_it_is_whole_and_missing_folders_are_made(
    place: Place, path: str, if_exists: str
) -> None:
    with writing(place.uri + path, if_exists) as file:  # type: ignore[arg-type]
        file.write(b"half" * 1000)
        assert all(name.rpartition("/")[2].startswith(".jobstatus-") for name in place.files())
        file.write(b" and half")
    assert place.files() == {path: b"half" * 1000 + b" and half"}


@pytest.mark.parametrize("place", ["path", "file", "sftp", "memory"], indirect=True)
def test_a_file_may_be_in_no_folder(place: Place) -> None:
    write(f"{place.uri}june.csv")
    assert place.files() == {"june.csv": b"rows"}


def test_the_old_file_stays_until_the_new_one_is_whole(place: Place) -> None:
    write(place.uri + JUNE, b"old")
    with writing(place.uri + JUNE) as file:
        file.write(b"new")
        file.flush() if hasattr(file, "flush") else None
        assert place.files()[JUNE] == b"old"
    assert place.files() == {JUNE: b"new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("size", [0, 500, 2_000_000])
def test_nothing_is_left_of_a_file_that_was_not_finished(
    place: Place, error: type[BaseException], before: bytes | None, size: int
) -> None:
    if before is not None:
        write(place.uri + JUNE, before)
    held = place.files()
    with pytest.raises(error), writing(place.uri + JUNE) as file:  # noqa: PT012
        file.write(b"x" * size)
        raise error
    if hasattr(file, "file"):
        file.file.close()  # as its destructor does
    assert place.files() == held


def test_an_empty_file_is_published(place: Place) -> None:
    write(place.uri + JUNE, b"")
    assert place.files() == {JUNE: b""}


def test_a_file_that_is_there_may_be_protected(place: Place) -> None:
    write(place.uri + JUNE, b"old", if_exists="fail")
    with pytest.raises(DestinationError, match=EXISTS):
        write(place.uri + JUNE, b"new", if_exists="fail")
    assert place.files() == {JUNE: b"old"}


@pytest.mark.parametrize("content", [b"", b"rows", b"x" * 3500])
def test_a_file_that_appears_while_we_write_is_seen_before_ours_is_published(
    place: Place, content: bytes
) -> None:
    with pytest.raises(DestinationError, match=EXISTS), writing(place.uri + JUNE, "fail") as file:  # noqa: PT012
        file.write(content)
        write(place.uri + JUNE, b"theirs")
    assert place.files() == {JUNE: b"theirs"}


def skipping(destination: str, path: str, content: bytes = b"new") -> dict[str, Any]:
    """Write to ``path`` unless a file is there; into a folder, its name is known only then."""

    def write_it() -> dict[str, Any]:
        write(path, content, if_exists="skip")
        return {"path": path, "bytes": len(content)}

    return unless_there(destination, "skip", write_it)


def skipped(path: str, size: int) -> dict[str, Any]:
    unknown = {"rows": None, "sha256": None, "format": None, "verified_by": None}
    return {"path": path, "bytes": size, **unknown, "skipped": True}


@pytest.mark.parametrize("content", [b"", b"old", b"x" * 3500])
@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_is_there_may_be_kept_and_nothing_is_written(
    place: Place, content: bytes, folder: bool
) -> None:
    path = place.uri + JUNE
    destination = place.uri + "lake/" if folder else path
    assert skipping(destination, path, content) == {"path": path, "bytes": len(content)}
    assert skipping(destination, path) == skipped(path, len(content))
    assert place.files() == {JUNE: content}


def test_nothing_is_asked_for_a_file_that_is_kept(place: Place) -> None:
    write(place.uri + JUNE, b"old")
    assert unless_there(place.uri + JUNE, "skip", lambda: pytest.fail("asked")) == skipped(
        place.uri + JUNE, 3
    )


@pytest.mark.parametrize("content", [b"", b"ours", b"x" * 3500])
def test_a_file_that_appears_while_we_write_is_kept(place: Place, content: bytes) -> None:
    def overtaken() -> dict[str, Any]:
        with writing(place.uri + JUNE, "skip") as file:
            file.write(content)
            write(place.uri + JUNE, b"theirs")
        return {}

    assert unless_there(place.uri + JUNE, "skip", overtaken) == skipped(place.uri + JUNE, 6)
    assert place.files() == {JUNE: b"theirs"}


@pytest.mark.parametrize("place", ["path", "file", "sftp", "memory"], indirect=True)
def test_a_folder_is_no_file_to_keep(place: Place) -> None:
    write(place.uri + JUNE, b"old")
    with pytest.raises(DestinationError, match="it is a folder; end it with / to write into it"):
        skipping(f"{place.uri}lake", f"{place.uri}lake")
    assert place.files() == {JUNE: b"old"}


@pytest.mark.parametrize("place", ["path", "file", "sftp", "memory"], indirect=True)
def test_a_folder_is_no_destination_and_says_what_to_do(place: Place) -> None:
    write(place.uri + JUNE, b"old")
    with pytest.raises(DestinationError, match="it is a folder; end it with / to write into it"):
        write(f"{place.uri}lake")
    assert place.files() == {JUNE: b"old"}


# Names


def test_a_destination_that_ends_in_a_slash_is_a_folder() -> None:
    assert resolve("/data/", "failures.csv") == "/data/failures.csv"
    assert resolve("s3://lake/x/", "failures.csv") == "s3://lake/x/failures.csv"
    assert resolve("/data/mine.csv", "failures.csv") == "/data/mine.csv"


@pytest.mark.parametrize("destination", ["", "  ", "\n"])
def test_an_empty_destination_is_refused(destination: str) -> None:
    with pytest.raises(DestinationError, match="destination is empty"):
        resolve(destination, "failures.csv")


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("rows.csv")
    write("a/rows.csv")
    assert everything(tmp_path) == ["a", "a/rows.csv", "rows.csv"]


@pytest.mark.parametrize("name", ["with space.csv", "käse.csv", "50%25.csv", "a#b?c.csv", "x" * 200 + ".csv"])
def test_a_name_with_odd_characters_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"rows"


# Disks


@pytest.mark.parametrize(
    ("umask", "before", "mode"),
    [
        (0o022, None, 0o644),
        (0o007, None, 0o660),
        (0o137, None, 0o640),
        (0o000, None, 0o666),
        (0o022, 0o600, 0o600),
        (0o077, 0o664, 0o664),
        (0o022, 0o4755, 0o755),
    ],
)
@pytest.mark.parametrize("if_exists", ["replace", "fail"])
def test_a_local_file_gets_its_mode_when_it_is_published(
    umask: int, before: int | None, mode: int, if_exists: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    if before is not None:
        path.touch()
        path.chmod(before)
        if_exists = "replace"
    former = os.umask(umask)
    try:
        with writing(str(path), if_exists) as file:  # type: ignore[arg-type]
            file.write(b"rows")
            (part,) = tmp_path.glob(".*.part")
            assert stat.S_IMODE(part.stat().st_mode) == 0o600
    finally:
        assert os.umask(former) == umask
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert everything(tmp_path) == ["rows.csv"]


def test_a_disk_without_modes_takes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.fchmod", refused)
    write(tmp_path / "rows.csv")
    assert everything(tmp_path) == ["rows.csv"]


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DestinationError) as caught:
        write(tmp_path / "file" / "rows.csv")
    assert str(tmp_path / "file" / "rows.csv") in str(caught.value)
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "OSError: No space left"),
        (OSError(), "OSError: no reason given"),
    ],
)
def test_a_disk_that_fails_leaves_nothing_and_says_why(tmp_path: Path, error: OSError, reason: str) -> None:
    with pytest.raises(DestinationError, match=reason), writing(str(tmp_path / "rows.csv")):
        raise error
    assert everything(tmp_path) == []


# Storages that refuse, and those that there are not


@pytest.mark.parametrize("when", ["upload", "commit"])
def test_an_object_storage_that_refuses_is_a_destination_error(when: str) -> None:
    with attached(ObjectStorage("commit", refuses=when)) as lake:
        with pytest.raises(DestinationError, match=r"s3://bucket/rows\.csv: PermissionError: Access"):
            write("s3://bucket/rows.csv")
        assert (lake.objects, lake.unfinished) == ({}, [])


@pytest.mark.parametrize(
    ("uri", "fix"),
    [
        ("gs://lake/rows.csv", r"pip install 'airflow-provider-jobstatus\[gcs\]'"),
        ("abfs://lake@account/rows.csv", r"pip install 'airflow-provider-jobstatus\[azure\]'"),
        ("sftp://conn@host/rows.csv", r"pip install 'apache-airflow-providers-sftp\[sshfs\]'"),
        ("s4://lake/rows.csv", "check the scheme"),
        ("flie:///tmp/rows.csv", "check the scheme"),
    ],
)
def test_a_filesystem_that_is_not_installed_says_what_to_do(uri: str, fix: str) -> None:
    with pytest.raises(DestinationError, match=f"no filesystem for {uri.partition(':')[0]}:// .*{fix}"):
        write(uri)
