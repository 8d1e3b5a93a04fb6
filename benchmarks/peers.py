"""The triggers that this provider's is compared with, as their sensors and operators make them."""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks import waiters
from benchmarks.service import Service
from benchmarks.waiters import TriggerWaiter, Wait, Waiter

#: At dbt Cloud.
ACCOUNT = 1


class HttpSensor(TriggerWaiter):
    """``HttpSensorTrigger``: knows no other test than 404."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        self._trigger = HttpSensorTrigger
        connection = {"conn_type": "http", "host": service.url}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps(connection)

    def trigger(self, wait: Wait) -> Any:
        """Return what ``HttpSensor`` hands to Airflow."""
        return self._trigger(
            endpoint=f"ready/{wait.job}", http_conn_id="peer", poke_interval=float(wait.interval)
        )

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return payload is True


class DbtCloud(TriggerWaiter):
    """``DbtCloudRunJobTrigger``. Its hook knows ``https`` only; for a plain server the address is changed."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook
        from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

        self._trigger = DbtCloudRunJobTrigger
        connection = {"conn_type": "dbt_cloud", "host": urlsplit(service.url).netloc, "password": "key"}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps({**connection, "login": str(ACCOUNT)})
        if not service.ca:
            known = DbtCloudHook.get_request_url_params

            def plain(*arguments: Any, **named: Any) -> Any:
                url, query = known(*arguments, **named)
                return url.replace("https://", "http://", 1), query

            DbtCloudHook.get_request_url_params = staticmethod(plain)

    def trigger(self, wait: Wait) -> Any:
        """Return what dbt Cloud's sensor hands to Airflow."""
        return self._trigger(
            conn_id="peer",
            run_id=wait.job,
            end_time=time.time() + 86400,
            poll_interval=float(wait.interval),
            account_id=ACCOUNT,
        )

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return bool(payload["status"] == "success")


class Databricks(TriggerWaiter):
    """``DatabricksExecutionTrigger``."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        from airflow.providers.databricks.triggers.databricks import DatabricksExecutionTrigger

        self._trigger = DatabricksExecutionTrigger
        place = urlsplit(service.url)
        connection = {"conn_type": "databricks", "host": place.hostname, "port": place.port}
        connection |= {"schema": place.scheme, "password": "key"}
        os.environ["AIRFLOW_CONN_PEER"] = json.dumps(connection)

    def trigger(self, wait: Wait) -> Any:
        """Return what Databricks' operators hand to Airflow."""
        return self._trigger(run_id=wait.job, databricks_conn_id="peer", polling_period_seconds=wait.interval)

    def well(self, payload: Any) -> bool:
        """Return whether it says so."""
        return "SUCCESS" in str(payload["run_state"])


WAITERS: dict[str, type[Waiter]] = {
    "floor": waiters.Floor,
    "ours": waiters.Ours,
    "http_sensor": HttpSensor,
    "dbt_cloud": DbtCloud,
    "databricks": Databricks,
    "floor_ruler": waiters.FloorRuler,
    "floor_questionpro": waiters.FloorQuestionPro,
    "ours_ruler": waiters.OursRuler,
    "ours_talkdesk": waiters.OursTalkdesk,
    "ours_questionpro": waiters.OursQuestionPro,
}
