"""A file that is uploaded is the one that was checked."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.exceptions import BadSettings, NotSubmitted
from airflow_provider_jobstatus.files.upload_source import PIECE_BYTES, UploadBytes, UploadFile
from tests.support.storage import attached

CONTENT = b"a,b\r\n1,2\r\n" * 60_000
MARK = b"\xef\xbb\xbf"
#: A local file whose last change is some time ago, one that was written just now, and one in a storage.
PLACES = ["old", "new", "memory"]


class Place:
    """Where a file is that is uploaded."""

    def __init__(self, kind: str, folder: Path, storage: MemoryFileSystem) -> None:
        self._storage = storage if kind == "memory" else None
        self._path = folder / "upload.csv"
        self.source = "memory://uploads/upload.csv" if self._storage else str(self._path)

    def write(self, content: bytes) -> None:
        if self._storage:
            self._storage.pipe_file("/uploads/upload.csv", content)
        else:
            self._path.write_bytes(content)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "old":
        later = time.time() + 60
        monkeypatch.setattr(time, "time", lambda: later)
    storage = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    with attached(storage, "memory"):
        yield Place(request.param, tmp_path, storage)


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("mark", [b"", MARK])
def test_a_file_is_read_twice_and_sent_without_its_mark(place: Place, mark: bytes) -> None:
    content = mark + CONTENT
    place.write(content)
    file = UploadFile(place.source)
    pieces = list(file.checked())
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == PIECE_BYTES
    assert (file.length, b"".join(file.chunks())) == (len(CONTENT), CONTENT)
    # A renewed token sends it once more.
    assert b"".join(file.chunks()) == CONTENT


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("changed", [CONTENT[:-1] + b"x", CONTENT + b"x", CONTENT[:-1], b""])
def test_a_file_that_has_changed_since_is_not_sent_to_its_end(place: Place, changed: bytes) -> None:
    place.write(CONTENT)
    file = UploadFile(place.source)
    list(file.checked())
    place.write(changed)
    sent: list[bytes] = []
    with pytest.raises(SettingsError, match="has changed since it was checked"):
        sent.extend(file.chunks())
    assert sum(map(len, sent)) <= file.length


@pytest.mark.parametrize("place", PLACES[:2], indirect=True)
def test_a_file_that_changes_while_it_is_checked_is_not_uploaded(place: Place) -> None:
    place.write(CONTENT)
    pieces = UploadFile(place.source).checked()
    next(pieces)
    place.write(CONTENT)
    with pytest.raises(NotSubmitted, match="it changes while it is read; nothing was sent"):
        list(pieces)


@pytest.mark.parametrize("missing", ["{}/none.csv", "memory://uploads/none.csv"])
def test_what_cannot_be_read_may_be_there_at_the_next_try(missing: str, tmp_path: Path) -> None:
    storage = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    with attached(storage, "memory"), pytest.raises(NotSubmitted, match="cannot be read"):
        list(UploadFile(missing.format(tmp_path)).checked())


def test_a_pipe_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(BadSettings, match="is no file; nothing was sent"):
            list(UploadFile(source).checked())


@pytest.mark.parametrize("source", ["", None, 7, "nowhere://x/y", "$HOME/x", "file://other/x"])
def test_what_is_no_place_is_refused(source: object) -> None:
    with pytest.raises(BadSettings) as caught:
        UploadFile(source)
    assert "destination" not in str(caught.value)


def test_bytes_are_sent_in_pieces() -> None:
    content = UploadBytes(CONTENT)
    assert b"".join(content.chunks()) == b"".join(content.checked()) == CONTENT
    assert max(map(len, content.chunks())) == PIECE_BYTES
