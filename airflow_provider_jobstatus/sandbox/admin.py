"""The admin API under ``/_sandbox``: ``Control`` over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.control import Control
from airflow_provider_jobstatus.sandbox.faults.fault_script import list_faults

PREFIX = "/_sandbox/"


class Admin:
    """The handlers of the admin API.

    ``ValueError`` becomes a 400 and ``LookupError`` a 404, both in the server's middleware.

    :param control: What they work on.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def routes(self) -> list[web.RouteDef]:
        """The endpoints."""
        control = self._control
        return [
            _show("health", lambda _: control.health()),
            _show("faults", lambda _: list_faults()),
            _show("jobs", lambda _: control.jobs()),
            _show("requests", lambda _: [record.view() for record in control.recorder.requests()]),
            _show(
                "{vendor}/settings", lambda request: control.vendor(request.match_info["vendor"]).settings()
            ),
            web.delete(PREFIX + "requests", self._clear_requests),
            web.post(PREFIX + "clock", self._advance_clock),
            # A job's id is one string with slashes in it; only the vendor takes it apart.
            web.put(PREFIX + "{vendor}/jobs/{job_id:.+}", self._put_job),
            web.put(PREFIX + "{vendor}/answers", self._put_answers),
            web.patch(PREFIX + "{vendor}/settings", self._change_settings),
            web.post(PREFIX + "{vendor}/revoke", self._revoke),
        ]

    async def _clear_requests(self, request: web.Request) -> web.Response:
        self._control.recorder.clear()
        return web.Response(status=204)

    async def _advance_clock(self, request: web.Request) -> web.Response:
        given = Fields(await _json_body(request), "clock")
        seconds = given.number("advance_seconds", 0.0)
        given.finish()
        return web.json_response({"now": self._control.clock.advance(seconds)})

    async def _put_job(self, request: web.Request) -> web.Response:
        spec = await _json_body(request)
        job = self._control.put_job(request.match_info["vendor"], request.match_info["job_id"], spec)
        return web.json_response(job)

    async def _put_answers(self, request: web.Request) -> web.Response:
        # Paths are exact, so the vendor in the path adds nothing; it is checked to catch mistakes.
        self._control.vendor(request.match_info["vendor"])
        given = Fields(await _json_body(request), "answers")
        path, method = given.text("path") or "", given.text("method") or "GET"
        script = given.take("script")
        given.finish()
        return web.json_response({"answers": self._control.put_answers(path, script, method)})

    async def _change_settings(self, request: web.Request) -> web.Response:
        changes = await _json_body(request)
        return web.json_response(self._control.change_settings(request.match_info["vendor"], changes))

    async def _revoke(self, request: web.Request) -> web.Response:
        return web.json_response({"revoked": self._control.vendor(request.match_info["vendor"]).revoke()})


def _show(path: str, value: Callable[[web.Request], object]) -> web.RouteDef:
    """Return an endpoint that changes nothing."""

    async def show(request: web.Request) -> web.Response:
        return web.json_response(value(request))

    return web.get(PREFIX + path, show, allow_head=False)


async def _json_body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read() or b"{}")
    except ValueError:
        raise ValueError("The body must be JSON.") from None
