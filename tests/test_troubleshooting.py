"""The page of messages and the messages of the code are held against each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.support.pages import ROOT

PACKAGE = ROOT / "airflow_provider_jobstatus"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text().partition("## Airflow's own")[0]
#: Modules whose exceptions a task ends with. What hooks raise is composed of their pieces.
PLACES = ("exceptions.py", "waiting/messages.py", "tasks/", "sensors/", "operators/", "files/", "core/ids.py")
#: Stands for what a message fills in.
GAP = "\0"


def text(node: ast.expr) -> str | None:
    """Return a text of the code, with a gap for each value in it."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(text(value) or GAP for value in values)
    return None


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and (found := text(node)):
            yield found


def trees() -> dict[str, ast.Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    found = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in paths}
    return {path: tree for path, tree in found.items() if not path.startswith("sandbox/")}


TREES = trees()
TEXTS = {found for tree in TREES.values() for found in texts(tree) if "\n" not in found}


def quoted(page: str) -> set[str]:
    """Return what the first column of the page's tables quotes."""
    rows = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    return {words for row in rows for words in re.findall(r"`([^`]+)`", row)}


def parts(words: str) -> list[str]:
    """Return what of a quotation is printed as it stands."""
    return [part.strip() for part in words.split("...") if re.search(r"\w", part)]


def pattern(words: str) -> re.Pattern[str]:
    """Return what finds a message with all parts of a quotation, one after the other."""
    return re.compile(".*".join(map(re.escape, parts(words))))


def in_messages(words: str) -> bool:
    """Return whether one of the texts of the code is what is quoted."""
    return any(map(pattern(words).search, TEXTS))


def test_each_message_on_the_page_is_one_of_the_code() -> None:
    assert {words for words in quoted(PAGE) if not in_messages(words)} == set()
    assert not in_messages("no usable answer for ... hours")


def failures(path: str, tree: ast.Module) -> Iterator[str]:
    """Yield the messages with which a module lets a task fail, pieces of fewer than four words apart."""
    kind = ast.Return if path == "waiting/messages.py" else ast.Raise
    for statement in (node for node in ast.walk(tree) if isinstance(node, kind)):
        whole = {
            id(piece): piece is node
            for node in ast.walk(statement)
            if isinstance(node, ast.JoinedStr)
            for piece in ast.walk(node)
        }
        for node in ast.walk(statement):
            message = text(node) if isinstance(node, ast.expr) and whole.get(id(node), True) else None
            if message and len(message.split()) > 3:
                yield message


def not_on(page: str, messages: set[str]) -> set[str]:
    """Return the messages that no quotation of the page finds."""
    found = [pattern(words) for words in quoted(page) if parts(words)]
    return {message for message in messages if not any(each.search(message) for each in found)}


def test_each_message_of_a_failed_task_is_found_on_the_page() -> None:
    messages = {
        message for path, tree in TREES.items() if path.startswith(PLACES) for message in failures(path, tree)
    }
    assert len(messages) > 50
    assert not_on(PAGE, messages) == set()
    assert not_on(PAGE, {"not finished after a while"}) != set()
