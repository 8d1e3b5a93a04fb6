"""Where a download goes, and that nothing but a whole one stays there."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import resolve, writing
from tests.support.storage import ObjectStorage, attached


def write(path: str, content: bytes = b"rows", **options: Any) -> None:
    with writing(path, **options) as file:
        file.write(content)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_destination_that_ends_in_a_slash_is_a_folder() -> None:
    assert resolve("/data/", "failures.csv") == "/data/failures.csv"
    assert resolve("s3://lake/x/", "failures.csv") == "s3://lake/x/failures.csv"
    assert resolve("/data/mine.csv", "failures.csv") == "/data/mine.csv"


@pytest.mark.parametrize("destination", ["", "  ", "\n"])
def test_an_empty_destination_is_refused(destination: str) -> None:
    with pytest.raises(DestinationError, match="destination is empty"):
        resolve(destination, "failures.csv")


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_a_local_file_is_written_and_missing_folders_are_made(tmp_path: Path, scheme: str) -> None:
    write(f"{scheme}{tmp_path}/a/b/rows.csv")
    assert (tmp_path / "a/b/rows.csv").read_bytes() == b"rows"
    assert everything(tmp_path) == ["a", "a/b", "a/b/rows.csv"]


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("rows.csv")
    write("a/rows.csv")
    assert everything(tmp_path) == ["a", "a/rows.csv", "rows.csv"]


def test_a_name_with_odd_characters_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("with space.csv", "käse.csv", "50%25.csv", "a#b?c.csv", "x" * 200 + ".csv"):
        write(str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == b"rows"


def test_a_local_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write(str(tmp_path / "rows.csv"))
    (tmp_path / "open.csv").write_bytes(b"old")
    (tmp_path / "open.csv").chmod(0o666)
    write(str(tmp_path / "open.csv"))
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_temporary_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with writing(str(tmp_path / "rows.csv")):
        (part,) = tmp_path.iterdir()
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        assert part.name.endswith(".part")


def test_an_existing_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with writing(str(path)) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert everything(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), writing(str(tmp_path / "rows.csv")) as file:  # noqa: PT012
        file.write(b"x" * 2_000_000)
        raise error
    assert everything(tmp_path) == []


def test_an_unfinished_file_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), writing(str(path)):
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert everything(tmp_path) == ["rows.csv"]


def test_an_existing_file_may_be_protected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write(str(path), b"old", if_exists="fail")
    with pytest.raises(DestinationError, match="exists already, and if_exists is 'fail'"):
        write(str(path), b"new", if_exists="fail")
    assert path.read_bytes() == b"old"


def test_a_folder_is_no_destination_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="it is a folder; end it with / to write into it"):
        write(str(tmp_path))
    assert everything(tmp_path) == []


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DestinationError) as caught:
        write(str(tmp_path / "file" / "rows.csv"))
    assert str(tmp_path / "file" / "rows.csv") in str(caught.value)
    assert everything(tmp_path) == ["file"]


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(DestinationError, match="OSError: No space left"),
        writing(str(tmp_path / "rows.csv")),
    ):
        raise OSError(28, "No space left on device")
    assert everything(tmp_path) == []


def test_an_error_without_a_reason_says_so_and_not_none(tmp_path: Path) -> None:
    with (
        pytest.raises(DestinationError, match="OSError: no reason given"),
        writing(str(tmp_path / "rows.csv")),
    ):
        raise OSError


@pytest.fixture(params=["commit", "close"])
def lake(request: pytest.FixtureRequest) -> Iterator[ObjectStorage]:
    """An object storage under the scheme ``s3``, of either kind."""
    with attached(ObjectStorage(published_by=request.param)) as storage:
        yield storage


def test_an_object_is_published_when_it_is_whole(lake: ObjectStorage) -> None:
    with writing("s3://bucket/2026/rows.csv") as file:
        for _ in range(3):
            file.write(b"x" * ObjectStorage.part_bytes)
        assert lake.objects == {}
    assert lake.objects == {"bucket/2026/rows.csv": b"x" * 3 * ObjectStorage.part_bytes}


def test_an_object_without_a_byte_is_published(lake: ObjectStorage) -> None:
    write("s3://bucket/rows.csv", b"")
    assert lake.objects == {"bucket/rows.csv": b""}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("parts", [0.5, 3.5])
def test_no_object_is_published_of_what_was_not_finished(
    lake: ObjectStorage, error: type[BaseException], parts: float
) -> None:
    with pytest.raises(error), writing("s3://bucket/rows.csv") as file:  # noqa: PT012
        file.write(b"x" * int(parts * ObjectStorage.part_bytes))
        raise error
    file.file.close()  # type: ignore[attr-defined]  # as its destructor does
    assert lake.objects == {}
    assert lake.unfinished == []


def test_an_existing_object_is_replaced_only_when_the_new_one_is_whole(lake: ObjectStorage) -> None:
    write("s3://bucket/rows.csv", b"old")
    with pytest.raises(RuntimeError), writing("s3://bucket/rows.csv") as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError
    file.file.close()  # type: ignore[attr-defined]
    assert lake.objects == {"bucket/rows.csv": b"old"}
    write("s3://bucket/rows.csv", b"new")
    assert lake.objects == {"bucket/rows.csv": b"new"}


def test_an_existing_object_may_be_protected(lake: ObjectStorage) -> None:
    write("s3://bucket/rows.csv", b"old", if_exists="fail")
    with pytest.raises(DestinationError, match=r"s3://bucket/rows\.csv exists already"):
        write("s3://bucket/rows.csv", b"new", if_exists="fail")
    assert lake.objects == {"bucket/rows.csv": b"old"}


@pytest.mark.parametrize("when", ["upload", "commit"])
def test_an_object_storage_that_refuses_is_a_destination_error(when: str) -> None:
    with attached(ObjectStorage(published_by="commit", refuses=when)) as lake:
        with pytest.raises(DestinationError, match=r"s3://bucket/rows\.csv: PermissionError: Access"):
            write("s3://bucket/rows.csv")
        assert lake.objects == {}


def test_an_object_goes_through_a_filesystem_of_fsspec() -> None:
    with attached(MemoryFileSystem(), "memory") as memory:
        write("memory://bucket/a/rows.csv")
        assert memory.cat("/bucket/a/rows.csv") == b"rows"
        memory.store.clear()


@pytest.mark.parametrize(
    ("uri", "extra"),
    [
        ("gs://lake/rows.csv", "gcs"),
        ("abfs://lake@account/rows.csv", "azure"),
    ],
)
def test_a_filesystem_that_is_not_installed_names_the_extra(uri: str, extra: str) -> None:
    fix = (
        rf"no filesystem for {uri.partition(':')[0]}:// .*pip install 'airflow-provider-jobstatus\[{extra}\]'"
    )
    with pytest.raises(DestinationError, match=fix):
        write(uri)


@pytest.mark.parametrize("uri", ["s4://lake/rows.csv", "flie:///tmp/rows.csv"])
def test_a_scheme_with_a_typing_mistake_says_to_check_it(uri: str) -> None:
    with pytest.raises(DestinationError, match=r"no filesystem for .*; check the scheme"):
        write(uri)
