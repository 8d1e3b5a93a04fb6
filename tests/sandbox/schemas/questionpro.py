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
_FIELDS = _typed("docs", "resourceUrl", "name", "message", "httpStatusCode")
ERROR = _closed({"response": _closed({"error": _closed(_FIELDS | {"id": {"type": "string"}})})})
"""An error's id is a string here, where a mailing's is a number."""
