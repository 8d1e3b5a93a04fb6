"""Files of this machine: links, what is no file, two writers at once, disks that can do less than others."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.destination import check_destination, resolve, writing
from airflow_provider_jobstatus.files.places import uri_caveat
from airflow_provider_jobstatus.files.steps import stop
from tests.support.storage import everything, write

# Links


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A folder with the file ``june.csv`` and, beside it, a folder of links."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "june.csv").write_bytes(b"old")
    (tmp_path / "links").mkdir()
    return tmp_path


LINKS = {
    "to a file": ("latest.csv", "../lake/june.csv", "latest.csv"),
    "to a file, from the root": ("latest.csv", "{root}/lake/june.csv", "latest.csv"),
    "to a folder": ("latest", "../lake", "latest/june.csv"),
    "to a folder, and up again": ("latest", "../lake", "latest/../lake/june.csv"),
}


@pytest.mark.parametrize(("link", "leads_to", "path"), LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("if_exists", ["replace", "fail"])
def test_a_link_is_followed_and_stays(
    lake: Path, link: str, leads_to: str, path: str, if_exists: str
) -> None:
    (lake / "links" / link).symlink_to(leads_to.format(root=lake))
    if if_exists == "fail":
        with pytest.raises(DestinationError, match="exists already"):
            write(lake / "links" / path, if_exists="fail")
        (lake / "lake" / "june.csv").unlink()
    write(lake / "links" / path, b"new", if_exists=if_exists)
    assert (lake / "links" / link).is_symlink()
    assert (lake / "lake" / "june.csv").read_bytes() == b"new"
    assert everything(lake) == ["lake", "lake/june.csv", "links", f"links/{link}"]


def test_links_to_links_are_followed(lake: Path) -> None:
    for number in range(30):
        (lake / "links" / f"{number}").symlink_to(f"{number + 1}")
    (lake / "links" / "30").symlink_to("../lake/june.csv")
    write(lake / "links" / "0", b"new")
    assert (lake / "lake" / "june.csv").read_bytes() == b"new"


def test_a_link_to_nothing_leads_to_a_new_file(lake: Path) -> None:
    (lake / "links" / "july.csv").symlink_to("../new/july.csv")
    write(lake / "links" / "july.csv")
    assert (lake / "new" / "july.csv").read_bytes() == b"rows"
    assert (lake / "links" / "july.csv").is_symlink()


def test_a_link_to_itself_is_refused(lake: Path) -> None:
    (lake / "links" / "june.csv").symlink_to("june.csv")
    with pytest.raises(DestinationError, match="OSError: Too many levels of symbolic links"):
        write(lake / "links" / "june.csv")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o772])
@pytest.mark.parametrize(("link", "leads_to", "path"), LINKS.values(), ids=LINKS)
def test_a_link_that_anybody_may_have_made_is_refused(
    lake: Path, link: str, leads_to: str, path: str, mode: int
) -> None:
    (lake / "links" / link).symlink_to(leads_to.format(root=lake))
    (lake / "links").chmod(mode)
    with pytest.raises(DestinationError, match=f"links/{link} is a symbolic link in a folder that everybody"):
        write(lake / "links" / path)
    assert (lake / "lake" / "june.csv").read_bytes() == b"old"
    assert everything(lake) == ["lake", "lake/june.csv", "links", f"links/{link}"]


def test_a_link_behind_a_link_is_judged_by_its_own_folder(lake: Path) -> None:
    (lake / "links" / "first.csv").symlink_to("../shared/second.csv")
    (lake / "shared").mkdir()
    (lake / "shared" / "second.csv").symlink_to("../lake/june.csv")
    (lake / "shared").chmod(0o777)
    with pytest.raises(DestinationError, match=r"shared/second\.csv is a symbolic link"):
        write(lake / "links" / "first.csv")


def test_a_file_in_a_folder_that_everybody_may_write_to_is_written(lake: Path) -> None:
    (lake / "lake").chmod(0o777)
    write(lake / "lake" / "june.csv", b"new")
    assert (lake / "lake" / "june.csv").read_bytes() == b"new"


# What is no file


def made(folder: Path, kind: str) -> Path:
    path = folder / kind
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "a device":
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            # Never the machine's own: a fault in what is tested would replace it.
            pytest.skip("only root may make a device")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["a device", "a named pipe", "a socket", "a folder"])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("if_exists", ["replace", "fail"])
def test_what_is_no_file_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, linked: bool, if_exists: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = made(Path(), kind)
    before = path.lstat()
    if linked:
        Path("link").symlink_to(path)
        path = Path("link")
    for refuse in (lambda: write(path, if_exists=if_exists), lambda: check_destination(str(path))):
        with pytest.raises(DestinationError, match=f"^cannot write {path}: it is {kind}"):
            refuse()
    after = Path(kind).lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert len(everything(tmp_path)) == 1 + linked


# The home folder


@pytest.mark.parametrize(
    ("destination", "path"),
    [
        ("~/june.csv", "{home}/june.csv"),
        ("~/lake/", "{home}/lake/july.csv"),
        ("file://~/june.csv", "file://{home}/june.csv"),
        ("file://localhost/lake/", "file:///lake/july.csv"),
        ("file://mine@/lake/june.csv", "file:///lake/june.csv"),
        (Path("~/june.csv"), "{home}/june.csv"),
    ],
)
def test_a_destination_becomes_a_path_that_the_next_task_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: object, path: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(destination, "july.csv") == path.format(home=tmp_path)


def test_a_home_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write("~/june.csv")
    write(f"file://localhost{tmp_path}/july.csv")
    assert everything(tmp_path) == ["home", "home/june.csv", "july.csv"]


@pytest.mark.parametrize("path", ["~no-such-user/june.csv", "~no-such-user", "$HOME/june.csv", "file://x/y"])
def test_an_unknown_form_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for refuse in (write, check_destination, lambda path: resolve(path, "x")):
        with pytest.raises(DestinationError):
            refuse(path)
    assert everything(tmp_path) == []


def test_an_escape_in_a_local_uri_is_warned_about_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"file://{tmp_path}/a%20b.csv"
    check_destination(uri)
    write(uri)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages == [uri_caveat(uri)]
    assert everything(tmp_path) == ["a%20b.csv"]


# Two writers, and disks that can do less than others


def no_links(number: int) -> Any:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


DISKS = [None, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EACCES]


@pytest.fixture(params=DISKS, ids=lambda number: errno.errorcode.get(number, "with hard links"))
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A disk that has hard links, or answers in one of the ways in which others say that they have none."""
    if request.param:
        monkeypatch.setattr("os.link", no_links(request.param))
    return tmp_path


