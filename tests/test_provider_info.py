"""What Airflow learns of this provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager

import airflow_provider_jobstatus
from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.provider_info import get_provider_info

INFO = get_provider_info()
PACKAGE = Path(airflow_provider_jobstatus.__file__).parent
#: Modules of these folders that are no one's to import but ours; so is what a vendor's folder holds.
INTERNAL = {
    "hooks.airflow_configuration",
    "hooks.base",
    "hooks.calls",
    "hooks.connected",
    "hooks.connection_lookup",
    "hooks.connection_settings",
    "hooks.driving",
    "hooks.extra_fields",
    "hooks.flow_kit",
    "hooks.registry",
    "hooks.validators",
    "operators.aftercare_results",
    "operators.connection",
    "operators.submitting",
    "operators.personal_fields",
    "operators.ruler_failures",
    "operators.ruler_uploads",
    "operators.survey_responses",
    "operators.talkdesk_files",
    "operators.talkdesk_request",
    "sensors.resumption",
    "sensors.waiting_sensor",
}
FORMS = tuple(int(number) for number in airflow.__version__.split(".")[:2]) >= (3, 2)
#: What the design says of every vendor's connection.
COMMON_FIELDS = {
    *("statuses", "timeout", "verify", "allow_http", "requests_per_second", "burst"),
    *("refusal_grace", "lists"),
}


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (Path(airflow.__file__).parent / "provider_info.schema.json").read_text()
    )
    return found


def hook_class(connection_type: dict[str, Any]) -> type[BatchJobHook]:
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    found: type[BatchJobHook] = getattr(import_module(module), name)
    return found


def public_modules(kind: str) -> set[str]:
    folder = PACKAGE / kind
    paths = [*folder.glob("*.py"), *(path.parent for path in folder.glob("*/__init__.py"))]
    names = {f"{kind}.{path.stem}" for path in paths if path.stem != "__init__"}
    return {f"airflow_provider_jobstatus.{name}" for name in names - INTERNAL}


def test_the_entry_point_gives_the_metadata() -> None:
    (found,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.value.startswith("airflow_provider_jobstatus.")
    )
    assert found.load()() == INFO
    assert found.dist is not None
    assert found.dist.name == INFO["package-name"]


def test_airflows_own_schema_accepts_the_metadata() -> None:
    jsonschema.validate(INFO, schema())


def test_the_schema_knows_every_key_of_ours() -> None:
    # It accepts unknown keys, so that a typing mistake would pass.
    assert set(INFO) <= set(schema()["properties"])


def test_the_metadata_is_plain_json() -> None:
    assert json.loads(json.dumps(INFO)) == INFO


def test_each_call_gives_metadata_of_its_own() -> None:
    get_provider_info()["integrations"].clear()
    assert get_provider_info() == INFO


@pytest.mark.parametrize(
    "connection_type", INFO["connection-types"], ids=lambda entry: entry["connection-type"]
)
def test_a_hook_says_of_itself_what_the_metadata_says(connection_type: dict[str, Any]) -> None:
    hook = hook_class(connection_type)
    assert issubclass(hook, BatchJobHook)
    assert hook.conn_type == connection_type["connection-type"]
    assert hook.hook_name == connection_type["hook-name"]
    assert hook.default_conn_name == f"{hook.conn_type}_default"
    assert hook.conn_name_attr == f"{hook.conn_type}_conn_id"
    assert hook.public_url.startswith(connection_type["ui-field-behaviour"]["placeholders"]["host"])


@pytest.mark.parametrize(
    "connection_type", INFO["connection-types"], ids=lambda entry: entry["connection-type"]
)
def test_a_form_has_the_common_fields_and_a_sentence_for_each_field(connection_type: dict[str, Any]) -> None:
    fields = connection_type["conn-fields"]
    assert set(fields) == COMMON_FIELDS | (hook_class(connection_type).extra_fields or set())
    for field in fields.values():
        assert field["label"]
        assert field["description"].endswith((".", "}"))
        assert "null" in field["schema"]["type"]  # none is required
    shown = {"host", "password"} | set(fields)
    assert not shown & set(connection_type["ui-field-behaviour"]["hidden-fields"])


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_public_module_is_listed_and_every_listed_one_is_there(kind: str) -> None:
    listed = [module for entry in INFO[kind] for module in entry["python-modules"]]
    assert sorted(listed) == sorted(public_modules(kind))
    for module in listed:
        import_module(module)
    integrations = {entry["integration-name"] for entry in INFO["integrations"]}
    assert {entry["integration-name"] for entry in INFO[kind]} <= integrations


def test_airflows_registry_of_connection_types_names_our_hooks() -> None:
    registry = _compat.hook_registry()
    for connection_type in INFO["connection-types"]:
        found = registry[connection_type["connection-type"]]
        assert found.hook_class_name == connection_type["hook-class-name"]
        assert found.package_name == "airflow-provider-jobstatus"
        assert found.connection_testable


@pytest.mark.skipif(not FORMS, reason="connection forms come from metadata since Airflow 3.2")
def test_airflow_builds_the_connection_form_from_the_metadata() -> None:
    manager = ProvidersManager()
    for connection_type in INFO["connection-types"]:
        name = connection_type["connection-type"]
        prefix = f"extra__{name}__"
        fields = {
            key.removeprefix(prefix) for key in manager.connection_form_widgets if key.startswith(prefix)
        }
        assert fields == set(connection_type["conn-fields"])
        behaviour = manager.field_behaviours[name]
        assert set(behaviour["hidden_fields"]) >= {"schema", "port"}
        assert behaviour["relabeling"]["host"] == "Base URL"


#: What cannot be left empty, and what may take its place.
REQUIRED = {
    "aftercare": {"password": "API key (required)"},
    "questionpro": {"password": "API key (required)"},
    "ruler": {"password": "Access token or password (required)"},
    "talkdesk": {"login": "Client id (required)", "account": "Account (required without Token URL)"},
}


@pytest.mark.parametrize(
    "connection_type", INFO["connection-types"], ids=lambda entry: entry["connection-type"]
)
def test_a_form_is_labelled_as_a_stranger_needs_it(connection_type: dict[str, Any]) -> None:
    fields = connection_type["conn-fields"]
    labels = connection_type["ui-field-behaviour"]["relabeling"] | {
        name: field["label"] for name, field in fields.items()
    }
    required = {name: label for name, label in labels.items() if "required" in label}
    assert required == REQUIRED[connection_type["connection-type"]]
    expected = {
        "timeout": "Request timeout (s)",
        "burst": "Burst",
        "requests_per_second": "Requests per second",
        "statuses": "Status words (JSON)",
        "key_id": "Key id",
        "site_id": "Site id",
    }
    assert {name: labels[name] for name in expected if name in labels} == {
        name: label for name, label in expected.items() if name in labels
    }
    # A duration names its unit, and no description only continues its label.
    for field in fields.values():
        assert field["description"].endswith(".")
        assert not field["description"].startswith(("That ", "Of "))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("list", [{"package_name": "airflow-provider-jobstatus"}]),
        (
            "hooks",
            [
                {
                    "connection_type": "ruler",
                    "class": "airflow_provider_jobstatus.hooks.ruler.RulerHook",
                    "conn_id_attribute_name": "ruler_conn_id",
                    "package_name": "airflow-provider-jobstatus",
                    "hook_name": "Ruler Analytics",
                }
            ],
        ),
        (
            "triggers",
            [
                {
                    "package_name": "airflow-provider-jobstatus",
                    "class": "airflow_provider_jobstatus.triggers.batch_job",
                }
            ],
        ),
    ],
)
def test_airflows_command_line_shows_us_without_a_warning(
    home: Path, command: str, expected: list[dict[str, str]]
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", command, "--output", "json"],
        env=os.environ | {"AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = json.loads(ran.stdout.splitlines()[-1])
    for wanted in expected:
        assert [row for row in rows if wanted.items() <= row.items()]
    complaints = [
        line
        for line in (ran.stdout + ran.stderr).splitlines()
        if "jobstatus" in line
        and any(word in line.lower() for word in ("[warn", "[error", "warning:", "error:"))
    ]
    assert complaints == []
