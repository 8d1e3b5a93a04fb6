"""Lists and dicts of job ids as the text that a template makes of them."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean

# What Python and JSON read without quotes as it is written, and one text in quotes.
_WHOLE = re.compile(r"0|[1-9][0-9]*")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


@dataclass(frozen=True)
class Misread:
    """A value in a list or dict that means something else than its spelling."""

    spelling: str


class _Spellings(ast.NodeTransformer):
    """Keeps values that mean their spelling: ``12_34``, ``0x10``, ``-1``, ``True``, ``'a' 'b'`` do not."""

    def __init__(self, line: str) -> None:
        # Python counts bytes.
        self._line = line.encode("utf-8", "surrogatepass")

    def _misread(self, node: ast.expr) -> ast.expr:
        return ast.Constant(Misread(self._spelling(node)))  # type: ignore[arg-type]

    visit_UnaryOp = visit_BinOp = _misread

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        spelling = self._spelling(node)
        same = _WHOLE.fullmatch(spelling) or _QUOTED.fullmatch(spelling) or node.value is None
        return node if same else self._misread(node)

    def _spelling(self, node: ast.expr) -> str:
        return self._line[node.col_offset : node.end_col_offset].decode("utf-8", "replace")


def _python(text: str) -> object:
    line = re.sub(r"[\r\n\f]", " ", text)
    return ast.literal_eval(_Spellings(line).visit(ast.parse(line, mode="eval")))


def _json(text: str) -> object:
    return json.loads(text, parse_int=lambda number: int(number) if number.isdigit() else Misread(number))


def read_literal(text: str) -> object:
    """
    Return the list or dict that a text spells.

    :raises SettingsError: it spells none.
    """
    # Python's form is what a template renders to; JSON's is what other systems send.
    for parse in (_python, _json):
        try:
            return parse(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
    raise SettingsError(
        f"job_id looks like a list or dict, but is none: {clean(text, 80)!r}; each id in it needs quotes"
    )
