"""What Airflow's REST API tells of runs and tasks: the same questions for Airflow 3.1, 3.2 and 3.3."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

RUN_ENDED = ("success", "failed")


class StackError(Exception):
    """Airflow did not start, or did not answer as expected; the message says what to look at."""


@dataclass(frozen=True)
class TaskRun:
    """One task instance as Airflow's REST API shows it.

    :param operator: class name of the operator
    :param state: Airflow's word, None before the scheduler has looked at the task
    :param started_at: when a worker took it up first
    :param map_label: what the DAG's author calls this one of mapped tasks
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    operator: str
    state: str | None
    try_number: int
    started_at: datetime | None
    map_label: str | None = None

    @property
    def name(self) -> str:
        """Task id, with label or index where the task is mapped."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_label or self.map_index}]"


@dataclass(frozen=True)
class Deferral:
    """One stay of a task in the triggerer.

    :param resumed_at: when a worker took the task up again, None if that never happened
    """

    deferred_at: datetime
    resumed_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it lasted, None if the task was never resumed."""
        return (self.resumed_at - self.deferred_at).total_seconds() if self.resumed_at else None


class AirflowApi:
    """Airflow's REST API, asked as a user who has logged in.

    :param address: scheme, host and port
    :param timeout: seconds without an answer after which a question is asked again
    :param patience: seconds until that is an error: as long as the demo's runs may take
    """

    def __init__(
        self, address: str, username: str, password: str, timeout: float = 30.0, patience: float = 300.0
    ) -> None:
        self.address = address
        self.username = username
        self.password = password
        self._timeout, self._patience = timeout, patience
        self._session = requests.Session()
        # Proxy settings and .netrc of the user have no say in a conversation with ourselves.
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def unhealthy(self) -> list[str]:
        """Return the names of the parts that Airflow itself does not count as healthy."""
        parts = ["metadatabase", "scheduler", "dag_processor", "triggerer"]
        try:
            reply = self._session.get(f"{self.address}/api/v2/monitor/health", timeout=10)
            health = reply.json() if reply.ok else {}
        except requests.RequestException:
            return ["api_server", *parts]
        return [part for part in parts if (health.get(part) or {}).get("status") != "healthy"]

    def dag_ids(self) -> list[str]:
        """Return the ids of all parsed DAGs."""
        return sorted(dag["dag_id"] for dag in self.get("/dags", limit=100)["dags"])

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start one run of a DAG and return its run id.

        :param conf: values for its params
        """
        body = {"conf": dict(conf or {}), "logical_date": None}
        return str(self._request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def unpause_all(self) -> None:
        """Let all DAGs run."""
        self._request(
            "PATCH", "/dags", params={"dag_id_pattern": "%", "limit": 100}, json={"is_paused": False}
        )

    def is_scheduled(self, dag_id: str) -> bool:
        """Return whether Airflow itself starts runs of a DAG."""
        return self.get(f"/dags/{dag_id}")["next_dagrun_run_after"] is not None

    def newest_run(self, dag_id: str) -> str | None:
        """Return the run id of the newest run of a DAG, None if there is none."""
        runs = self.get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    def add_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """Store a connection in Airflow's database.

        :param connection: as in the JSON of `AIRFLOW_CONN_...`, `extra` as an object
        """
        self._request("POST", "/connections", json=_connection_body(conn_id, connection))

    def change_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """Replace a stored connection.

        :param connection: as for :meth:`add_connection`
        """
        self._request("PATCH", f"/connections/{conn_id}", json=_connection_body(conn_id, connection))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return Airflow's word for the state of a run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskRun]:
        """Return the task instances of a run, in the order of their names."""
        rows = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        found = [
            TaskRun(
                dag_id=dag_id,
                run_id=run_id,
                task_id=row["task_id"],
                map_index=row["map_index"],
                operator=row.get("operator_name") or row.get("operator") or "",
                state=row["state"],
                try_number=row["try_number"],
                started_at=_parse_time(row["start_date"]) if row["start_date"] else None,
                map_label=row["rendered_map_index"],
            )
            for row in rows
        ]
        return sorted(found, key=lambda task: (task.task_id, task.map_index))

    def deferrals(self, task: TaskRun) -> list[Deferral]:
        """Return each time that a task was deferred, as Airflow itself recorded it.

        From 3.2 the audit log has an entry for every change of state. 3.1 has none; there the worker's lines
        in the task's log tell when it took the task up and when it handed it over.
        """
        entries = self.get(
            "/eventLogs",
            dag_id=task.dag_id,
            run_id=task.run_id,
            task_id=task.task_id,
            map_index=task.map_index,
            order_by="event_log_id",
            limit=100,
        )["event_logs"]
        changes = [(entry["event"], _parse_time(entry["when"])) for entry in entries]
        if not any(event == "running" for event, _ in changes):
            changes = self._changes_from_log(task)
        found = []
        for position, (event, at) in enumerate(changes):
            if event == "deferred":
                resumed = (when for later, when in changes[position + 1 :] if later == "running")
                found.append(Deferral(at, next(resumed, None)))
        return found

    def logs(self, task: TaskRun) -> str:
        """Return what a task wrote in its latest attempt, on the worker and in the triggerer, as text."""
        lines = []
        for entry in self.log_entries(task):
            if isinstance(entry, dict) and not entry["event"].startswith("::"):
                lines.append(
                    f"{entry.get('timestamp') or ''} {entry.get('level') or ''} {entry['event']}".strip()
                )
                errors = entry.get("error_detail") or ()
                lines += [f"    {error['exc_type']}: {error['exc_value']}" for error in errors]
        return "\n".join(lines)

    def xcom(self, task: TaskRun, key: str = "return_value") -> Any:
        """Return an XCom value of a task, None if there is none."""
        path = f"/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/xcomEntries"
        entries = self.get(path, map_index=task.map_index, xcom_key=key)["xcom_entries"]
        if not any(entry["key"] == key for entry in entries):
            return None
        return self.get(f"{path}/{key}", map_index=task.map_index, stringify=False)["value"]

    def log_entries(self, task: TaskRun) -> list[Any]:
        """Return the log of a task's latest attempt as the API gives it."""
        path = (
            f"/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        )
        content = self.get(path, map_index=task.map_index, full_content=True)["content"]
        return list(content)

    def _changes_from_log(self, task: TaskRun) -> list[tuple[str, datetime]]:
        meaning = {"DAG bundles loaded": "running", "Pausing task as DEFERRED": "deferred"}
        changes = [
            (change, _parse_time(entry["timestamp"]))
            for entry in self.log_entries(task)
            if isinstance(entry, dict) and entry.get("timestamp")
            for words, change in meaning.items()
            if str(entry["event"]).startswith(words)
        ]
        return sorted(changes, key=lambda change: change[1])

    def get(self, path: str, **query: object) -> Any:
        """Return the answer to any other question.

        :param path: below `/api/v2`
        """
        return self._request("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to any other order.

        :param path: below `/api/v2`
        """
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        give_up_at = time.monotonic() + self._patience
        while True:
            try:
                reply = self._answer(method, path, arguments)
                break
            except requests.RequestException as error:
                # A machine with much else to do. What changes something may have done so.
                slow = isinstance(error, requests.Timeout) and method == "GET"
                if not slow or time.monotonic() > give_up_at:
                    raise StackError(f"Airflow did not answer {method} {path}: {error}") from error
        if not reply.ok:
            raise StackError(f"Airflow answered {reply.status_code} to {method} {path}: {reply.text[:500]}")
        return reply.json()

    def _answer(self, method: str, path: str, arguments: Mapping[str, Any]) -> requests.Response:
        if "Authorization" not in self._session.headers:
            login = {"username": self.username, "password": self.password}
            reply = self._session.post(f"{self.address}/auth/token", json=login, timeout=self._timeout)
            reply.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        return self._session.request(
            method, f"{self.address}/api/v2{path}", timeout=self._timeout, **arguments
        )


def _connection_body(conn_id: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    return {**connection, "connection_id": conn_id, "extra": json.dumps(connection.get("extra", {}))}


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
