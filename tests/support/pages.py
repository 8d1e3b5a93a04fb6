"""The code that stands in README and in the other documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
)

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code.

    :param place: page and line
    :param language: as the page names it
    """

    place: str
    language: str
    text: str


def blocks(language: str | None = None) -> Iterator[Block]:
    """Yield the blocks of all pages, or those in one language."""
    for page in PAGES:
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            if language in (None, found[1]):
                line = text[: found.start()].count("\n") + 1
                yield Block(f"{page.relative_to(ROOT)}:{line}", found[1], found[2])


def readme_dag() -> str:
    """Return the DAG file that README shows."""
    (dag,) = (
        block.text for block in blocks("python") if block.place.startswith("README") and "DAG(" in block.text
    )
    return dag
