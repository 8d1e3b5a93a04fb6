"""Responses that a test has written down beforehand: faults, odd bodies, or just a vendor's next status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scripted answer.

    An entry with ``http``, ``body`` or ``disconnect`` replaces the usual answer; any other only changes it.

    :param http: The HTTP status; 200 if only a body is given.
    :param headers: Headers to add.
    :param body: The body; none means an empty one.
    :param content_type: Its content type; guessed from the kind of body if not given.
    :param delay_seconds: Real seconds before anything is sent.
    :param drip_seconds: Real seconds between single bytes of the body.
    :param disconnect: Hang up without an answer; together with a body: promise all of it, send half, hang up.
    :param after_work: What was asked for is done first, and this answer takes the place of the usual one.
    :param fields: Keys of the vendor's documented answer that take these values.
    :param send: Sends whatever it likes instead of an answer; of a fault script.
    :param certificate: Which bad certificate the connection gets, in place of a request.
    """

    http: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str | None = None
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    disconnect: bool = False
    after_work: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    send: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    certificate: str | None = None

    @property
    def replaces(self) -> bool:
        """Whether the usual answer is not wanted at all."""
        return self.http is not None or self.body is not None or self.disconnect or self.send is not None


class Script:
    """Entries that are used up one by one.

    :param entries: The entries in order.
    :param repeat_last: Whether the last one stays for ever.
    """

    def __init__(self, entries: Sequence[Entry] = (), *, repeat_last: bool) -> None:
        self._left = list(entries)
        self._repeat_last = repeat_last
        #: The entry whose word was shown last; before that, a scripted job is where its script begins.
        self._shown = next((entry for entry in entries if entry.fields), None)
        self._is_left = True
        self._listed = False

    @property
    def shown(self) -> Mapping[str, object]:
        """The keys that were shown last, or that will be first."""
        return self._shown.fields if self._shown else {}

    def take(self) -> Entry | None:
        """Return the next entry, or none when the script is used up."""
        self._listed = False
        if not self._left:
            return None
        stays = self._repeat_last and len(self._left) == 1
        entry = self._left[0] if stays else self._left.pop(0)
        if entry.fields:
            self._shown, self._is_left = entry, False
        return entry

    def show_in_list(self) -> None:
        """Move on for a list, if the one before has shown the same word and no request was answered since.

        So a job whose list alone is read plays its words. Faults stay for its own requests.
        """
        if not self._listed:
            self._listed = True
            return
        words = [number for number, entry in enumerate(self._left) if entry.fields]
        if self._is_left and len(words) > 1:
            del self._left[words.pop(0)]
            words = [number - 1 for number in words]
        if words:
            self._shown, self._is_left = self._left[words[0]], True


class Answers:
    """Scripts for exact paths, also for those that no vendor has."""

    def __init__(self) -> None:
        self._scripts: dict[tuple[str, str], Script] = {}

    def put(self, method: str, path: str, entries: Sequence[Entry]) -> None:
        """Replace what is left of the script of one method and path."""
        self._scripts[method.upper(), path] = Script(entries, repeat_last=False)

    def take(self, request: web.Request) -> Entry | None:
        """Return the scripted answer to a request, if there is one left."""
        if not self._scripts:
            return None
        path = request.raw_path.partition("?")[0]
        script = self._scripts.get((request.method, path))
        return script.take() if script else None


def read_script(values: object, *, keys: Collection[str] = ()) -> list[Entry]:
    """Read a script as the admin API receives it.

    :param values: A list of entries: a vendor's status word, or an object.
    :param keys: The keys of the vendor's documented answer that an entry may set; with none, only whole
        answers (and delays and headers) can be scripted.
    """
    if not isinstance(values, list | tuple):
        raise ValueError("script must be a list.")
    return [_read_entry(value, keys) for value in values]


def _read_entry(value: object, keys: Collection[str]) -> Entry:
    if isinstance(value, Entry):  # read before, from a fault script
        return value
    if isinstance(value, str):
        if "status" not in keys:
            raise ValueError(
                "script: a status word means nothing here, write an object such as {'http': 503}."
            )
        return Entry(fields={"status": value})
    given = Fields(value, "script entry")
    http = given.whole("http", None)
    if http is not None and not 200 <= http <= 599:
        raise ValueError("script entry: http must be a status from 200 to 599.")
    headers = given.take("headers", {})
    if not isinstance(headers, Mapping) or not all(isinstance(text, str) for text in headers.values()):
        raise ValueError("script entry: headers must be an object of strings.")
    body, guessed_type = _encode(given.take("body"))
    entry = Entry(
        http=http,
        headers=dict(headers),
        body=body,
        content_type=given.text("content_type", guessed_type),
        delay_seconds=given.number("delay_seconds", 0.0),
        drip_seconds=given.number("drip_seconds", 0.0),
        disconnect=given.flag("disconnect"),
        after_work=given.flag("after_work"),
        fields={key: given.take(key) for key in keys if key in given},
    )
    given.finish()
    if entry.replaces and entry.fields:
        raise ValueError(
            "script entry: http, body or disconnect replace the answer, so it has no other keys."
        )
    return entry


def _encode(body: object) -> tuple[bytes | None, str | None]:
    if body is None:
        return None, None
    if isinstance(body, bytes):  # only from Python: JSON knows no bytes
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json; charset=utf-8"


async def respond(
    request: web.Request, entry: Entry | None, usual: Callable[[], web.StreamResponse]
) -> web.StreamResponse:
    """Answer a request as usual, unless there is an entry that changes or replaces the usual answer."""

    async def answer() -> web.StreamResponse:
        return usual()

    return await play(request, entry, answer) if entry else usual()


async def play(
    request: web.Request, entry: Entry, usual: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request as an entry says.

    :param usual: Makes the answer that would be given without the entry.
    """
    if entry.after_work and entry.replaces:
        await usual()
    if entry.delay_seconds:
        await asyncio.sleep(entry.delay_seconds)
    if entry.send is not None:
        return await entry.send(request)
    if not entry.replaces:
        response = await usual()
        response.headers.update(entry.headers)
        return response
    if entry.disconnect and entry.body is None:
        _hang_up(request)
        return web.Response()  # goes nowhere, the connection is closed
    body = entry.body or b""
    headers = dict(entry.headers)
    if entry.content_type is not None:
        headers["Content-Type"] = entry.content_type
    if not entry.disconnect and not entry.drip_seconds:
        return web.Response(status=entry.http or 200, headers=headers, body=body)
    return await _send_badly(request, entry, headers, body)


async def _send_badly(
    request: web.Request, entry: Entry, headers: Mapping[str, str], body: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(status=entry.http or 200, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    sent = body[: len(body) // 2] if entry.disconnect else body
    if entry.drip_seconds:
        for position in range(len(sent)):
            await response.write(sent[position : position + 1])
            await asyncio.sleep(entry.drip_seconds)
    else:
        await response.write(sent)
    if entry.disconnect:
        _hang_up(request)
    else:
        await response.write_eof()
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
