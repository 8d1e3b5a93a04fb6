"""Tries of a task that submits, each in a process of its own, which is killed at a given point.

Airflow takes a second to import: one process has it, and is forked for each try.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from pkgutil import walk_packages
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

import airflow_provider_jobstatus
from dev.chaos.orders import operator

#: A call of the store, by its name and how many there were before, and whether the process dies ahead of it.
Point = tuple[str, int, bool]
#: No pause of a task is longer, in seconds: a search that finds nothing is repeated after 5 s and 15 s.
LONGEST_PAUSE = 0.1
_NOTHING = 0.005


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try of a task.

    :param folder: of the task, for its state and for how its tries end
    :param given: further arguments of the operator
    :param kept: whether Airflow keeps a task's state, as from 3.3 on
    :param dies: where the process kills itself
    """

    vendor: str
    folder: str
    number: int
    max_tries: int
    env: Mapping[str, str]
    given: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True
    dies: Point | None = None


class FileStore:
    """What an operator asks of Airflow's task state store, in a file.

    :param path: of the file
    :param dies: where the process kills itself
    """

    def __init__(self, path: Path, dies: Point | None = None) -> None:
        self._path, self._dies = path, dies
        self._calls = {"get": 0, "set": 0}

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        return self._call("get", lambda: self.read().get(key, default))

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Keep a value, over whatever happens to the process."""

        def write() -> None:
            kept = self.read() | {key: value}
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(kept, allow_nan=False))
            fresh.replace(self._path)

        self._call("set", write)

    def read(self) -> dict[str, Any]:
        """Return all that is kept."""
        with suppress(FileNotFoundError):
            kept: dict[str, Any] = json.loads(self._path.read_text())
            return kept
        return {}

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        before = self._calls[name]
        self._calls[name] += 1
        if self._dies == (name, before, True):
            os.kill(os.getpid(), signal.SIGKILL)
        result = work()
        if self._dies == (name, before, False):
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def preload() -> None:
    """Import everything once that tries need, so that a try begins within milliseconds."""
    for module in walk_packages(airflow_provider_jobstatus.__path__, "airflow_provider_jobstatus."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


class TryServer:
    """The process that is forked for each try. To be made before any thread is."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            self._pipe.close()
            _serve(theirs)
            os._exit(0)
        theirs.close()

    def run(self, plan: Try, watch: Callable[[], bool] = lambda: False) -> dict[str, Any] | None:
        """Run a try, and return how it ended, or None if it was killed.

        :param watch: called every few milliseconds while it runs; when it returns True the process is killed
        """
        self._pipe.send_bytes(json.dumps(asdict(plan)).encode())
        killed = False
        while not self._pipe.poll(_NOTHING):
            if not killed and watch():
                self._pipe.send_bytes(b"kill")
                killed = True
        ended: dict[str, Any] | None = json.loads(self._pipe.recv_bytes())
        if killed:
            # What came too late for the process is read here.
            self._pipe.send_bytes(b"killed")
        return ended

    def stop(self) -> None:
        """End the process."""
        # Servers that were forked later hold this pipe open, too.
        self._pipe.send_bytes(b"stop")
        os.waitpid(self._pid, 0)


def _serve(pipe: Connection) -> None:
    while True:
        try:
            message = pipe.recv_bytes()
            if message == b"stop":
                return
            if message in (b"kill", b"killed"):
                continue
            plan = Try(**json.loads(message))
            ending = Path(plan.folder) / f"try-{plan.number}.json"
            pid = os.fork()
            if not pid:
                _run(plan, ending)
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if pipe.poll(_NOTHING):
                    pipe.recv_bytes()
                    os.kill(pid, signal.SIGKILL)
            pipe.send_bytes(ending.read_bytes() if ending.exists() else b"null")
        except EOFError:
            return


def _run(plan: Try, ending: Path) -> None:
    """Run a try in this process, and end it."""
    try:
        log = os.open(ending.with_suffix(".log"), os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(plan.env)
        pause = time.sleep
        time.sleep = lambda seconds: pause(min(float(seconds), LONGEST_PAUSE))
        fresh = ending.with_suffix(".new")
        fresh.write_text(json.dumps(_ended(plan)))
        fresh.replace(ending)
    except BaseException as error:  # noqa: BLE001 - nothing may return into the server
        print(repr(error), file=sys.stderr)
    finally:
        sys.stdout.flush()
        os._exit(0)


def _ended(plan: Try) -> dict[str, Any]:
    instance = SimpleNamespace(
        **{"dag_id": "chaos", "run_id": Path(plan.folder).name, "task_id": "submit", "map_index": -1},
        try_number=plan.number,
        max_tries=plan.max_tries,
        xcom_push=lambda key, value: None,
    )
    context: Any = {"ti": instance, "run_id": instance.run_id}
    if plan.kept:
        dies = plan.dies
        context["task_state_store"] = FileStore(
            Path(plan.folder) / "state.json", None if dies is None else (dies[0], dies[1], dies[2])
        )
    try:
        result = operator(plan.vendor, instance.run_id, task_id="submit", **plan.given).execute(context)
    except TaskDeferred as deferred:
        return {"job_id": (deferred.kwargs or {})["job_id"]}
    except Exception as error:  # noqa: BLE001 - how a try ends is what the run looks at
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return {"error": kinds[0], "final": "AirflowFailException" in kinds, "text": str(error)}
    return {"job_id": result["job_id"] if isinstance(result, dict) else result}
