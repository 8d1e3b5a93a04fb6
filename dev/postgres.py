"""`PostgresDatabase`: a cluster of its own, made and gone with the run, for an Airflow on this machine."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dev import guard
from dev.api import StackError

_DEBIAN = Path("/usr/lib/postgresql")
_NAME = "airflow"
_START_TIMEOUT = 60.0
_STOP_GRACE = 10.0


class PostgresDatabase(guard.Guarded):
    """PostgreSQL on a socket in a folder that only its user may enter, for as long as the context lasts.

    PostgreSQL refuses to run as root; then it runs as the user `postgres`, or as `nobody`.

    :raises StackError: on entering, if PostgreSQL is not installed or does not start
    """

    def __init__(self) -> None:
        self._folder = Path()
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that lead Airflow there."""
        rest = f"{_NAME}@/{_NAME}?host={self._folder}"
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{rest}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{rest}",
        }

    def prepare(self, migrate: Callable[[], None]) -> None:
        """Make an empty database and let Airflow make its tables."""
        for statement in (f"DROP DATABASE IF EXISTS {_NAME}", f"CREATE DATABASE {_NAME}"):
            self._run("psql", "-d", "postgres", "-c", statement)
        migrate()

    def query(self, select: str) -> list[dict[str, Any]]:
        """Return the rows of a SELECT, each as its columns by name.

        :param select: without a semicolon
        """
        rows = f"SELECT coalesce(json_agg(r), '[]') FROM ({select}) r"  # noqa: S608
        found: list[dict[str, Any]] = json.loads(self._run("psql", "-d", _NAME, "-AtX", "-c", rows))
        return found

    def task_states(self, where: str = "true") -> dict[str, int]:
        """Return how many task instances of Airflow there are in each state.

        :param where: condition of SQL that chooses them
        """
        counted = f"coalesce(state, 'none') AS state, count(*) FROM task_instance WHERE {where}"
        return {row["state"]: row["count"] for row in self.query(f"SELECT {counted} GROUP BY 1")}

    def dump(self) -> bytes:
        """Return everything that the database holds, as plain SQL."""
        return self._run("pg_dump", "-d", _NAME)

    def stop(self) -> None:
        """End PostgreSQL and remove its files; harmless if it does not run."""
        if self._process is not None:
            # Without waiting for connections that are still open.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Make the cluster, and return when it answers."""
        # Not below the run's own folder, which may be closed to the user of the database.
        self._folder = Path(tempfile.mkdtemp(prefix="jobstatus-postgres-"))
        if os.geteuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in known else "nobody"
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", _NAME, "-A", "trust", "-E", "UTF8", "--no-sync", own=True)
        log = self._folder / "log"
        # Nothing outlives the run, so nothing has to be on the disk.
        options = {"listen_addresses": "", "unix_socket_directories": str(self._folder), "fsync": "off"}
        options |= {"synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
        command = [str(_program("postgres")), "-D", str(data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = self.run_guarded(command, log, user=self._user, cwd=self._folder)
        give_up_at = time.monotonic() + _START_TIMEOUT
        while subprocess.run(self._command("pg_isready"), capture_output=True).returncode:
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise StackError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [str(_program(program)), "-h", str(self._folder), "-U", _NAME, *arguments]

    def _run(self, program: str, *arguments: str, own: bool = False) -> bytes:
        command = [str(_program(program)), *arguments] if own else self._command(program, *arguments)
        user = self._user if own else None
        done = subprocess.run(command, user=user, cwd=self._folder, capture_output=True)
        if done.returncode:
            raise StackError(f"PostgreSQL's {program} failed: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout


def _program(name: str) -> Path:
    """Return where a program of PostgreSQL is, of its newest version that Debian has installed."""
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1]
    if on_path := shutil.which(name):
        return Path(on_path)
    raise StackError(f"PostgreSQL's {name} is not installed; on Debian the package postgresql brings it")
