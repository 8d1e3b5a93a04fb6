"""What each instruction of a fault script must come to, as data; and the cases that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_jobstatus.sandbox.faults import FAULTS, TARGETS
from airflow_provider_jobstatus.sandbox.faults.fault_script import instructions
from airflow_provider_jobstatus.sandbox.faults.of_ends import END_FAULTS, LURES

VENDORS = ("ruler", "talkdesk", "aftercare", "questionpro")
SENSOR_MODES = ("poke", "reschedule", "deferred")
#: Entry points and the modes that each has.
ENTRIES = {
    "sensor": SENSOR_MODES,
    # One question, by each transport.
    "hook": ("worker", "triggerer"),
    # A download operator; the script is of the status, or of the file.
    "operator": ("status", "file"),
}
OPERATORS = ("ruler", "talkdesk")

#: Those of any path.
EVERY = FAULTS | END_FAULTS

#: What a single question comes to: one of these errors, or a state.
BROKEN = "no usable reply, or not what is documented"
SERVER = "ServerError"
BUSY = "RateLimited"
ABSENT = "NotFound"
WRONG = "RequestRejected"
DENIED = "AccessDenied"
SPENT = "RateLimited, spent"

#: By instruction; what is not here is BROKEN. A dict is by vendor, with "" for the others.
ANSWERS: dict[str, str | dict[str, str]] = {
    **{f"status:{code}": WRONG for code in (400, 409, 418, 421, 422)},
    **{f"status:{code}": SERVER for code in (408, 425, 500, 503, 504, 599)},
    **{f"status:{code}": DENIED for code in (401, 403)},
    **{f"status:{code}": ABSENT for code in (404, 410)},
    "status:429": BUSY,
    "status:304": BROKEN,
    **{name: BUSY for name in FAULTS if name.startswith("retry-after-")},
    "retry-after-202": "running",
    "retry-after-401": DENIED,
    "retry-after-403": DENIED,
    "proxy-400": WRONG,
    "proxy-421": WRONG,
    "licence-spent": {"questionpro": SPENT, "": BUSY},
    "maintenance": SERVER,
    "bad-gateway": SERVER,
    "odd-status": SERVER,
    "echo": SERVER,
    "forged-text": SERVER,
    "cookies": SERVER,
    # Documented as "not yet".
    "no-content": {"talkdesk": "running", "": BROKEN},
    "gzip": "succeeded",
    "deflate": "succeeded",
    "shouting": "succeeded",
    "bom": "succeeded",
    "json-csv": "succeeded",
    "doubled-reply": "running",
    # Its vocabulary is open.
    "mystery": {"questionpro": "running", "": BROKEN},
    # Its reply may be too large to be parsed: the status is read, and what stands beside it is not.
}

#: They end with a time-out of the call, in real time: tried seldom, and with a short time-out.
SLOW = ("stall", "stall-body", "drip", "drip-headers", "gzip-bomb", "oversize")
SHORT_TIMEOUT = 0.3
CERTIFICATES = tuple(name for name in FAULTS if name.startswith("tls-"))
REDIRECTS = tuple(f"redirect-{name}" for name in (*TARGETS, *LURES))
STATUSES = tuple(name for name in ANSWERS if name.startswith("status:"))
USUAL = tuple(name for name in (*STATUSES, *EVERY) if name not in SLOW and name not in CERTIFICATES)

#: What a download of a file comes to that is answered like this; what is not here is refused.
FILES = {
    "talkdesk": {
        **dict.fromkeys(("report-csv", "report-json", "report-array", "report-lines"), "succeeded"),
        # It is followed, and leads to nothing.
        "redirect-login": "UnknownJob",
    },
}
#: What at Talkdesk may be the report, or leads to a storage or nowhere: its file is asked for.
OPEN = {
    *("redirect-nowhere", "redirect-empty", "redirect-storage"),
    *("report-csv", "report-json", "report-array", "report-lines"),
}

#: Seconds that a reply asks to be left alone for.
WANTED = {
    "retry-after-seconds": 90.0,
    "retry-after-date": 90.0,
    "retry-after-clock": 90.0,
    "retry-after-huge": 3600.0,
    "retry-after-year-9999": 3600.0,
    "maintenance": 120.0,
    "retry-after-202": 90.0,
    "retry-after-401": 90.0,
    "retry-after-403": 90.0,
}

#: What a wait comes to if every question is answered like this.
FOR_EVER = {
    BROKEN: "PollingFailed",
    SERVER: "PollingFailed",
    BUSY: "JobTimedOut",
    ABSENT: "UnknownJob",
    WRONG: "VendorRefused",
    DENIED: "VendorRefused",
    SPENT: "VendorRefused",
    "running": "JobTimedOut",
    "succeeded": "succeeded",
}
#: What a download comes to.
DOWNLOAD = FOR_EVER | {
    BROKEN: "DownloadIncomplete",
    SERVER: "DownloadIncomplete",
    BUSY: "DownloadIncomplete",
    "running": "JobNotFinished",
}


@dataclass(frozen=True)
class Case:
    """
    One run: what is tried at which vendor, and what must come of it.

    :param expected: a state, or the name of an exception; of a hook, one of the answers above.
    """

    vendor: str
    mode: str
    entry: str
    script: str
    expected: str

    @property
    def id(self) -> str:
        return f"{self.vendor}-{self.mode}-{self.entry}-{self.script}"

    @property
    def tls(self) -> bool:
        return "tls-" in self.script

    @property
    def slow(self) -> bool:
        return any(each in SLOW for each in instructions(self.script))


def answer(instruction: str, vendor: str) -> str:
    """Return what a single question comes to."""
    known = ANSWERS.get(instruction, BROKEN)
    return known if isinstance(known, str) else known.get(vendor, known[""])


def _for_ever(instruction: str, vendor: str) -> str:
    if vendor == "talkdesk" and instruction in OPEN:
        return "succeeded"  # in time the file is there
    if instruction in ("retry-after-401", "retry-after-403"):
        return "JobTimedOut"  # a limit
    return FOR_EVER[answer(instruction, vendor)]


def _passing(instruction: str, vendor: str) -> str:
    """Return what a wait comes to that meets this between other answers, and at whose end the job is done."""
    met = answer(instruction, vendor)
    return "VendorRefused" if met in (WRONG, SPENT) else "succeeded"


def _before_a_failure(instruction: str, vendor: str) -> str:
    if instruction == "status:421" or instruction.startswith("proxy-"):
        # Of a proxy, whatever stands in it: once is no end.
        return "JobFailed"
    met = answer(instruction, vendor)
    return {WRONG: "VendorRefused", SPENT: "VendorRefused", "succeeded": "succeeded"}.get(met, "JobFailed")


def _sensor_cases() -> Iterator[Case]:
    for number, name in enumerate(USUAL):
        for place, vendor in enumerate(VENDORS):
            # Refused twice in a row is refused; and a token is renewed at once.
            times = "" if answer(name, vendor) == DENIED else "*2"
            script = f"status:200:running,{name}{times},status:200:done"
            # One rule refuses all redirects.
            once = SENSOR_MODES[(number + place) % 3 : (number + place) % 3 + 1]
            for mode in once if name in REDIRECTS else SENSOR_MODES:
                yield Case(vendor, mode, "sensor", script, _passing(name, vendor))
            # Each vendor has its turn; all of it everywhere would take too long.
            mode = SENSOR_MODES[(number + place) % 3]
            if (number + place) % 2:
                yield Case(vendor, mode, "sensor", name, _for_ever(name, vendor))
                continue
            yield Case(vendor, mode, "sensor", f"{name},status:200:failed", _before_a_failure(name, vendor))
    for number, name in enumerate(SLOW):
        for place, mode in enumerate(SENSOR_MODES):
            yield Case(VENDORS[(number + place) % 4], mode, "sensor", f"{name},status:200:done", "succeeded")
    for name in CERTIFICATES:
        for vendor in VENDORS:
            for mode in SENSOR_MODES:
                yield Case(vendor, mode, "sensor", f"{name}*2,status:200:done", "succeeded")
                yield Case(vendor, mode, "sensor", name, "PollingFailed")


def _mixed_cases() -> Iterator[Case]:
    weather = "status:503*2,reset,close,bad-gateway,truncate,retry-after-seconds,gzip-cut,mystery,nul"
    mixed = {
        f"{weather},status:200:running,{weather},status:200:done": "succeeded",
        f"{weather},status:200:failed": "JobFailed",
        "status:200:running,status:401,status:200:running,status:403,status:200:done": "succeeded",
        "status:200:running,duplicate-key,wrong-charset,status:400,status:200:done": "VendorRefused",
        "status:200:running*3,empty*2,status:200:almost there,status:200:done": "succeeded",
        "status:404*2,status:200:running,status:200:done": "succeeded",
    }
    for vendor in VENDORS:
        for mode in SENSOR_MODES:
            for script, expected in mixed.items():
                yield Case(vendor, mode, "sensor", script, expected)
    for mode in SENSOR_MODES:
        yield Case("questionpro", mode, "sensor", "status:200:running,licence-spent", "VendorRefused")
        for vendor in ("ruler", "aftercare"):
            yield Case(vendor, mode, "sensor", "reset*2,status:200:partial", "partial")
        yield Case("talkdesk", mode, "sensor", "reset*2,status:200:cancelled", "JobCancelled")


def _hook_cases() -> Iterator[Case]:
    for number, name in enumerate((*USUAL, *CERTIFICATES)):
        for place, vendor in enumerate(VENDORS):
            mode = ENTRIES["hook"][(number + place) % 2]
            yield Case(vendor, mode, "hook", name, answer(name, vendor))
    for number, name in enumerate(SLOW):
        for place, mode in enumerate(ENTRIES["hook"]):
            yield Case(VENDORS[(number + place) % 4], mode, "hook", name, BROKEN)


def _operator_cases() -> Iterator[Case]:
    for name in USUAL:
        for vendor in OPERATORS:
            expected = DOWNLOAD[answer(name, vendor)]
            yield Case(vendor, "status", "operator", name, expected)
            met = answer(name, vendor)
            known = (ABSENT, DENIED, WRONG)
            expected = DOWNLOAD[met] if met in known else "DownloadIncomplete"
            yield Case(vendor, "file", "operator", name, FILES.get(vendor, {}).get(name, expected))


def cases() -> list[Case]:
    """Return every case once."""
    every = (*_sensor_cases(), *_mixed_cases(), *_hook_cases(), *_operator_cases())
    return list({case.id: case for case in every}.values())
