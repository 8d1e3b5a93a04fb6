"""Whether a destination lies on this machine, and where. From its text alone, without any I/O."""

from __future__ import annotations

import os
import re

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.text import clean

# "simplecache::s3://" is a scheme, too.
_SCHEME = re.compile(r"\A([A-Za-z][A-Za-z0-9+.:-]*)://")
#: Schemes of files of this machine; none is a path.
LOCAL_SCHEMES = ("", "file", "local")
_VARIABLE = re.compile(r"\$[A-Za-z_]\w*|\$\{[^}]*\}|%[A-Z][A-Z_]+%")
# Of Jinja, and of Jinja whose braces an f-string has halved; of a shell, of Ruby; what a library makes of an
# unknown name. A name in braces alone may be one: "{june}".
_TEMPLATE = re.compile(
    r"\{\{|\}\}|\{%|%\}|\{#|\{\s+[A-Za-z_][^{}]*\s\}|[#%@]\{|<%|\$\(|`[^`]*`|<[\w.]*Undefined\b"
)
#: What shows that a text is not meant as a path here, each as the end of a sentence. A folder that is really
#: called None has the path ./None.
_SLIPS = (
    (_TEMPLATE, "holds a template that was not rendered"),
    (
        re.compile(r"\A(?:none|null|nan|undefined)(?:/|\Z)", re.IGNORECASE),
        "begins with what a template makes of nothing",
    ),
    (re.compile(r"""\A["'`]|["'`]\Z"""), "stands in quotes"),
    (re.compile(r"\\"), "has a backslash in it, as on Windows"),
    (
        re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*:/"),
        "begins with a word and a colon, as of another system's files",
    ),
)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def destination_text(destination: object) -> str | None:
    """
    Return the path or URI that ``destination`` is, or None if it is neither.

    :param destination: text, a ``Path``, an ``ObjectStoragePath``, which is no ``os.PathLike``, or an
        ``Asset``, whose URI is the place.
    """
    if isinstance(uri := getattr(destination, "uri", None), str):
        return uri
    if isinstance(destination, os.PathLike):
        destination = os.fspath(destination)
    elif isinstance(getattr(destination, "protocol", None), str):
        return str(destination)
    # White space around it is a slip, and would make a path of a URI.
    return destination.strip() if isinstance(destination, str) else None


def scheme_of(destination: str) -> str:
    """Return the scheme of a URI in lower case; of a path, the empty text."""
    found = _SCHEME.match(destination)
    return found[1].lower() if found else ""


def local_path(destination: str) -> str | None:
    """
    Return the path of a file of this machine, or None if ``destination`` is in a storage.

    A URI is read as ``ObjectStoragePath`` reads it, for which ``%20`` is three characters; but ``localhost``,
    which ``ObjectStoragePath`` takes for a folder, is this machine. A ``~`` is not expanded.

    :raises SettingsError: a shell's variable, which would become a folder of that name, another machine, or
        what cannot be meant as a path: nothing that was rendered, a template, quotes, another system's path.
    """
    scheme = scheme_of(destination)
    if scheme not in LOCAL_SCHEMES:
        if _TEMPLATE.search(destination):
            raise _no_path(destination, "holds a template that was not rendered")
        return None
    path = destination
    if scheme:
        authority, slash, path = destination[len(scheme) + 3 :].partition("/")
        host = authority.rpartition("@")[2]
        if host.startswith("~"):
            path = host + slash + path
        elif host.lower() in ("", "localhost"):
            path = "/" + path
        else:
            raise SettingsError(
                f"destination {clean(destination, 80)!r} is a file of the machine {clean(host, 80)!r}; "
                f"give '{scheme}:///' and the path from the root"
            )
    for slip, problem in _SLIPS:
        if slip.search(path):
            raise _no_path(destination, problem)
    if variable := _VARIABLE.search(path):
        raise SettingsError(
            f"destination {clean(destination, 80)!r} has {clean(variable[0], 80)!r}, which no shell replaces "
            "here; give the path itself, or a template"
        )
    return path


def _no_path(destination: str, problem: str) -> SettingsError:
    return SettingsError(f"destination {clean(destination, 80)!r} {problem}; give a path or a URI")


def uri_caveat(destination: str) -> str | None:
    """Return a sentence if ``destination`` is a local URI whose escapes may have been meant as such."""
    scheme = scheme_of(destination)
    if scheme and scheme in LOCAL_SCHEMES and (escape := _ESCAPE.search(destination)):
        return (
            f"destination {clean(destination, 80)!r}: {escape[0]} is taken as these three characters, as "
            "ObjectStoragePath does; if it stands for another character, give that"
        )
    return None
