"""Regular expressions that meet a vendor's text take time in proportion to its length, whatever it is."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator, Mapping

import pytest

import airflow_provider_jobstatus

FOLDERS = ("core", "hooks", "files")
SIZE = 64 * 1024
#: What stands for its kind of character, and pairs in which some patterns begin again and again.
UNITS = (
    *"aA0_-. \n\r\t\"'\\/<>&%{[(,;:=@#$`+\0\u00e9\ud800",
    "a ",
    "a.",
    "<a",
    '"a',
    "\\u",
    "http://",
    " \n",
)
#: Patterns of str that are matched where a value has ended, and never searched for.
MATCHED = {"airflow_provider_jobstatus.hooks.talkdesk.outlines._GAP"}
#: Seconds of the processor, for one text: a hundred times what the slowest takes.
MOST = 0.5


def patterns_in(value: object) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping):
        yield from patterns_in([*value.values()])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from patterns_in(item)


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    found = {}
    for folder in FOLDERS:
        package = importlib.import_module(f"{airflow_provider_jobstatus.__name__}.{folder}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                for pattern in patterns_in(value):
                    found.setdefault(pattern.pattern, (f"{module.name}.{name}", pattern))
    return dict(found.values())


PATTERNS = patterns()


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_reads_any_text_in_linear_time(name: str) -> None:
    pattern, slow = PATTERNS[name], []
    for unit in UNITS:
        text = unit * (SIZE // len(unit))
        begun = time.thread_time()
        if name in MATCHED:
            pattern.match(text)
        elif isinstance(pattern.pattern, bytes):
            pattern.sub(b"", text.encode("utf-8", "surrogatepass"))
        else:
            pattern.sub("", text)
        if time.thread_time() - begun > MOST:
            slow.append(unit)
            break  # one is enough, and takes seconds
    assert slow == []
