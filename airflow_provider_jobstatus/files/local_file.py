"""A file of this machine: written beside its destination, and renamed once it is complete."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from airflow_provider_jobstatus.exceptions import DestinationError
from airflow_provider_jobstatus.files.steps import ended_first

log = logging.getLogger(__name__)

#: Age, in seconds, at which a part that was never finished is removed.
STALE_AFTER = 86_400.0
#: As many symbolic links as Linux follows in one path.
MAX_LINKS = 40
_KINDS = {
    stat.S_IFDIR: "a folder; end it with / to write into it",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def check_kind(path: Path) -> None:
    """
    Refuse to replace what is no file.

    :raises DestinationError: there is a folder, a device, a pipe or a socket.
    """
    try:
        # Through links: /dev/stdout is one, and what it leads to is a name in no folder.
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # nothing is there; or it cannot be inspected, and then not be written either
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise DestinationError(f"cannot write {path}: it is {kind}")


def local_size(path: Path) -> int | None:
    """
    Return the size of the file that is there, in bytes, or None without one.

    :raises DestinationError: as :func:`local_file` does.
    """
    check_kind(path)
    try:
        return _followed(path).stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def local_file(path: Path, if_exists: str) -> Iterator[BinaryIO]:
    """
    Open ``path`` for writing; publish it if the ``with`` ends well, else leave nothing.

    A symbolic link is followed, and stays. While it is written, the file is readable by its owner only; when
    it is published, it gets the mode of the file that it replaces, or that the umask gives.

    :raises DestinationError: it is no file, a link that anybody may have made, or is there and may not be
        replaced.
    :raises OSError: it cannot be written.
    """
    check_kind(path)
    target = _followed(path)
    if if_exists != "replace" and target.exists():
        raise DestinationError.of_existing(str(path), if_exists)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    part = _part_of(target)
    try:
        # Readable by the owner only until it is verified.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            _open_up(file.fileno(), target)
            os.fsync(file.fileno())
        if if_exists == "replace":
            os.replace(part, target)
        else:
            try:
                _publish_new(part, target)
            except FileExistsError:
                raise DestinationError.of_existing(str(path), if_exists) from None
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _sync_folder(target.parent)


def _part_of(target: Path) -> Path:
    return target.with_name(f".jobstatus-{uuid.uuid4().hex}.part")


def _open_up(handle: int, target: Path) -> None:
    """Give the file of ``handle`` the mode that others expect of ``target``."""
    try:
        mode = stat.S_IMODE(target.stat().st_mode) & 0o777
    except FileNotFoundError:
        mode = _mode_of_new(target)
    if stat.S_IMODE(os.fstat(handle).st_mode) == mode:
        return
    try:
        os.fchmod(handle, mode)
    except OSError as error:  # a disk without modes, or with one for all files
        log.warning("%s keeps its mode (%s)", target, error.strerror)


def _mode_of_new(target: Path) -> int:
    """
    Return the mode that a new file beside ``target`` gets.

    The umask can only be read by setting it, for all threads; ``/proc`` has it on Linux alone; and a folder's
    default ACL or the options of a mount may overrule it. So an empty file is made and removed.
    """
    sample = _part_of(target)
    try:
        sample.touch(0o666, exist_ok=False)
        return stat.S_IMODE(sample.stat().st_mode)
    finally:
        sample.unlink(missing_ok=True)


def _publish_new(part: Path, target: Path) -> None:
    """
    Give ``part`` the name ``target``, which nothing may have: of two writers, the second fails.

    :raises FileExistsError: something has it.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        # NFS may report this for a link that it has just made, if its first reply was lost.
        if not os.path.samestat(part.lstat(), target.lstat()):
            raise
    except OSError:
        # No hard links here. An empty file takes the name, which is then replaced at once.
        with ended_first():
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                os.replace(part, target)
            except BaseException:
                with suppress(OSError):
                    target.unlink()
                raise
        return
    with suppress(OSError):
        part.unlink()


def _followed(path: Path) -> Path:
    """
    Return where ``path`` leads, through links in any of its folders.

    :raises DestinationError: a link stands in a folder that everybody may write to.
    :raises OSError: links lead in a circle.
    """
    links = 0
    reached = Path("/") if path.is_absolute() else Path.cwd()
    ahead = list(reversed(path.parts))
    while ahead:
        name = ahead.pop()
        step = reached / name
        if name == ".." or not step.is_symlink():
            reached = reached.parent if name == ".." else step
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if reached.stat().st_mode & stat.S_IWOTH:
            raise DestinationError(
                f"cannot write {path}: {step} is a symbolic link in a folder that everybody may write to, so "
                "it may lead anywhere; give the path that it leads to"
            )
        ahead += reversed(Path(os.readlink(step)).parts)
    return reached


def _sweep(folder: Path) -> None:
    """Remove the parts that killed workers have left."""
    # A folder may be open for writing only.
    with suppress(OSError):
        for stale in folder.glob(".jobstatus-*.part"):
            with suppress(OSError):
                if stale.stat().st_mtime < time.time() - STALE_AFTER:
                    stale.unlink()


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that a power cut cannot undo the new name; the file is there in any case."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        log.warning("%s cannot be synced (%s): a power cut may undo what was written", folder, error.strerror)
