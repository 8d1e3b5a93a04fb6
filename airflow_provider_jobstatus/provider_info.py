"""
What Airflow knows of this provider: pure data, read at every start of every component.

``conn-fields`` and ``ui-field-behaviour`` make the connection forms of Airflow 3.2 and later. On 3.1 the same
keys are written into the connection's extra as JSON.
"""

from __future__ import annotations

from typing import Any

#: Extra fields that every vendor's connection has.
_COMMON_FIELDS: dict[str, Any] = {
    "statuses": {
        "label": "Status words",
        "description": (
            'Vendor words that this provider does not know, as JSON: {"Paused": "running"}. '
            "States: running, succeeded, partial, failed, cancelled."
        ),
        "schema": {"type": ["string", "null"], "format": "json"},
    },
    "timeout": {
        "label": "Longest call",
        "description": "Seconds that one call may take as a whole. Default 60.",
        "schema": {"type": ["number", "null"], "minimum": 1, "default": 60},
    },
    "verify": {
        "label": "CA file",
        "description": (
            "Path of a file of certificate authorities, on every worker and triggerer. "
            "Certificate checks cannot be switched off."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "allow_http": {
        "label": "Allow http",
        "description": "Accept a plain http:// address outside this machine. Credentials travel readable.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}


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
            {
                "integration-name": "Ruler Analytics",
                "external-doc-url": "https://rulerapi.com/batch-jobs",
                "tags": ["service"],
            },
        ],
        "hooks": [
            {
                "integration-name": "Ruler Analytics",
                "python-modules": ["airflow_provider_jobstatus.hooks.ruler"],
            },
        ],
        "operators": [
            {
                "integration-name": "Ruler Analytics",
                "python-modules": ["airflow_provider_jobstatus.operators.ruler"],
            },
        ],
        "sensors": [
            {
                "integration-name": "Ruler Analytics",
                "python-modules": ["airflow_provider_jobstatus.sensors.batch_job"],
            },
        ],
        "triggers": [
            {
                "integration-name": "Ruler Analytics",
                "python-modules": ["airflow_provider_jobstatus.triggers.batch_job"],
            },
        ],
        "connection-types": [_RULER],
    }


_RULER: dict[str, Any] = {
    "connection-type": "ruler",
    "hook-class-name": "airflow_provider_jobstatus.hooks.ruler.RulerHook",
    "hook-name": "Ruler Analytics",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {
            "host": "Base URL",
            "login": "User",
            "password": "Password or access token",
        },
        "placeholders": {
            "host": "https://rest.rulerapi.com/v1",
            "login": "empty for an access token",
            "password": "of the user, or the access token itself",
        },
    },
    "conn-fields": {
        "site_id": {
            "label": "Site",
            "description": "Default siteId, for job ids that name none.",
            "schema": {"type": ["string", "null"]},
        },
        "auth_url": {
            "label": "Login URL",
            "description": "Where user and password are exchanged for a token. Default: Ruler's own.",
            "schema": {"type": ["string", "null"], "format": "url"},
        },
        **_COMMON_FIELDS,
    },
}
