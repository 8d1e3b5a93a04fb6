"""The responses to a survey, page by page; see :mod:`airflow_provider_jobstatus.hooks.questionpro`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_jobstatus.core.content import expect_file
from airflow_provider_jobstatus.core.errors import NotFound
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.json_items import read_items
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro.envelope import check_error, check_status


@dataclass(frozen=True, slots=True)
class ResponsesPage:
    """
    A page of the responses to a survey.

    :param number: from 1.
    :param total: of responses, on all pages, as this page says.
    :param size: of a page that is full.
    :param items: id and text of each response.
    """

    number: int
    total: int
    size: int
    items: list[tuple[int, str]]


def page_request(hook: BatchJobHook, survey_id: int, number: int, size: int) -> Request:
    """Return the request for a page: ``GET /surveys/{id}/responses?page=1&perPage=100``."""
    query = {"page": str(number), "perPage": str(size)}
    return hook.request("GET", f"/surveys/{survey_id}/responses", query)


def page_operation(hook: BatchJobHook, request: Request) -> Operation[Response]:
    """Return the operation that opens a page: for ``hook.open``."""
    return Operation(partial(page_flow, hook, request), streamed=True)


def page_flow(hook: BatchJobHook, request: Request) -> Flow[Response]:
    """
    Open a page.

    :raises NotFound: ``own`` unless it may be another server's.
    :raises RateLimited: ``spent`` if the licence's calls are used up.
    :raises ServerError: a 2xx that is no page, such as "not yet".
    """
    response = yield request
    try:
        check_status(request, response, personal=True)
    except NotFound as error:
        error.own = hook.is_own_error(response)
        raise
    return expect_file(request, response)


def read_page(
    request: Request, response: Response, body: bytes, survey_id: int, number: int, size: int
) -> ResponsesPage:
    """
    Return what a page says.

    Smallest reply relied on: ``{"response": [{"responseID": 1}], "pagination": {"perPage": 100, "totalItems":
    1, "currentPage": 1}}``; in its older form, the pagination has ``total`` and ``page``.

    :param response: of the request, whose body is ``body``.
    :param number: which page was requested, of how many responses: ``size``.
    :raises VendorError: the error that the page holds.
    :raises UnexpectedResponse: another page or size, or responses without an id or of another survey.
    :raises ValueError: it is no whole JSON, as a page of a proxy.
    """
    items: list[tuple[int, str]] = []
    wrong = ""

    def take(text: str, item: Any) -> None:
        nonlocal wrong
        told = item if isinstance(item, Mapping) else {}
        key = _id_of(told.get("responseID"))
        if key is None:
            wrong = "with a response that has no id"
        elif told.get("surveyID") not in (None, survey_id, str(survey_id)):
            wrong = "with a response to another survey"
        else:
            items.append((key, text))

    members = read_items(body, "response", take)
    check_error(request, Response(response.status, response.headers, body), members, personal=True)
    pagination = members.get("pagination")
    if members.get("response") != [] or not isinstance(pagination, Mapping):
        raise unexpected(request, "answered without a list of responses and its 'pagination'")
    if wrong:
        raise unexpected(request, f"answered {wrong}")
    total = _first(pagination, "totalItems", "total")
    if total is None:
        raise unexpected(request, "answered without the number of responses: pagination.totalItems")
    here, full = _first(pagination, "currentPage", "page"), _first(pagination, "perPage")
    if here not in (None, number):
        raise unexpected(request, f"answered page {here} where page {number} was requested")
    if full is not None and not 1 <= full <= size:
        raise unexpected(request, f"answered pages of {full} where page_size is {size}")
    return ResponsesPage(number, total, full or size, items)


class PageSequence:
    """
    Sees from page to page that no response is lost.

    QuestionPro shows pages of a list that may change meanwhile, in an order that no page documents. Responses
    that arrive only add to the total. Where the newest stand first, they push others to a later page, which
    then repeats some: each is taken once. A total that falls means that a response was deleted, and another
    may have moved to a page that has been read. Only a deletion, or a response that changes its place,
    together with an arrival between the same two pages cannot be seen.
    """

    def __init__(self) -> None:
        self.number = 1
        self.total = 0
        self._size = 0
        self._first_total = 0
        self._seen: set[int] = set()

    @property
    def count(self) -> int:
        """How many responses there were so far, each once."""
        return len(self._seen)

    @property
    def pages(self) -> int:
        """How many pages there are, as far as is known."""
        return max(-(-self.total // self._size), 1) if self._size else 1

    def take(self, page: ResponsesPage) -> list[str]:
        """
        Return the texts of the responses that are new.

        :raises ValueError: a response may be missing.
        """
        if page.number == 1:
            self._size, self._first_total = page.size, page.total
        elif page.size != self._size:
            raise ValueError(f"a full page has {page.size} responses, and had {self._size} before")
        elif page.total < self.total:
            raise ValueError(
                f"page {page.number} counts {page.total} responses, and the page before it {self.total}: "
                "some were deleted meanwhile, and others may have moved to a page that was read already"
            )
        expected = min(page.size, page.total - (page.number - 1) * page.size)
        if len(page.items) != expected:
            raise ValueError(
                f"page {page.number} has {len(page.items)} responses where {expected} are due, by its own "
                f"total of {page.total} and a page_size of {page.size}; QuestionPro may give fewer on a "
                "page"
            )
        new = []
        for key, text in page.items:
            if key not in self._seen:
                self._seen.add(key)
                new.append(text)
        repeated = (page.number - 1) * page.size + expected - len(self._seen)
        if repeated > page.total - self._first_total:
            raise ValueError(
                f"page {page.number} repeats {repeated} responses of earlier pages, and only "
                f"{page.total - self._first_total} have arrived meanwhile: others may be missing"
            )
        self.total, self.number = page.total, page.number + 1
        return new

    @property
    def goes_on(self) -> bool:
        """Whether there is another page."""
        return self.number <= self.pages


def _first(pagination: Mapping[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := _whole(pagination.get(name))) is not None), None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _id_of(value: object) -> int | None:
    # Ids of errors stand as texts on one page of QuestionPro's, and as numbers on another.
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    return int(value) if digits else _whole(value)  # type: ignore[call-overload]
