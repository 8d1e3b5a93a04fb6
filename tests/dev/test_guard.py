"""Nothing that was started is left running, whatever happens to the one who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from dev import guard

# A component that ignores SIGTERM, and a task of it in a process group of its own, as in Airflow 3.3.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
    print("ready", flush=True)
time.sleep(60)
"""


def _component() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert len(guard.session_members([process.pid])) == 2
    return process


def test_a_session_is_ended_with_all_its_groups_even_if_it_ignores_being_asked() -> None:
    with _component() as process:
        guard.end_sessions([process.pid], grace=0.2)

        assert guard.session_members([process.pid]) == []


def test_a_session_that_is_stopped_goes_on_when_it_is_told_to() -> None:
    with _component() as process:
        guard.signal_sessions([process.pid], signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

        guard.signal_sessions([process.pid], signal.SIGCONT)
        _, status = os.waitpid(process.pid, os.WCONTINUED)
        assert os.WIFCONTINUED(status)
        guard.kill_sessions([process.pid])


def test_a_session_that_was_not_named_is_left_alone() -> None:
    with _component() as ours, _component() as theirs:
        guard.kill_sessions([ours.pid])

        assert len(guard.session_members([theirs.pid])) == 2
        guard.kill_sessions([theirs.pid])


def test_the_guard_ends_what_is_left_when_its_owner_is_gone() -> None:
    with _component() as ours, _component() as given_up:
        told = f"+{ours.pid}\n+{given_up.pid}\n-{given_up.pid}\n".encode()
        subprocess.run([sys.executable, "-I", guard.__file__], input=told, check=True, timeout=60)

        assert guard.session_members([ours.pid]) == []
        assert len(guard.session_members([given_up.pid])) == 2
        guard.kill_sessions([given_up.pid])
