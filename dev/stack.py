"""`AirflowStack`: scheduler, dag-processor, triggerers and api-server as processes, under one folder."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from dev import guard
from dev.airflow_environment import (
    USER,
    Database,
    SqliteDatabase,
    environment,
    free_port,
    port_trouble,
)
from dev.api import RUN_ENDED, AirflowApi, StackError, TaskRun

# The last stop may be short, the database is thrown away; a restart is to be as clean as a user's.
_STOP_GRACE = 3.0
_RESTART_GRACE = 30.0
_PARSE_TIMEOUT = 60.0


class AirflowStack(guard.Guarded, AirflowApi):
    """A real Airflow on 127.0.0.1, started on entering the context and gone after leaving it.

    Uses the interpreter that it runs under. The database is fresh at each start: nothing of an earlier run is
    taken up again. The components are `scheduler`, `dag-processor`, `api-server`, `triggerer` and, if there
    are more of these, `triggerer-2` and so on; the methods take them by these names.

    :param home: folder for everything that Airflow writes; made if missing
    :param dags: folder with the DAG files
    :param env: environment for all Airflow processes, on top of the present one; the place for secrets
    :param port: port of the page and the REST API, None for a free one
    :param triggerers: how many
    :param database: where Airflow keeps its state, None for SQLite in `home`
    :param paused: whether DAGs run only once they are unpaused
    :param progress: called with a short sentence whenever the start has come further
    :param start_timeout: seconds until a start counts as failed
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        env: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        triggerers: int = 1,
        database: Database | None = None,
        paused: bool = False,
        progress: Callable[[str], None] = lambda message: None,
        start_timeout: float = 180.0,
    ) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", USER, secrets.token_urlsafe(12))
        self.airflow_version = version("apache-airflow-core")
        self._progress = progress
        self._start_timeout = start_timeout
        self._database = database or SqliteDatabase(self.home, self.airflow_version)
        self.triggerers = ["triggerer", *(f"triggerer-{number}" for number in range(2, triggerers + 1))]
        settings = environment(self.home, self.dags, self.port, self._database, paused=paused)
        self._env = settings | dict(env or {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # -- starting and stopping

    def start(self) -> None:
        """Prepare the folder, start the four processes, return when all are healthy and the DAGs parsed."""
        if trouble := port_trouble(self.port):
            raise StackError(f"cannot listen on port {self.port} of 127.0.0.1: {trouble}")
        self.home.mkdir(parents=True, exist_ok=True)
        self._prepare_folders()
        self._database.prepare(self._migrate)
        passwords = self.home / "passwords.json"
        passwords.unlink(missing_ok=True)
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({USER: self.password}))
        for name in ("api-server", "scheduler", "dag-processor", *self.triggerers):
            self.launch(name)
        give_up_at = time.monotonic() + self._start_timeout
        self._wait_until_healthy(give_up_at)
        self._wait_until_parsed(time.monotonic() + _PARSE_TIMEOUT)

    def stop(self) -> None:
        """End every process that was started; harmless if there is none."""
        self._end(list(self._processes), grace=_STOP_GRACE)
        super().stop()
        self.close()

    def kill(self, name: str) -> None:
        """End one component at once and without notice, as a crash would."""
        self._end([name], grace=None)

    def pause(self, name: str) -> None:
        """Stop one component in the middle of whatever it does, with SIGSTOP."""
        guard.signal_sessions([self._processes[name].pid], signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused component go on."""
        guard.signal_sessions([self._processes[name].pid], signal.SIGCONT)

    def exit_code(self, name: str) -> int | None:
        """Return what a component ended with, None while it runs."""
        return self._processes[name].poll()

    def session(self, name: str) -> int:
        """Return the id of the session that all processes of a component belong to."""
        return self._processes[name].pid

    def restart(self, name: str) -> None:
        """Stop one component if it runs, start it anew, return when Airflow counts it as alive."""
        newest_job = self._newest_job(name) if name != "api-server" else 0
        self._end([name], grace=_RESTART_GRACE)
        self.launch(name)
        give_up_at = time.monotonic() + self._start_timeout
        if name == "api-server":
            self._wait_until_healthy(give_up_at)
        else:
            # The last heartbeat of the one that is gone counts for a while: only a newer job is a proof.
            while self._newest_job(name) <= newest_job:
                self._check(give_up_at, f"no new {name} appeared")
                time.sleep(0.5)

    def launch(self, name: str) -> None:
        """Start one component, or start it anew after its end, and do not wait for it."""
        self._end([name], grace=None)
        command = [sys.executable, "-m", "airflow", "triggerer" if name in self.triggerers else name]
        if name == "api-server":
            command += ["--workers", "1"]
        elif name == "scheduler" or name in self.triggerers:
            # The log servers would listen on every address of the machine; the files are at hand anyway.
            command += ["--skip-serve-logs"]
        log = self.component_log(name)
        self._processes[name] = self.run_guarded(command, log, env=self._env, cwd=self.home)

    def component_log(self, name: str) -> Path:
        """Return the file that holds what a component wrote."""
        return self.home / "components" / f"{name}.log"

    def check_alive(self) -> None:
        """Raise StackError if a component that should run has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise StackError(
                    f"Airflow's {name} ended with exit code {process.returncode}; its last lines:\n"
                    f"{_tail(self.component_log(name))}"
                )

    def wait(
        self,
        dag_id: str,
        run_id: str,
        timeout: float,
        watch: Callable[[list[TaskRun]], None] = lambda tasks: None,
    ) -> str:
        """Wait for the end of a run and return its state.

        :param timeout: seconds after which StackError is raised
        :param watch: called about once a second with the tasks of the run
        """
        give_up_at = time.monotonic() + timeout
        while True:
            state = self.run_state(dag_id, run_id)
            watch(self.tasks(dag_id, run_id))
            if state in RUN_ENDED:
                return state
            self._check(give_up_at, f"run {run_id} of {dag_id} is still {state}")
            time.sleep(1.0)

    # -- how it is done

    def _prepare_folders(self) -> None:
        for folder in ("logs", "components"):
            shutil.rmtree(self.home / folder, ignore_errors=True)
        (self.home / "components").mkdir()

    def _migrate(self) -> None:
        self._progress("preparing its database")
        log = self.component_log("migration")
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        migration = self.run_guarded(command, log, env=self._env, cwd=self.home)
        failed = migration.wait(self._start_timeout)
        if self._guard is not None:
            self._guard.remove(migration.pid)
        if failed:
            raise StackError(f"Airflow could not prepare its database:\n{_tail(log)}")

    def _end(self, names: list[str], *, grace: float | None) -> None:
        processes = {name: self._processes[name] for name in names if name in self._processes}
        sessions = [process.pid for process in processes.values()]
        if grace is None:
            guard.kill_sessions(sessions)
        else:
            guard.end_sessions(sessions, grace)
        for name, process in processes.items():
            process.wait()
            if self._guard is not None:
                self._guard.remove(process.pid)
            del self._processes[name]

    def _wait_until_healthy(self, give_up_at: float) -> None:
        shown: list[str] | None = None
        while shown != []:
            waiting = self.unhealthy()
            if waiting != shown:
                shown = waiting
                self._progress(f"waiting for {', '.join(waiting)}" if waiting else "healthy")
            if waiting:
                self._check(give_up_at, f"not healthy: {', '.join(waiting)}")
                time.sleep(0.5)

    def _wait_until_parsed(self, give_up_at: float) -> None:
        self._progress("reading the DAGs")
        expected = {path.relative_to(self.dags).as_posix() for path in _dag_files(self.dags)}
        while True:
            broken = self.get("/importErrors", limit=100)["import_errors"]
            if broken:
                listing = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in broken)
                raise StackError(f"Airflow cannot import these DAG files:\n{listing}")
            parsed = {dag["relative_fileloc"] for dag in self.get("/dags", limit=100)["dags"]}
            if expected <= parsed:
                return
            self._check(give_up_at, f"no DAG came out of {', '.join(sorted(expected - parsed))}")
            time.sleep(0.5)

    def _check(self, give_up_at: float, trouble: str) -> None:
        self.check_alive()
        if time.monotonic() > give_up_at:
            raise StackError(f"{trouble}; the logs are in {self.home / 'components'}")

    def _newest_job(self, name: str) -> int:
        kind = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob"}.get(name, "TriggererJob")
        jobs = self.get("/jobs", job_type=kind, limit=100)["jobs"]
        return max((int(job["id"]) for job in jobs if job["latest_heartbeat"]), default=0)


def _dag_files(dags: Path) -> list[Path]:
    """Return the files that Airflow will look into: it skips those without these two words."""
    return [
        path
        for path in dags.rglob("*.py")
        if b"airflow" in (text := path.read_bytes().lower()) and b"dag" in text
    ]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
