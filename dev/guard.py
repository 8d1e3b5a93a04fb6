"""Ends the processes of a session, even if the process that started them was killed.

Every Airflow component is the leader of a session of its own. Airflow 3.3 puts each task into a process group
of its own, so a group does not hold everything that a component started: a session does.

Run as a program this is the guard: it is told on stdin which sessions exist (`+<id>`, `-<id>`, one a line),
and when stdin closes, because its owner closed it or was killed, it ends those that are left. Standard
library only, and nothing from this package: it is started by its path.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self


class Guard:
    """A process of its own that ends the sessions it was told of, should this one die."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def add(self, session: int) -> None:
        """Watch over a session."""
        self._tell(f"+{session}")

    def remove(self, session: int) -> None:
        """Forget a session that has ended."""
        self._tell(f"-{session}")

    def close(self) -> None:
        """End the sessions that are left, and the guard."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


class Guarded(ABC):
    """Processes that last as long as a context, and no longer, even if this process is killed."""

    _guard: Guard | None = None

    def __enter__(self) -> Self:
        self._guard = Guard()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start the processes, each with :meth:`run_guarded`."""

    def stop(self) -> None:
        """End what is left; harmless if there is nothing."""
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def run_guarded(self, command: Sequence[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start a process as the leader of a session of its own.

        :param log: file to which its output is appended
        :param options: more of Popen's
        """
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        if self._guard is not None:
            self._guard.add(process.pid)
        return process


def end_sessions(sessions: Collection[int], grace: float) -> None:
    """End every process of these sessions: asks their leaders, and after `grace` ends what is left.

    :param sessions: session ids, each the process id of its leader
    :param grace: seconds that the leaders have for a clean stop
    """
    for leader in sessions:
        _send(leader, signal.SIGTERM)
    if not _wait_until_gone(sessions, grace):
        kill_sessions(sessions)


def kill_sessions(sessions: Collection[int]) -> None:
    """End every process of these sessions at once, as a crash would.

    :param sessions: session ids, each the process id of its leader
    """
    # Twice: a process may have started another one while the list was read.
    for _ in range(2):
        for pid in session_members(sessions):
            _send(pid, signal.SIGKILL)
        if _wait_until_gone(sessions, 5.0):
            return


def signal_sessions(sessions: Collection[int], number: signal.Signals) -> None:
    """Send a signal to every process of these sessions."""
    for pid in session_members(sessions):
        _send(pid, number)


def session_members(sessions: Collection[int]) -> list[int]:
    """Return the ids of the living processes of these sessions."""
    return [pid for pid, session in _living_processes() if session in sessions]


def _living_processes() -> Iterator[tuple[int, int]]:
    """Yield process id and session id of every process that is not a zombie."""
    proc = Path("/proc")
    if (proc / "self" / "stat").exists():
        for entry in proc.iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_bytes()
                except OSError:
                    continue
                # The name in parentheses may itself hold spaces and parentheses.
                state, _parent, _group, session = stat.rpartition(b")")[2].split()[:4]
                if state not in (b"Z", b"X"):
                    yield int(entry.name), int(session)
        return
    listing = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        pid, state_word = line.split()[:2]
        if not state_word.startswith("Z"):
            try:
                yield int(pid), os.getsid(int(pid))
            except OSError:
                continue


def _wait_until_gone(sessions: Collection[int], seconds: float) -> bool:
    give_up_at = time.monotonic() + seconds
    while session_members(sessions):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.1)
    return True


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def main() -> None:
    """Keep the list of sessions and end what is left of them when stdin closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    for line in sys.stdin:
        change, session = line[0], int(line[1:])
        if change == "+":
            sessions.add(session)
        else:
            sessions.discard(session)
    end_sessions(sessions, grace=5.0)


if __name__ == "__main__":
    main()