@pytest.mark.parametrize("moment", ["os.close", "os.replace"])
def test_a_task_that_is_told_to_stop_while_a_name_is_taken_publishes_first(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", no_links(errno.EPERM))
    go_on = getattr(os, moment.removeprefix("os."))

    def told(*arguments: object) -> object:
        if (tmp_path / "june.csv").exists():
            stop(SystemExit())
        return go_on(*arguments)

    monkeypatch.setattr(moment, told)
    with pytest.raises(SystemExit):
        write(tmp_path / "june.csv", if_exists="fail")
    monkeypatch.undo()

    assert everything(tmp_path) == ["june.csv"]
    assert (tmp_path / "june.csv").read_bytes() == b"rows"


def test_of_two_who_must_not_replace_the_first_to_end_wins(disk: Path) -> None:
    path = disk / "june.csv"
    with ExitStack() as others:
        file = others.enter_context(writing(str(path), "fail"))
        write(path, b"first", if_exists="fail")
        file.write(b"second")
        with pytest.raises(DestinationError, match=r"june\.csv exists already, and if_exists is 'fail'"):
            others.close()
    assert path.read_bytes() == b"first"
    assert everything(disk) == ["june.csv"]


@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_what_appears_while_we_write_stays(disk: Path, kind: str) -> None:
    path = disk / "june.csv"
    with pytest.raises(DestinationError, match="exists already"), writing(str(path), "fail"):  # noqa: PT012
        if kind == "file":
            path.write_bytes(b"")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("nothing")
    assert everything(disk) == ["june.csv"]
    assert not path.is_file() or path.read_bytes() == b""


def test_a_new_file_is_whole_and_ours_alone(disk: Path) -> None:
    write(disk / "june.csv", b"all of it", if_exists="fail")
    assert (disk / "june.csv").read_bytes() == b"all of it"
    assert (disk / "june.csv").stat().st_nlink == 1
    assert everything(disk) == ["june.csv"]
    (disk / "theirs").touch()
    assert (disk / "june.csv").stat().st_mode == (disk / "theirs").stat().st_mode


def test_a_name_that_was_taken_for_nothing_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", no_links(errno.EPERM))
    monkeypatch.setattr("os.replace", no_links(errno.ENOSPC))
    with pytest.raises(DestinationError, match="No space left"):
        write(tmp_path / "june.csv", if_exists="fail")
    assert everything(tmp_path) == []


def test_a_link_that_was_made_although_the_answer_was_lost_is_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr("os.link", twice)
    write(tmp_path / "june.csv", if_exists="fail")
    assert everything(tmp_path) == ["june.csv"]
    assert (tmp_path / "june.csv").read_bytes() == b"rows"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO, errno.EACCES, errno.ENOTSUP])
@pytest.mark.parametrize("if_exists", ["replace", "fail"])
def test_a_folder_that_cannot_be_synced_fails_no_file_that_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, if_exists: str
) -> None:
    sync = os.fsync

    def files_only(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr("os.fsync", files_only)
    write(tmp_path / "june.csv", if_exists=if_exists)
    assert (tmp_path / "june.csv").read_bytes() == b"rows"
    assert everything(tmp_path) == ["june.csv"]


def test_a_folder_that_cannot_be_read_takes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    opened = os.open

    def no_reading(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if Path(path) == drop:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr("os.open", no_reading)
    monkeypatch.setattr("os.scandir", no_links(errno.EACCES))
    write(drop / "june.csv")
    monkeypatch.undo()
    assert everything(drop) == ["june.csv"]
