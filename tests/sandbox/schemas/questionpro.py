"""What QuestionPro's replies look like, restated as JSON schemas.

Source: https://www.questionpro.com/api/communities/batch-details.html , which allows no other keys.
"""

from __future__ import annotations

from typing import Any

TYPES = {
    "surveyID": "integer",
    "senderUserID": "integer",
    "creationTimestamp": "string",
    "id": "integer",
    "status": "string",
    "docs": "string",
    "resourceUrl": "string",
    "name": "string",
    "message": "string",
    "httpStatusCode": "integer",
}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _typed(*names: str) -> dict[str, Any]:
    return {name: {"type": TYPES[name]} for name in names}


BATCH = _closed(
    {
        "response": _closed(_typed("surveyID", "senderUserID", "creationTimestamp", "id", "status")),
        "requestID": {"type": "string"},
    }
)
_WHOLE = {"type": "integer", "minimum": 0}
_PAGES = {
    "perPage": _WHOLE,
    "totalItems": _WHOLE,
    "currentPage": _WHOLE,
    "totalPages": _WHOLE,
    "links": {"type": "object"},
}
_ANSWER = {
    "type": "object",
    "properties": {"answerID": _WHOLE, "answerText": {"type": "string"}, "value": {"type": "object"}},
    "required": ["answerID", "answerText", "value"],
}
_QUESTION = {
    "type": "object",
    "properties": {"questionID": _WHOLE, "answerValues": {"type": "array", "items": _ANSWER}},
    "required": ["questionID", "questionCode", "questionText", "answerValues"],
}
_RESPONSE = {
    "type": "object",
    "properties": {
        **{"responseID": _WHOLE, "surveyID": _WHOLE, "timeTaken": _WHOLE, "duplicate": {"type": "boolean"}},
        "responseSet": {"type": "array", "items": _QUESTION},
    },
    "required": ["responseID", "surveyID", "responseSet"],
}
RESPONSES = _closed(
    {
        "response": {"type": "array", "items": _RESPONSE},
        "pagination": _closed(_PAGES),
        "requestID": {"type": "string"},
    }
)
"""Sources: https://questionpro.com/api/get-response.html , https://questionpro.com/api/get-batch-statistics.html"""
_FIELDS = _typed("docs", "resourceUrl", "name", "message", "httpStatusCode")
ERROR = _closed({"response": _closed({"error": _closed(_FIELDS | {"id": {"type": "string"}})})})
"""An error's id is a string here, where a mailing's is a number."""
