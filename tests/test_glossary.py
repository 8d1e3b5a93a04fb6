"""One word for one thing: the glossary and the names of the code are held against each other."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath

import pytest

from tests.support.pages import PAGES, ROOT


def words(text: str) -> set[str]:
    return set(text.split())


NAME = "airflow_provider_jobstatus"
SOURCES = {
    path.relative_to(ROOT / NAME).as_posix(): path.read_text() for path in sorted((ROOT / NAME).rglob("*.py"))
}
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
#: Modules that each vendor's folder may have, and those whose place is a promise to users.
VENDORS = {"aftercare", "questionpro", "ruler", "talkdesk"}
PUBLIC_MODULES = {"batch_job"}
#: The values that a reader of the code meets first. Each has its word.
MAIN_VALUES = {
    "ConnectionSettings",
    "Confirmations",
    "Driver",
    "DurationHistory",
    "JobId",
    "JobPoller",
    "JobState",
    "JobStatus",
    "KeyState",
    "ListCache",
    "LogEntry",
    "Operation",
    "OutcomeKind",
    "OutcomePolicy",
    "PollSchedule",
    "ProgressRate",
    "ProgressTracker",
    "Rate",
    "Request",
    "Response",
    "Runtime",
    "Scheduler",
    "SessionPolicy",
    "StatusLines",
    "Subscription",
    "Throttle",
    "WaitLog",
    "WaitOutcome",
    "WaitSpec",
}
#: Private words for what has a word in the field: no name of the code, and none that a page prints as code.
FORMER_NAMES = words(
    """
    Access Alarm Budget Durations FEW JobEvent News Outcome Outline Pace Policy Questions SharedList WaitPlan
    asking by_itself caveats chronicle course covered display faults_of_lists faulty forecast goal granted
    hungry pack patiently replies ring stopping strain unpack voices
    """
)
#: As names of modules only; elsewhere these are plain words.
FORMER_MODULES = words(
    """
    background chance configuration connections cursor event fields items queue reading scan session settings
    settle
    """
)


@dataclass
class Names:
    """
    The names that a module defines or uses.

    :ivar classes: public ones that it defines.
    :ivar every: identifiers, also as texts, and the fields that docstrings name.
    """

    classes: list[str] = field(default_factory=list)
    every: set[str] = field(default_factory=set)


@cache
def names(source: str) -> Names:
    found = Names(every=set(re.findall(r":(?:param|ivar) (\w+):", source)))
    for node in ast.walk(ast.parse(source)):
        for attribute in ("id", "attr", "name", "arg"):
            if isinstance(value := getattr(node, attribute, None), str):
                found.every.add(value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.every.add(node.value)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found.classes.append(node.name)
    return found


def in_sandbox(path: str) -> bool:
    return path.startswith("sandbox/")


def twice(values: Iterator[str]) -> list[str]:
    return sorted(value for value, times in Counter(values).items() if times > 1)


def classes_of_one_name(sources: dict[str, str]) -> list[str]:
    """Return the names of public classes that there are twice; those of the sandbox are its own."""
    return twice(
        name for path, source in sources.items() if not in_sandbox(path) for name in names(source).classes
    )


def modules_of_one_name(paths: Iterator[str]) -> list[str]:
    """Return the names of modules that occur in two folders, vendors' folders and public modules apart."""
    own = (PurePath(path) for path in paths)
    return twice(
        path.stem
        for path in own
        if path.parent.name not in VENDORS
        and not path.stem.startswith("__")
        and path.stem not in VENDORS | PUBLIC_MODULES
    )


def former_names(sources: dict[str, str]) -> list[str]:
    """Return the names of the code that are former ones."""
    return sorted(
        f"{path}: {name}"
        for path, source in sources.items()
        if not in_sandbox(path)
        for name in names(source).every & FORMER_NAMES
    ) + sorted(
        path
        for path in map(PurePath, sources)
        if path.parent.name not in VENDORS and path.stem in FORMER_NAMES | FORMER_MODULES
    )


def code_words(page: str) -> set[str]:
    """Return the words of a page's blocks of code, and of what else it prints as code without a space."""
    code = re.findall(r"^```.*?^```$", page, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\w+", " ".join(code + re.findall(r"`([^`\s]+)`", prose))))


def unknown_words(page: str, sources: dict[str, str]) -> set[str]:
    """Return the words that a page prints as code and no source has."""
    return code_words(page).difference(*(names(source).every for source in sources.values()))


def test_each_public_class_has_a_name_of_its_own() -> None:
    assert classes_of_one_name(SOURCES) == []
    assert classes_of_one_name({"core/a.py": "class A: ...", "fleet/b.py": "class A: ..."}) == ["A"]
    assert classes_of_one_name({"core/a.py": "class A: ...", "sandbox/b.py": "class A: ..."}) == []


def test_each_module_has_a_name_of_its_own() -> None:
    assert modules_of_one_name(iter(SOURCES)) == []
    assert modules_of_one_name(iter(["core/a.py", "fleet/a.py"])) == ["a"]
    assert modules_of_one_name(iter(["hooks/ruler/a.py", "sandbox/ruler/a.py", "core/a.py"])) == []


def test_every_name_in_the_glossary_is_one_of_the_code() -> None:
    assert unknown_words(GLOSSARY, SOURCES) == set()
    assert unknown_words("`WaitPlan`", SOURCES) == {"WaitPlan"}


def test_the_glossary_has_the_main_values_of_the_code() -> None:
    defined = {name for source in SOURCES.values() for name in names(source).classes}
    assert MAIN_VALUES - defined == set()
    assert MAIN_VALUES - code_words(GLOSSARY) == set()


def test_no_word_stands_twice_in_the_glossary() -> None:
    assert twice(iter(re.findall(r"^\| ([^|]+) \|", GLOSSARY, re.MULTILINE))) == ["---", "word"]


def test_no_former_name_is_left_in_the_code() -> None:
    assert former_names(SOURCES) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/a.py", "class WaitPlan: ..."),
        ("core/a.py", "x.hungry = 1"),
        ("core/a.py", "def f(goal): ..."),
        ("core/a.py", '""":param chronicle: what is written."""'),
        ("core/chronicle.py", ""),
        ("core/settle.py", ""),
    ],
)
def test_a_former_name_is_noticed(path: str, source: str) -> None:
    assert len(former_names({path: source})) == 1


def test_no_page_prints_a_former_name_as_code() -> None:
    assert {
        page.name: found for page in PAGES if (found := code_words(page.read_text()) & FORMER_NAMES)
    } == {}
