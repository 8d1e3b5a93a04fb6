"""
What Airflow knows of this provider: pure data, read at every start of every component.

The forms (``conn-fields``, ``ui-field-behaviour``) are of Airflow 3.2 and later; on 3.1 the keys are JSON.
"""

from __future__ import annotations

from typing import Any


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return a field of a form that holds a text."""
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


#: Extra fields that every vendor's connection has.
_COMMON_FIELDS: dict[str, Any] = {
    "statuses": {
        "label": "Status words (JSON)",
        "description": (
            'Words of the vendor that this provider does not know, such as {"Paused": "running"}. '
            "States: running, succeeded, partial, failed, cancelled."
        ),
        "schema": {"type": ["string", "null"], "format": "json"},
    },
    "timeout": {
        "label": "Request timeout (s)",
        "description": "Seconds that one request may take as a whole. Default 60.",
        "schema": {"type": ["number", "null"], "minimum": 1, "default": 60},
    },
    "requests_per_second": {
        "label": "Requests per second",
        "description": "How many each triggerer sends with this key on average. Default: as documented.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "burst": {
        "label": "Burst",
        "description": "How many requests may be sent at once after a pause. Default 10.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "refusal_grace": {
        "label": "Grace for a refused key (s)",
        "description": "Seconds that a wait bears refused credentials, as until a new key is put in here.",
        "schema": {"type": ["number", "null"], "minimum": 0, "default": 600},
    },
    "verify": _text(
        "CA file",
        "Path of a file of certificate authorities, on every worker and triggerer. Certificate checks cannot "
        "be switched off.",
    ),
    "allow_http": {
        "label": "Allow plain HTTP",
        "description": "Accept an http:// address outside this machine. Credentials travel readable.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "lists": {
        "label": "Use lists of jobs",
        "description": "Whether many waits may be served by the vendor's lists of jobs, where there are any.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
}

#: Name, page and modules of each vendor.
_VENDORS = (
    ("Aftercare", "https://docs.getaftercare.com", "aftercare", ("operators",)),
    ("QuestionPro", "https://www.questionpro.com/api/", "questionpro", ("operators",)),
    ("Ruler Analytics", "https://rulerapi.com/batch-jobs", "ruler", ("operators",)),
    ("Talkdesk", "https://docs.talkdesk.com/docs/explore-api", "talkdesk", ("operators",)),
)
#: What waits for the jobs of every vendor.
_ANY_VENDOR = (
    "Batch jobs",
    "https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/deferring.html",
    "",
    (),
)
_PACKAGE = "airflow_provider_jobstatus"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata: the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-jobstatus",
        "name": "Job status",
        "description": (
            "Wait for batch jobs at Aftercare, QuestionPro, Ruler Analytics and Talkdesk, "
            "and fetch what came out."
        ),
        "integrations": [
            {"integration-name": name, "external-doc-url": page, "tags": ["service"]}
            for name, page, _, _ in (*_VENDORS, _ANY_VENDOR)
        ],
        "hooks": [
            {"integration-name": name, "python-modules": [f"{_PACKAGE}.hooks.{module}"]}
            for name, _, module, _ in _VENDORS
        ],
        "operators": [
            {"integration-name": name, "python-modules": [f"{_PACKAGE}.operators.{module}"]}
            for name, _, module, also in _VENDORS
            if "operators" in also
        ],
        "sensors": [
            {"integration-name": _ANY_VENDOR[0], "python-modules": [f"{_PACKAGE}.sensors.batch_job"]}
        ],
        "triggers": [
            {"integration-name": _ANY_VENDOR[0], "python-modules": [f"{_PACKAGE}.triggers.batch_job"]}
        ],
        "connection-types": [_AFTERCARE, _QUESTIONPRO, _RULER, _TALKDESK],
        "config": {"jobstatus": _CONFIGURATION},
    }


_CONFIGURATION: dict[str, Any] = {
    "description": "Waits for batch jobs at vendors.",
    "options": {
        "max_trigger_bytes": {
            "description": (
                "How many bytes of a trigger's arguments Airflow's database holds; a deferred wait with more "
                "is refused. 0 for any number. Empty: a wait that would not fit on MySQL (65535) is "
                "warned about."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "65535",
            "default": "",
        },
    },
}

_AFTERCARE: dict[str, Any] = {
    "connection-type": "aftercare",
    "hook-class-name": "airflow_provider_jobstatus.hooks.aftercare.AftercareHook",
    "hook-name": "Aftercare",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login"],
        "relabeling": {"host": "Base URL", "password": "API key (required)"},
        "placeholders": {
            "host": "https://surveys.getaftercare.com/api/v1",
            "password": "from Developer, General",
        },
    },
    "conn-fields": {
        "cursor_parameter": {
            "label": "Cursor parameter",
            "description": "Query parameter that takes the cursor of a page of results. Not documented.",
            "schema": {"type": ["string", "null"], "default": "cursor"},
        },
        **_COMMON_FIELDS,
    },
}

_QUESTIONPRO: dict[str, Any] = {
    "connection-type": "questionpro",
    "hook-class-name": "airflow_provider_jobstatus.hooks.questionpro.QuestionProHook",
    "hook-name": "QuestionPro",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login"],
        "relabeling": {"host": "Base URL", "password": "API key (required)"},
        "placeholders": {"host": "https://api.questionpro.com", "password": "of your user"},
    },
    "conn-fields": _COMMON_FIELDS,
}

_RULER: dict[str, Any] = {
    "connection-type": "ruler",
    "hook-class-name": "airflow_provider_jobstatus.hooks.ruler.RulerHook",
    "hook-name": "Ruler Analytics",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {
            "host": "Base URL",
            "login": "User name",
            "password": "Access token or password (required)",
        },
        "placeholders": {
            "host": "https://rest.rulerapi.com/v1",
            "login": "empty for an access token",
            "password": "the access token, or the password of the user name",
        },
    },
    "conn-fields": {
        "site_id": _text("Site id", "Site of job ids that name none. The Test button needs it."),
        "auth_url": _text(
            "Login URL",
            "Where user name and password are exchanged for a token. Default: Ruler's own.",
            format="url",
        ),
        "upload_path": _text(
            "Upload path",
            "Path of uploads after the base URL. Default /{site_id}/{job_type}/batch, as no page names it.",
        ),
        "part_name": _text(
            "Name of the upload's part",
            "The form's part that holds the file. Default file, as no page names it.",
        ),
        "check_failure_count": {
            "label": "Check the number of rejected rows",
            "description": (
                "A file of rejected rows whose number is not the job's failureCount is refused. Unset: it is "
                "only warned about."
            ),
            "schema": {"type": ["boolean", "null"], "default": True},
        },
        **_COMMON_FIELDS,
    },
}

_TALKDESK: dict[str, Any] = {
    "connection-type": "talkdesk",
    "hook-class-name": "airflow_provider_jobstatus.hooks.talkdesk.TalkdeskHook",
    "hook-name": "Talkdesk Explore",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Base URL", "login": "Client id (required)", "password": "Client secret"},
        "placeholders": {
            "host": "https://api.talkdeskapp.com",
            "login": "of your client",
            "password": "required without a private key",
        },
    },
    "conn-fields": {
        "account": _text(
            "Account (required without Token URL)",
            "The first part of your login host: acme of acme.talkdeskid.com.",
        ),
        "region": _text(
            "Region",
            "Where your account is. uk needs the token URL as well.",
            enum=["us", "eu", "ca", "au", "uk"],
            default="us",
        ),
        "token_url": _text(
            "Token URL", "Address of the login in full, instead of that of account and region.", format="url"
        ),
        "private_key": _text(
            "Private key",
            "For signed logins, instead of a client secret: PEM, or the same in base64.",
            format="password",
        ),
        "key_id": _text("Key id", "Id of the private key. Required with one."),
        "algorithm": _text(
            "Algorithm", "How the private key signs.", enum=["ES256", "RS256"], default="ES256"
        ),
        **_COMMON_FIELDS,
    },
}
