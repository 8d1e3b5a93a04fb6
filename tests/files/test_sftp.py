"""A server that speaks SFTP and does not do what it is asked, or loses the connection."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import unless_there, writing
from tests.support.storage import everything, write

if TYPE_CHECKING:
    from tests.support.sftp_server import SftpServer

OLD = pytest.mark.parametrize("old", [None, b"old"], ids=["nothing there", "a file there"])
STEPS = ["open", "write", "close", "stat", "rename"]


def address(folder: Path) -> str:
    return f"sftp://host/{folder.name}/june.csv"


def prepared(folder: Path, old: bytes | None) -> dict[str, bytes]:
    if old is not None:
        (folder / "june.csv").write_bytes(old)
    return held(folder)


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def at(step: str, error: BaseException, times: int = 1) -> object:
    """Return what raises ``error`` before the step, so many times."""
    left = [error] * times

    def before(name: str) -> None:
        if name == step and left:
            raise left.pop()

    return before


def test_the_filesystem_is_installed_and_nothing_of_this_is_skipped() -> None:
    __import__("sshfs")


@OLD
@pytest.mark.parametrize("step", [step for step in STEPS if step != "stat"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Not allowed"), "SFTPPermissionDenied: Not allowed"),
        (OSError(errno.EIO, "Input/output error"), "SFTPFailure: Input/output error"),
    ],
)
def test_what_the_server_refuses_is_said_and_leaves_nothing(
    sftp: SftpServer, sftp_folder: Path, step: str, error: OSError, said: str, old: bytes | None
) -> None:
    before = prepared(sftp_folder, old)
    sftp.before = at(step, error)  # type: ignore[assignment]
    with pytest.raises(DestinationError, match=f"^cannot write {address(sftp_folder)}: {said}$"):
        write(address(sftp_folder))
    assert held(sftp_folder) == before


@OLD
@pytest.mark.parametrize("step", STEPS)
def test_a_connection_that_is_lost_leaves_nothing(
    sftp: SftpServer, sftp_folder: Path, step: str, old: bytes | None
) -> None:
    before = prepared(sftp_folder, old)
    sftp.before = at(step, ConnectionResetError())  # type: ignore[assignment]
    with pytest.raises(DestinationError, match="Connection"):
        write(address(sftp_folder))
    assert held(sftp_folder) == before


@OLD
@pytest.mark.parametrize("room", [0, 1, 100_000, 299_999])
def test_a_full_disk_of_the_server_leaves_nothing(
    sftp: SftpServer, sftp_folder: Path, room: int, old: bytes | None
) -> None:
    before = prepared(sftp_folder, old)
    sftp.room = room
    with pytest.raises(DestinationError, match="No space left on device"):
        write(address(sftp_folder), b"x" * 300_000)
    assert held(sftp_folder) == before


@OLD
def test_bytes_that_the_server_has_lost_are_noticed(
    sftp: SftpServer, sftp_folder: Path, old: bytes | None
) -> None:
    before = prepared(sftp_folder, old)
    sftp.loses = 1
    with pytest.raises(DestinationError, match="3 of 4 bytes have arrived, and no error told so"):
        write(address(sftp_folder))
    assert held(sftp_folder) == before


@pytest.mark.parametrize("if_exists", ["replace", "fail", "skip"])
def test_a_server_that_cannot_rename_onto_a_file_makes_new_ones(
    sftp: SftpServer, sftp_folder: Path, if_exists: str
) -> None:
    sftp.renames_onto_files = False
    write(address(sftp_folder), if_exists=if_exists)
    assert held(sftp_folder) == {"june.csv": b"rows"}


def test_a_server_that_cannot_rename_onto_a_file_keeps_the_old_one(
    sftp: SftpServer, sftp_folder: Path
) -> None:
    before = prepared(sftp_folder, b"old")
    sftp.renames_onto_files = False
    with pytest.raises(DestinationError, match="the server cannot rename onto a file that is there; remove"):
        write(address(sftp_folder))
    assert held(sftp_folder) == before


@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_what_appears_after_the_last_look_stays(sftp: SftpServer, sftp_folder: Path, if_exists: str) -> None:
    def appears(step: str) -> None:
        if step == "rename":
            (sftp_folder / "june.csv").write_bytes(b"theirs")

    sftp.before = appears
    with pytest.raises(DestinationError, match=f"exists already, and if_exists is '{if_exists}'"):
        write(address(sftp_folder), if_exists=if_exists)
    assert held(sftp_folder) == {"june.csv": b"theirs"}


def test_a_file_on_the_server_is_kept_and_its_size_is_known(sftp_folder: Path) -> None:
    prepared(sftp_folder, b"old")
    manifest = unless_there(address(sftp_folder), "skip", dict)
    assert (manifest["bytes"], manifest["skipped"]) == (3, True)


def test_a_part_is_there_until_the_file_is_whole(sftp_folder: Path) -> None:
    with writing(address(sftp_folder)) as file:
        file.write(b"rows")
        (part,) = everything(sftp_folder)
        assert part.startswith(".jobstatus-")
    assert everything(sftp_folder) == ["june.csv"]
