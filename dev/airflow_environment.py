"""The environment of Airflow's processes, and the database that they use by default."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

#: The one user of the page and the REST API.
USER = "admin"


class Database(Protocol):
    """Where Airflow keeps its state."""

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that lead there."""

    def prepare(self, migrate: Callable[[], None]) -> None:
        """Make it fresh.

        :param migrate: runs Airflow's own migration, on the database that :attr:`settings` name
        """


class SqliteDatabase:
    """A file: a fresh copy of a migrated one; the migration is done once per folder and Airflow version."""

    def __init__(self, home: Path, airflow_version: str) -> None:
        self._path = home / "airflow.db"
        self._migrated = home / f"migrated-{airflow_version}.db"

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that lead there."""
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._path}"}

    def prepare(self, migrate: Callable[[], None]) -> None:
        """Copy the migrated file, and make that first if there is none."""
        for leftover in self._path.parent.glob("airflow.db*"):
            leftover.unlink()
        if not self._migrated.exists():
            migrate()
            self._path.rename(self._migrated)
        shutil.copyfile(self._migrated, self._path)


def environment(
    home: Path, dags: Path, port: int, database: Database, *, paused: bool = False
) -> dict[str, str]:
    """Return the environment of all Airflow processes.

    :param home: folder for everything that Airflow writes
    :param dags: folder with the DAG files
    :param port: of the api-server
    :param database: where Airflow keeps its state
    :param paused: whether DAGs run only once they are unpaused
    """
    # Settings of another Airflow on this machine must not reach ours, nor ours theirs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    own_bin = str(Path(sys.executable).parent)
    address = f"http://127.0.0.1:{port}"
    loopback = "127.0.0.1,localhost"
    return (
        env
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": str(paused),
            # With 5 s, the usual time, a task fails whose first request meets a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NO_COLOR": "1",
            "PATH": os.pathsep.join([own_bin, env.get("PATH", os.defpath)]),
            "NO_PROXY": ",".join(filter(None, [env.get("NO_PROXY"), loopback])),
            "no_proxy": ",".join(filter(None, [env.get("no_proxy"), loopback])),
        }
        | database.settings
    )


def port_trouble(port: int) -> str | None:
    """Return why no server could listen on this port of 127.0.0.1, None if one could."""
    with closing(socket.socket()) as probe:
        # As servers do: a port whose last connections are still being wound up is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
