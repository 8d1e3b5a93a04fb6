"""Templated arguments with personal data: their content never stands on Airflow's page of rendered fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

#: The path or URI of a JSON file. Any other text may be the content itself.
_PATH = re.compile(r"[\w:/.~{} -]{1,500}\.json")


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
        if parent is self:
            for name in self.personal_fields:
                value = getattr(self, name, None)
                if value is not None and not isinstance(value, PersonalValue):
                    setattr(self, name, _PersonalTemplate(self, value))
        super()._do_render_template_fields(parent, *args, **others)  # type: ignore[misc]


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
    return _PATH.fullmatch(text) is not None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class _PersonalTemplate:
    """
    What is yet to be rendered. Airflow calls what is callable; and what fails, it logs.

    :param task: that renders.
    :param content: the template.
    """

    def __init__(self, task: Any, content: Any) -> None:
        self._task = task
        self._content = content

    def __call__(self, context: Any, jinja_env: Any) -> PersonalValue:
        if callable(self._content):
            return PersonalValue(self._content(context=context, jinja_env=jinja_env))
        return PersonalValue(self._task.render_template(self._content, context, jinja_env, set()))

    def __repr__(self) -> str:
        return repr(PersonalValue(self._content))
