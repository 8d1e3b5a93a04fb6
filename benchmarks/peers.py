"""The trigger that this provider's is compared with, as its sensor makes it; and the table of all waiters."""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks import waiters
from benchmarks.service import Service
from benchmarks.waiters import TriggerWaiter, Wait, Waiter


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


WAITERS: dict[str, type[Waiter]] = {
    "floor": waiters.Floor,
    "ours": waiters.Ours,
    "http_sensor": HttpSensor,
    "floor_ruler": waiters.FloorRuler,
    "floor_questionpro": waiters.FloorQuestionPro,
    "ours_ruler": waiters.OursRuler,
    "ours_talkdesk": waiters.OursTalkdesk,
    "ours_questionpro": waiters.OursQuestionPro,
}
