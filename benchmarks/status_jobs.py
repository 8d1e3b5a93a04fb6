"""What the status server knows of its jobs, and what it answers, in the words of each vendor."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

#: Width of the buckets in which requests are counted, in seconds.
BUCKET = 0.1
#: Id of the first job of a succession.
FIRST = 1_000_000
#: Ids of jobs that are in every list and that nobody waits for.
STRANGERS = 900_000_000

_REASONS = {200: "OK", 303: "See Other", 404: "Not Found", 429: "Too Many Requests"}


def reply(status: int, body: bytes = b"", more: str = "") -> bytes:
    """Return a whole reply."""
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


#: What a status read answers: while the job runs, and once it has ended. ``%d`` is its id.
_SINGLE: list[tuple[str, re.Pattern[str], str, str]] = [
    (
        "aftercare",
        re.compile(r"/api/v1/coding/(\d+)"),
        '{"batchJobId": "%d", "status": "processing"}',
        '{"batchJobId": "%d", "status": "completed", "results": []}',
    ),
    (
        "ruler",
        re.compile(r"/v1/[^/]+/batch/(\d+)/status"),
        '{"jobType": "revenue", "status": "processing", "percentageProgress": 50, "totalRows": 1000, '
        '"processedRows": 500, "successCount": 500, "failureCount": 0, '
        '"createdDateTime": "2026-01-15T10:00:00", "completedDateTime": null, "failureReason": null}',
        '{"jobType": "revenue", "status": "complete", "percentageProgress": 100, "totalRows": 1000, '
        '"processedRows": 1000, "successCount": 1000, "failureCount": 0, '
        '"createdDateTime": "2026-01-15T10:00:00", "completedDateTime": "2026-01-15T10:02:30", '
        '"failureReason": null}',
    ),
    (
        "questionpro",
        re.compile(r"/a/api/v2/micropanel/batches/(\d+)"),
        '{"response": {"id": %d, "status": "Sending"}}',
        '{"response": {"id": %d, "status": "Delivery Successful"}}',
    ),
    (
        "talkdesk",
        re.compile(r"/data/reports/[a-z-]+/jobs/(\d+)"),
        '{"job": {"id": "%d", "name": "report", "timezone": "UTC", "format": "csv", "status": "processing"}}',
        '{"job": {"id": "%d", "name": "report", "timezone": "UTC", "format": "csv", "status": "done"}}',
    ),
    ("ready", re.compile(r"/ready/(\d+)"), '{"ready": false}', '{"ready": true}'),
]
_ROUTES: dict[str, tuple[re.Pattern[str], bytes, bytes, int, int, str]] = {}
for _name, _path, _running, _ended in _SINGLE:
    _statuses = {"ready": (404, 200), "talkdesk": (200, 303)}.get(_name, (200, 200))
    _where = "Location: /data/reports/calls/files/%d\r\n" if _name == "talkdesk" else ""
    _ROUTES[_name] = (_path, _running.encode(), _ended.encode(), *_statuses, _where)
_RULER_LIST = re.compile(r"/v1/[^/]+/batch/jobs")
_TALKDESK_LIST = re.compile(r"/data/reports/[a-z-]+/jobs(?:\?(.*))?")
_KEY = re.compile(rb"^api-key: *(\S+)", re.IGNORECASE | re.MULTILINE)


class Jobs:
    """
    The jobs of one server, and a count of all that was asked of it.

    :ivar think: seconds until a status is answered.
    :ivar limit: QuestionPro's calls per window and key.
    :ivar window: its length, in seconds.
    :ivar strangers: jobs in every list that nobody waits for.
    :ivar succession: a beginning, a number of slots and a life: each slot has one job after the other, the
        first of which are ``FIRST`` and so on. None for no such jobs.
    :ivar connections: opened so far; ``open`` now, and ``peak`` at once.
    """

    def __init__(self) -> None:
        self.ends_at: dict[int, float] = {}
        self.think = 0.01
        self.limit = 300
        self.window = 60.0
        self.strangers = 0
        self.succession: tuple[float, int, float] | None = None
        self.open = 0
        self._lists: dict[tuple[str, int], tuple[float, bytes]] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what was counted. Jobs and settings stay."""
        self.connections = 0
        self.peak = self.open
        self._counts: Counter[str] = Counter()
        self._buckets: Counter[int] = Counter()
        self._served_at: dict[int, float] = {}
        self._polled_at: dict[int, list[float]] = {}
        self._calls: dict[bytes, deque[float]] = {}

    def set_up(self, orders: Mapping[str, Any]) -> None:
        """
        Take in jobs and settings.

        :param orders: ``jobs`` with the point of :func:`time.monotonic` at which each ends, by id; and any of
            ``think``, ``limit``, ``window``, ``strangers``, ``succession``.
        """
        self.ends_at |= {int(job): end for job, end in orders.get("jobs", {}).items()}
        for name in ("think", "limit", "window", "strangers", "succession"):
            setattr(self, name, orders.get(name, getattr(self, name)))
        self._lists.clear()

    def stats(self) -> dict[str, Any]:
        """Return what was counted since the last :meth:`reset`."""
        return {
            "connections": self.connections,
            "peak": self.peak,
            "counts": dict(self._counts),
            "buckets": {str(bucket): count for bucket, count in sorted(self._buckets.items())},
        }

    def counts(self) -> dict[str, int]:
        """Return the requests of each kind: small, however long a run lasts."""
        return dict(self._counts)

    def times(self) -> dict[str, dict[int, Any]]:
        """Return by job when it ended, when an answer said so first, and when QuestionPro was asked."""
        ends = {job: self._end_of(job) for job in self._served_at}
        return {"ends_at": ends, "served_at": self._served_at, "polled_at": self._polled_at}

    def answer(self, target: str, head: bytes, body: bytes) -> bytes:
        """Return the reply to a request, and count it."""
        now = monotonic()
        self._buckets[int(now / BUCKET)] += 1
        if target == "/oauth/token":
            self._counts["token"] += 1
            return reply(200, b'{"access_token": "t0", "token_type": "Bearer", "expires_in": 3600}')
        where = f"{target}?{body.decode()}" if body else target
        for name, (path, running, ended, running_status, ended_status, more) in _ROUTES.items():
            if found := path.match(where):
                if name == "questionpro" and self._too_many(head, now):
                    self._counts["refused"] += 1
                    return reply(429, b'{"response": {"error": {"id": "1005", "message": "Too many calls"}}}')
                job = int(found[1])
                end = self.ends_at.get(job) if self.succession is None else self._end_of(job)
                if name == "questionpro":
                    self._polled_at.setdefault(job, []).append(now)
                if end is None or now < end:
                    self._counts["status"] += 1
                    return reply(running_status, running % job if b"%" in running else running)
                # A list has shown it, or this is how the wait finds out.
                self._counts["terminal"] += 1
                self._served_at.setdefault(job, now)
                return reply(
                    ended_status, ended % job if b"%" in ended else ended, more % job if more else ""
                )
        if _RULER_LIST.fullmatch(target):
            self._counts["list"] += 1
            return self._list("ruler", 0, now, self._ruler_list)
        if found := _TALKDESK_LIST.fullmatch(target):
            query = parse_qs(found[1] or "")
            page, size = (
                int(query.get(name, [usual])[0]) for name, usual in (("page", "1"), ("per_page", "20"))
            )
            self._counts["list"] += 1
            return self._list("talkdesk", page, now, lambda at: self._talkdesk_list(at, page, size))
        self._counts["unknown"] += 1
        return reply(404, b'{"message": "no such address"}')

    def _end_of(self, job: int) -> float | None:
        if self.succession is None or job < FIRST:
            return self.ends_at.get(job)
        began_at, slots, life = self.succession
        generation, slot = divmod(job - FIRST, slots)
        # Staggered: at no time do all end.
        return began_at + (generation + (slot + 1) / slots) * life

    def _too_many(self, head: bytes, now: float) -> bool:
        key = _KEY.search(head)
        calls = self._calls.setdefault(key[1] if key else b"", deque())
        while calls and calls[0] <= now - self.window:
            calls.popleft()
        if len(calls) >= self.limit:
            return True
        calls.append(now)
        return False

    def _list(self, name: str, page: int, now: float, make: Callable[[float], bytes]) -> bytes:
        """Return a list, made anew once a tenth of a second: it is long, and the server must stay cheap."""
        made_at, made = self._lists.get((name, page), (-1.0, b""))
        if now - made_at > BUCKET:
            made = make(now)
            self._lists[name, page] = (now, made)
        return made

    def _rows(self, now: float) -> list[tuple[int, bool]]:
        return [
            *((job, end <= now) for job, end in self.ends_at.items()),
            *((STRANGERS + number, True) for number in range(self.strangers)),
        ]

    def _ruler_list(self, now: float) -> bytes:
        rows = (
            f'{{"jobId":"{job}","jobType":"revenue","status":"{"complete" if over else "processing"}",'
            f'"percentageProgress":{100 if over else 50},"failureReason":null}}'
            for job, over in self._rows(now)
        )
        return reply(200, f"[{','.join(rows)}]".encode())

    def _talkdesk_list(self, now: float, page: int, size: int) -> bytes:
        rows = self._rows(now)
        shown = [
            {
                "id": str(job),
                "name": "report",
                "timezone": "UTC",
                "format": "csv",
                "status": "done" if over else "processing",
            }
            for job, over in rows[(page - 1) * size : page * size]
        ]
        pages = -(-len(rows) // size)
        body = {"_embedded": {"jobs": shown}, "total": len(rows), "page": page, "total_pages": pages}
        return reply(200, json.dumps(body).encode())
