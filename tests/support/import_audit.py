"""
What the package does to a process that imports it, and nothing else: run in a process of its own.

Airflow is imported first, so that what it does is not counted; then Python's audit hook sees every event
while our modules are imported, in the order in which a process of Airflow's meets them, and while what a DAG
file constructs is constructed. Prints one JSON object, see :class:`Stage`.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import logging
import os
import signal
import socket
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAME = "airflow_provider_jobstatus"
PACKAGE = Path(str(find_spec(NAME).origin)).parent  # found, and not imported
#: Load when first used.
HEAVY = {"requests", "aiohttp", "jwt", "cryptography", "urllib3", "yarl"}
#: The only modules that import what is heavy, or change its loggers.
_HEAVY_NAMES = (
    *("aio", "aio_reply", "blocking", "bound_adapter", "bound_session", "client_errors", "connector"),
    *("upload", "watched_connections", "watchdog"),
)
TRANSPORTS = {f"{NAME}.transports.{name}" for name in _HEAVY_NAMES}
#: Events of every import and every definition of a class. Whatever else happens is told.
HARMLESS = {
    "import",
    "compile",
    "exec",
    "marshal.loads",
    "os.listdir",
    "os.scandir",
    "sys._getframe",
    "object.__getattr__",
    "object.__setattr__",
    "object.__delattr__",
    "builtins.id",
}
#: For arguments that have no default; any other gets a plain text.
ARGUMENTS = {
    "job_id": "a/b",
    "conn_id": "nowhere",
    "destination": "/nowhere/",
    **dict.fromkeys(("start", "end"), "{{ x }}"),
    "survey_id": 1,
    "body": "{{ x }}",
}


@dataclass
class Stage:
    """
    What one step did.

    :ivar loaded: modules that it loaded.
    :ivar events: of the audit hook, but for the harmless ones.
    :ivar changed: which parts of the process's state it changed.
    :ivar looked_up: connections, variables and settings that it asked Airflow for.
    """

    loaded: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)


_watching: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None or event in HARMLESS or (event == "open" and _reads_code(*arguments)):
        return
    _watching.append(f"{event} {arguments!r}"[:300])


def _reads_code(path: object, mode: object, flags: int) -> bool:
    reads = mode in ("r", "rb") and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ours_or_pythons = str(path).startswith((str(PACKAGE), sysconfig.get_path("stdlib")))
    return reads and ours_or_pythons and str(path).endswith((".py", ".pyc"))


def _state() -> dict[str, Any]:
    """Return what an import could change and no audit event tells."""
    loggers = [logging.root, *(logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict))]
    configured = {
        f"logger {logger.name}": (logger.level, list(logger.handlers), list(logger.filters))
        for logger in loggers
        if logger.level or logger.handlers or logger.filters
    }
    return configured | {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "logging": (logging.root.manager.disable, logging.getLoggerClass()),
        "warnings": list(warnings.filters),
        "threads": threading.enumerate(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "at exit": atexit._ncallbacks(),
        "sockets' time-out": socket.getdefaulttimeout(),
        "imports": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
        "excepthook": sys.excepthook,
    }


@contextmanager
def _watched() -> Iterator[Stage]:
    global _watching
    from tests.support.lookups import Lookups

    stage, before, modules = Stage(), _state(), set(sys.modules)
    asked = len(Lookups.asked)
    _watching = stage.events
    try:
        yield stage
    finally:
        _watching = None
    after = _state()
    stage.changed = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    stage.loaded = sorted(set(sys.modules) - modules)
    stage.looked_up = Lookups.asked[asked:]


@contextmanager
def _without(libraries: set[str]) -> Iterator[None]:
    """Let an import of ``libraries`` fail, also where Airflow has imported them already."""
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in libraries}
    blocked = dict.fromkeys([*loaded, *libraries])
    sys.modules.update(blocked)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]
        sys.modules.update(loaded)


def _modules() -> list[str]:
    """Return all modules of the package but the sandbox's, which no Airflow imports."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.startswith(f"{NAME}.sandbox")]


def _import_airflow() -> None:
    import airflow.providers.common.compat.sdk as compat
    import airflow.sdk
    import airflow.triggers.base

    # Both load a name when it is asked for.
    for name in (
        "AirflowException",
        "AirflowFailException",
        "AirflowNotFoundException",
        "AirflowSensorTimeout",
        "AirflowSkipException",
        "BaseHook",
        "BaseOperator",
        "BaseSensorOperator",
        "conf",
    ):
        getattr(compat, name)
    for name in ("Connection", "Context", "DAG", "RetryPolicy"):
        getattr(airflow.sdk, name, None)  # there is no policy below 3.3
    importlib.import_module("airflow.sdk.exceptions")
    importlib.import_module("airflow.exceptions")
    # The first of a kind, and the first look for a connection, set Airflow up.
    compat.BaseSensorOperator(task_id="first")
    compat.BaseOperator(task_id="second")
    try:
        compat.BaseHook.get_connection("known_to_nobody")
    except (compat.AirflowNotFoundException, ImportError):  # the latter on Airflow 3.1.0
        return
    raise AssertionError("there is a connection that nobody made")


def _constructors() -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each class that a DAG file, a worker or a triggerer constructs, and its arguments."""
    from airflow.providers.common.compat.sdk import BaseHook, BaseOperator
    from airflow.triggers.base import BaseTrigger

    for name in _modules():
        for kind in list(vars(sys.modules[name]).values()) if name in sys.modules else ():
            ours = isinstance(kind, type) and kind.__module__ == name and not inspect.isabstract(kind)
            if not ours or not issubclass(kind, (BaseHook, BaseOperator, BaseTrigger)):
                continue
            if issubclass(kind, BaseHook) and not hasattr(kind, "default_conn_name"):
                continue  # a base of hooks, not one of a vendor
            needed = {
                parameter.name: ARGUMENTS.get(parameter.name, "x")
                for parameter in inspect.signature(kind).parameters.values()
                if (parameter.default is parameter.empty or parameter.name in ("source", "body"))
                and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            }
            task = {"task_id": kind.__name__} if issubclass(kind, BaseOperator) else {}
            yield kind, needed | task


def main() -> None:
    """Run the stages and print them."""
    sys.addaudithook(_hook)
    stages: dict[str, Stage] = {}
    _import_airflow()
    from tests.support.lookups import Lookups

    known = list(Lookups.asked)
    every = [name for name in _modules() if name not in TRANSPORTS]
    order = {
        "sensor": [f"{NAME}.sensors.batch_job"],
        "operators": [name for name in every if name.startswith(f"{NAME}.operators")],
        "all but transports": every,
    }
    for name, modules in order.items():
        with _without(HEAVY), _watched() as stages[name]:
            for module in modules:
                importlib.import_module(module)
    constructors = list(_constructors())
    with _watched() as stages["construction"]:
        for kind, arguments in constructors:
            kind(**arguments)
    for library in sorted(HEAVY):
        importlib.import_module(library)
    importlib.import_module("requests.adapters")
    with _watched() as stages["transports"]:
        for module in sorted(TRANSPORTS):
            importlib.import_module(module)
    result = {
        "stages": {name: asdict(stage) for name, stage in stages.items()},
        "constructed": sorted(kind.__name__ for kind, _ in constructors),
        "lookups_before": known,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
