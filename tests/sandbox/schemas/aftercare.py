"""What Aftercare's replies look like, restated as JSON schemas.

Source: the OpenAPI description of the vendor (https://github.com/Kontractify/docs,
api-reference/openapi.json). Two things differ from it on purpose: ``results`` may be null, as its example of
a new job has it, and the shape of ``results`` follows from ``status``, which its discriminator cannot say.
Unknown keys are refused everywhere, so that the stand-in invents none.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def thing(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object with these keys and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def many(items: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def when(words: list[str], results: Schema, *, needed: bool = True) -> Schema:
    """Return a rule: what ``results`` must be under these status words."""
    then: Schema = {"properties": {"results": results}} | ({"required": ["results"]} if needed else {})
    return {"if": {"properties": {"status": {"enum": words}}}, "then": then}


TEXT: Schema = {"type": "string"}
SCORE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
CURSOR: Schema = {"type": ["string", "null"], "minLength": 1}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}

ERROR = thing({"code": TEXT, "message": TEXT}, {"details": {"type": "object"}})

FOLLOWUP = thing({"question": TEXT, "answer": TEXT})
RESPONSE = thing({"responseIdentifier": TEXT, "answer": TEXT}, {"followupResponses": many(FOLLOWUP)})
CODE = thing(
    {
        "id": {"type": "integer"},
        "label": TEXT,
        "responses": many(RESPONSE),
        "subCodes": many({"$ref": "#/$defs/code"}),
    }
)
QUESTION = thing(
    {"questionIdentifier": TEXT, "question": TEXT, "responseCodes": many({"$ref": "#/$defs/code"})}
)
CODING_RESULTS = thing({"completedAt": TIME, "questionCodes": many(QUESTION)}, {"nextCursor": CURSOR})

CODING: Schema = {
    "$defs": {"code": CODE},
    **thing(
        {
            "batchJobId": TEXT,
            "surveyIdentifier": TEXT,
            "status": {"enum": ["queued", "processing", "completed", "partial_failure", "total_failure"]},
        },
        {"results": {}},
    ),
    "allOf": [
        when(["queued", "processing"], {"type": "null"}, needed=False),
        when(["completed"], CODING_RESULTS),
        when(["partial_failure", "total_failure"], thing({"code": TEXT, "message": TEXT})),
    ],
}

CHECK = thing(
    {
        "type": {
            "enum": [
                "Nonsensical",
                "Irrelevant",
                "Low Effort",
                "LLM Generated",
                "Repeated Answers",
                "Duplicate Answers",
            ]
        },
        "score": SCORE,
        "isIssue": FLAG,
    },
    {"evidence": TEXT},
)
SCORES: Schema = {"numIssues": COUNT, "qualityScore": SCORE, "demeritScore": SCORE}
EVALUATION = thing(
    {
        **SCORES,
        "surveyEntry": thing({"question": TEXT, "answer": TEXT}),
        "qualityIssueChecks": many(CHECK),
    },
    {"hasIssues": FLAG},
)
RESPONDENT = thing({**SCORES, "evaluations": many(EVALUATION)}, {"responseIdentifier": TEXT})
QUALITY = thing(
    {"batchJobId": TEXT, "status": {"enum": ["queued", "processing", "completed", "failed"]}},
    {"results": thing({"items": many(RESPONDENT)}, {"nextCursor": CURSOR})},
)
