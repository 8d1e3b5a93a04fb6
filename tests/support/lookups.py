"""A secrets backend that knows nothing and remembers what it was asked for."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.secrets.base_secrets import BaseSecretsBackend


class Lookups(BaseSecretsBackend):
    """
    For Airflow's setting ``[secrets] backend``.

    :ivar asked: ids of connections, and keys of variables and settings.
    """

    asked: ClassVar[list[str]] = []

    def get_connection(self, conn_id: str, *_: Any, **__: Any) -> None:
        self.asked.append(conn_id)

    def get_variable(self, key: str, *_: Any, **__: Any) -> None:
        self.asked.append(key)

    def get_config(self, key: str) -> None:
        self.asked.append(key)
