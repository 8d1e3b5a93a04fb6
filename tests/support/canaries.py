"""
Seven secrets that are easy to find wherever they have leaked to, and the search for them.

Each is made up anew for each test run. Its first twelve characters hold enough chance to be nobody else's,
and what each way of writing changes: letters of both cases, ``/``, ``+``, ``"`` and a backslash.
"""

from __future__ import annotations

import json
import secrets
import string
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

#: So many first characters of a secret are enough to be called a leak.
HEAD = 12
USER = "canary-user"
FORMS = ("raw", "URL-encoded", "base64", "base64 of user:secret", "JSON-escaped", "hex", "upper case", "head")
KINDS = ("key", "token", "client secret", "password", "private key", "signed URL", "proxy password")


@dataclass(frozen=True)
class Canary:
    """
    One secret.

    :param kind: one of :data:`KINDS`.
    :param value: as it is given to whoever may have it.
    :param mark: the part of it that is looked for; of a private key, a line whose beginning is secret.
    """

    kind: str
    value: str
    mark: str

    def forms(self) -> dict[str, str]:
        """Return the mark in each of :data:`FORMS`."""
        return dict(zip(FORMS, _forms(self.mark), strict=True))

    def echo(self) -> str:
        """Return what a careless server might answer: the whole secret in each form."""
        return " ; ".join(_forms(self.value))

    @cached_property
    def traces(self) -> tuple[set[bytes], set[bytes]]:
        """
        What each form begins with: in any case (in lower case here), and in this case only.

        Every form of the mark begins with the same form of its head, so that this finds whole ones and cut
        ones alike.
        """
        head = self.mark[:HEAD]
        escaped = json.dumps(head)[1:-1]
        spelled = {head, quote(head, safe=""), quote(head), quote_plus(head), head.encode().hex()}
        spelled |= {escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1]}
        encoded = set()
        for offset in range(3):
            text = b64encode(bytes(offset) + head.encode()).decode()
            # The first and last characters also depend on what stands before and after the secret.
            core = text[(0, 2, 3)[offset] : (offset + HEAD) * 8 // 6]
            encoded |= {core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")}
        return {trace.lower().encode() for trace in spelled}, {trace.encode() for trace in encoded}


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        b64encode(raw).decode(),
        b64encode(f"{USER}:{secret}".encode()).decode(),
        json.dumps(secret)[1:-1],
        raw.hex(),
        secret.upper(),
        secret[:HEAD],
    ]


def find(content: bytes, canaries: Iterable[Canary]) -> list[str]:
    """Return the kinds of the canaries that these bytes hold: whole or their heads, in any form."""
    return [kind for kind, _ in _find(content, canaries)]


def leaks(places: Mapping[str, bytes], canaries: Iterable[Canary]) -> list[tuple[str, str, str]]:
    """Return where which canary is: the place's name, the canary's kind and what stands around it."""
    known = list(canaries)
    return [
        (name, kind, content[max(at - 100, 0) : at + 60].decode("utf-8", "replace"))
        for name, content in places.items()
        for kind, at in _find(content, known)
    ]


def _find(content: bytes, canaries: Iterable[Canary]) -> Iterator[tuple[str, int]]:
    lowered = content.lower()
    for canary in canaries:
        in_any_case, as_it_is = canary.traces
        found = [lowered.find(trace) for trace in in_any_case] + [content.find(trace) for trace in as_it_is]
        at = max(found)
        if at >= 0:
            yield canary.kind, at


def make_canaries() -> dict[str, Canary]:
    """Return a fresh canary of each kind."""
    made = {kind: _made_up(kind) for kind in KINDS if kind not in ("private key", "signed URL")}
    made["private key"] = private_key_canary(
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode()
    )
    # A signature stands in a query: what it may hold there as it is.
    mark = f"{_letters(6)}.{_letters(24)}"
    query = f"?X-Amz-Date=20261122T000000Z&X-Amz-Signature={mark}"
    made["signed URL"] = Canary("signed URL", f"http://storage.example/canary.csv{query}", mark)
    return {kind: made[kind] for kind in KINDS}


def private_key_canary(pem: str) -> Canary:
    """Return the canary of a private key, whose first line is the same for every key of its curve."""
    return Canary("private key", pem, pem.splitlines()[2])


def signed(canary: Canary, address: str) -> str:
    """Return an address signed with the canary's own query."""
    return f"{address}?{canary.value.partition('?')[2]}"


def _made_up(kind: str) -> Canary:
    # Visible ASCII: what a header can carry. The password goes into a form, where anything may stand.
    tail = "ü=&%" if kind == "password" else "=&%~"
    value = f'{_letters(4)}/+{_letters(4)}\\"{_letters(12)}{tail}{_letters(12)}'
    return Canary(kind, value, value)


def _letters(count: int) -> str:
    letters = string.ascii_letters + string.digits
    # Both cases, whatever chance says.
    return "".join(secrets.choice(letters) for _ in range(count - 2)) + "xY"
