"""Templated arguments with personal data: their content never stands on Airflow's page of rendered fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class PersonalFields:
    """
    Keeps the content of some templated arguments off the page *Rendered Templates*: it shows a count.

    Airflow stores each templated field of a task after rendering, readable to everybody who may see the DAG.
    An operator with personal fields names this class before ``BaseOperator`` among its bases, and reads the
    fields by :func:`content_of`. It sets :attr:`personal_fields` if they are others than ``rows`` and
    ``body``::

        class SendOperator(PersonalFields, BaseOperator):
            template_fields = ("body",)

            def execute(self, context):
                body = content_of(self.body)
    """

    personal_fields: ClassVar[Sequence[str]] = ("rows", "body")

    def _do_render_template_fields(self, parent: Any, *args: Any, **others: Any) -> None:
        # The one step that Airflow takes for plain and for mapped tasks, whatever kind of value it renders.
        super()._do_render_template_fields(parent, *args, **others)  # type: ignore[misc]
        if parent is self:
            for name in self.personal_fields:
                value = getattr(self, name, None)
                if value is not None and not isinstance(value, PersonalValue):
                    setattr(self, name, PersonalValue(value))


class PersonalValue:
    """
    A rendered value with personal data.

    Its text is a count, such as ``"3 rows"``; of a path or a URI, itself.

    :param content: the value.
    """

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content

    def __repr__(self) -> str:
        match self.content:
            case str() as text if _is_path(text):
                return text
            case str() as text:
                return f"a text of {len(text)} characters"
            case Mapping() as members:
                return _count(len(members), "key")
            case list() | tuple() as rows:
                return _count(len(rows), "row")
            case other:
                return type(other).__name__


def content_of(value: Any) -> Any:
    """
    Return the content of a personal field, rendered or not.

    :param value: of the task's attribute.
    """
    return value.content if isinstance(value, PersonalValue) else value


def _is_path(text: str) -> bool:
    return not any(map(str.isspace, text)) and ("/" in text or text.endswith(".json")) and text[0] not in "[{"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
