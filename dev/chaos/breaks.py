"""How a download is broken, and what may be there afterwards."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from dev.chaos.places import NAME, THEIRS

MIB = 1024 * 1024
#: The least that S3 takes, so that a small body has two parts.
PART = 5 * MIB
ROW = b'4711,"Invalid ""phone"" number"\r\n'
BODY = b"row,error\r\n" + ROW * (PART // len(ROW) + 2000)
OLD = b"old"
CUTS = (0, 1, PART, len(BODY) - 1)
#: What breaks where, and how often of ten.
BREAKS = {
    "stream": (4, ("disk", "s3", "sftp", "memory")),
    "disk full": (1, ("disk", "sftp")),
    "connection to the server lost": (1, ("sftp",)),
    "SIGTERM": (2, ("disk", "s3", "sftp")),
    "kill -9": (2, ("disk", "s3", "sftp")),
}
SIGNALS = {"SIGTERM": signal.SIGTERM, "kill -9": signal.SIGKILL}
#: Exit codes of a worker: the file is there; an error of ours; told to stop. An unexpected error is 1.
PUBLISHED, FAILED, STOPPED = 0, 2, 3
ENDS = {"SIGTERM": (PUBLISHED, STOPPED, -signal.SIGTERM), "kill -9": (PUBLISHED, -signal.SIGKILL)}
#: What must not be.
WRONG = "destinations that are neither as before nor whole"
LEFT = "parts and uploads left behind"
TOUCHED = "files of others touched"
ODD = "workers that ended otherwise than they should"


def faults(kind: str, before: bytes | None, held: Mapping[str, bytes], code: int) -> list[str]:
    """Return what is wrong after a break.

    :param before: the destination's content, None without one
    :param held: all that is there now
    :param code: the worker's exit code
    """
    now = held.get(NAME)
    # A signal may come, and a connection be lost, after the last step.
    allowed = [before] if kind in ("stream", "disk full") else [before, BODY]
    found = []
    if now not in allowed or (code == PUBLISHED and now != BODY):
        found.append(WRONG)
    if kind != "kill -9" and held.keys() - THEIRS.keys() - {NAME}:
        found.append(LEFT)
    if any(held.get(name) != content for name, content in THEIRS.items()):
        found.append(TOUCHED)
    if code not in ENDS.get(kind, (FAILED,)):
        found.append(ODD)
    return found
