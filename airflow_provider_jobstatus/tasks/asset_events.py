"""What the event of an asset says of the file that was written for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.files.destination import resolve
from airflow_provider_jobstatus.files.places import local_path, scheme_of

if TYPE_CHECKING:
    from airflow.sdk import Context


def describe_files(
    context: Context, outlets: Iterable[Any], destination: object, manifests: Sequence[Mapping[str, Any]]
) -> None:
    """
    Put path, rows, size and digest of what was written into the events of the assets that it belongs to.

    Airflow makes an event for each outlet of a task that succeeds. A file belongs to the outlet with the same
    URI; an outlet with the URI of ``destination``, such as a folder, gets all of them. The connection in
    ``s3://conn_id@bucket/key`` may be left out of an outlet's URI.

    :param outlets: the task's. An alias, or a reference by name, has no URI and is left alone.
    :param destination: as the task has it.
    :param manifests: of the files. Of several, the event has the sums, their number as ``"files"``, and None
        as path and digest.
    """
    events: Any = context.get("outlet_events")
    for outlet in outlets if events is not None else ():
        if not isinstance(uri := getattr(outlet, "uri", None), str):
            continue
        place, *_ = _names(uri)
        own = [manifest for manifest in manifests if place in _names(manifest["path"])]
        if found := manifests if place in _names(resolve(destination, "")) else own:
            events[outlet].extra.update(_summary(found))


def _summary(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if len(manifests) == 1:
        names = ("path", "rows", "bytes", "sha256", "skipped")
        return {name: manifests[0][name] for name in names if name in manifests[0]}
    rows = [manifest["rows"] for manifest in manifests]
    return {
        "path": None,
        "rows": None if None in rows else sum(rows),
        "bytes": sum(manifest["bytes"] for manifest in manifests),
        "sha256": None,
        "files": len(manifests),
    }


def _names(place: str) -> list[str]:
    """Return the URIs that ``place`` has: the whole one first, then the one without a connection."""
    try:
        local = local_path(place)
    except SettingsError:  # an asset's, which may be anything
        local = None
    if local is not None:
        return [f"file://{os.path.abspath(os.path.expanduser(local))}"]
    scheme = scheme_of(place)
    rest = place[len(scheme) + 3 :].rstrip("/")
    authority, slash, path = rest.partition("/")
    return [f"{scheme}://{rest}", f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"]
