"""What can be set about the QuestionPro stand-in.

Sources: https://questionpro.com/api/limits.html , https://questionpro.com/api/error-codes.html ,
http://ncahr.org/pagination.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_jobstatus.sandbox.admin_fields import Fields


@dataclass(frozen=True, kw_only=True)
class QuestionProSettings:
    """What can be set besides the key.

    :param permitted: Whether the key may see mailings at all; without, every call is a 403.
    :param errors_inside_200: Whether errors come with the HTTP status 200.
    :param integer_error_ids: Whether the id of an error is a number, as on the page of codes; else a string.
    :param requests_per_window: How many calls are answered in a window of time; 0 for any number.
    :param window_seconds: How long the window is.
    :param retry_after_seconds: The ``Retry-After`` of a throttled call; 0 for none (unknown at the vendor).
    :param licence_calls_left: After how many calls the licence is spent; None for never.
    :param create_status: The HTTP status for a new mailing, 200 or 201 (unknown at the vendor).
    :param create_running_seconds: How long a new mailing takes.
    :param survey_responses: How many responses a survey has before the first page of them is given.
    :param responses_arrive: How many arrive after each page.
    :param responses_vanish: How many, the oldest, are deleted after each page.
    :param newest_first: Whether the newest responses stand first (unknown at the vendor).
    :param most_per_page: A larger ``perPage`` counts as this one; 0 for none (unknown at the vendor).
    :param older_pagination: Whether pages have ``page`` and ``total``, as an older page shows.
    :param ignore_page: Whether ``page`` is not looked at, so that each page is the first.
    """

    permitted: bool = True
    errors_inside_200: bool = False
    integer_error_ids: bool = False
    requests_per_window: int = 0
    window_seconds: float = 60.0
    retry_after_seconds: int = 0
    licence_calls_left: int | None = None
    create_status: int = 200
    create_running_seconds: float = 8.0
    survey_responses: int = 25
    responses_arrive: int = 0
    responses_vanish: int = 0
    newest_first: bool = False
    most_per_page: int = 0
    older_pagination: bool = False
    ignore_page: bool = False


def read_settings(given: Fields, old: QuestionProSettings) -> QuestionProSettings:
    """Read changes of settings."""
    return replace(old, **given.changed(old, create_status=(200, 201)))
