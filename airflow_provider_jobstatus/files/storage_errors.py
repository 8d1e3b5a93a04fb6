"""Errors of a storage's client that are no ``OSError``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.exceptions import DestinationError

#: Exceptions of clients, by module.
_CLIENT_ERRORS = {
    "botocore.exceptions": "BotoCoreError",
    "gcsfs.retry": "HttpError",
    "google.auth.exceptions": "GoogleAuthError",
    "azure.core.exceptions": "AzureError",
    "asyncssh": "Error",
    "paramiko": "SSHException",
}


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn errors of a storage's client that are no OSError into :class:`DestinationError`."""
    try:
        yield
    except client_errors() as error:
        # asyncssh's is the server's reason; others name addresses and requests in their text.
        reason = clean(getattr(error, "reason", "") or "", 200)
        told = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise DestinationError(f"cannot write {clean(uri)}: {told}") from error


def client_errors() -> tuple[type[Exception], ...]:
    """Return the classes of those that are imported: a client that is not raises nothing."""
    loaded = [(sys.modules[module], name) for module, name in _CLIENT_ERRORS.items() if module in sys.modules]
    # A filesystem for reading only raises NotImplementedError.
    return (NotImplementedError, *(getattr(module, name) for module, name in loaded))
