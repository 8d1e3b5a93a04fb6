"""The responses to a survey at the QuestionPro stand-in, page by page.

Sources: https://questionpro.com/api/get-response.html , https://questionpro.com/api/get-batch-statistics.html
(pages), http://ncahr.org/pagination.html (older pages)

The pages do not say in which order responses stand, or how many a page may have.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_jobstatus.sandbox.questionpro.jobs import Refused
from airflow_provider_jobstatus.sandbox.questionpro.settings import QuestionProSettings

FIRST_ID = 32_000_001
WORDS = ("Always", "Often", "Never")


class Surveys:
    """The responses to all surveys, made up as they are asked for."""

    def __init__(self) -> None:
        # Of each survey, the numbers of its oldest response and of the next one.
        self._numbers: dict[int, tuple[int, int]] = {}

    def page(
        self, survey_id: int, query: Mapping[str, str], settings: QuestionProSettings
    ) -> dict[str, object]:
        """Return a page; afterwards some responses arrive or vanish, as the settings say.

        :raises Refused: ``page`` or ``perPage`` is no good.
        """
        page, per_page = _positive(query, "page", 1), _positive(query, "perPage", 100)
        per_page = min(per_page, settings.most_per_page or per_page)
        begin, end = self._numbers.get(survey_id, (0, settings.survey_responses))
        numbers = range(begin, end)[:: -1 if settings.newest_first else 1]
        place = 0 if settings.ignore_page else (page - 1) * per_page
        shown = [response(survey_id, number) for number in numbers[place : place + per_page]]
        vanished = min(begin + settings.responses_vanish, end)
        self._numbers[survey_id] = vanished, end + settings.responses_arrive
        pages = max(-(-len(numbers) // per_page), 1)
        return {"response": shown, "pagination": pagination(page, pages, per_page, len(numbers), settings)}


def pagination(
    page: int, pages: int, per_page: int, total: int, settings: QuestionProSettings
) -> dict[str, object]:
    """Return what a page says of itself and the others."""
    counted = {"page": page, "total": total}
    if not settings.older_pagination:
        counted = {"totalItems": total, "currentPage": page, "totalPages": pages}
    places = {
        "self": page,
        "prev": page - 1 or None,
        "next": page + 1 if page < pages else None,
        "first": 1,
        "last": pages,
    }
    links = {
        name: None if place is None else f"?page={place}&perPage={per_page}" for name, place in places.items()
    }
    return {"perPage": per_page, **counted, "links": links}


def response(survey_id: int, number: int) -> dict[str, object]:
    """Return one response: to a choice, to an open question, and none to a third."""
    base = 10 * number
    choice = _answer(base + 1, WORDS[number % len(WORDS)], scale=str(number % len(WORDS) + 1))
    words = _answer(base + 2, "", text=f'Response "{number}", with a comma\nand a second line')
    return {
        "responseID": FIRST_ID + number,
        "surveyID": survey_id,
        "surveyName": "Demo survey",
        "ipAddress": "127.0.0.1",
        "timestamp": "05 Oct, 2026 02:51:51 PM PDT",
        "location": {"country": None, "region": "16", "latitude": 0.0, "longitude": 0.0, "radius": 0.0},
        "duplicate": False,
        "timeTaken": 41 + number,
        "responseStatus": "Completed",
        "externalReference": "",
        "customVariables": {"custom1": f"person-{number}@example.com", "custom2": None},
        "language": "English",
        "currentInset": "",
        "operatingSystem": "LINUX",
        "osDeviceType": "COMPUTER",
        "browser": "CHROME",
        "responseSet": [
            _question(71, "Q1", "How often do you conduct surveys?", [choice]),
            _question(72, "Q2", "Why?", [words]),
            _question(73, "Q3", "Anything else?", []),
        ],
    }


def _question(number: int, code: str, text: str, answers: list[object]) -> dict[str, object]:
    return {
        "questionID": number,
        "questionDescription": " ",
        "questionCode": code,
        "questionText": text,
        "imageUrl": None,
        "answerValues": answers,
    }


def _answer(number: int, word: str, **value: str) -> dict[str, object]:
    empty = dict.fromkeys(("scale", "other", "dynamicExplodeText", "text", "result", "fileLink"), "")
    return {"answerID": number, "answerText": word, "value": {**empty, **value, "weight": 0.0}}


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise Refused(400, f"{name} must be a number, from 1", 1003)
    return int(text)
