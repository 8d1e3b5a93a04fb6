"""The rules of the architecture, held as data and checked over the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import airflow_provider_jobstatus
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.hooks.ruler import RulerHook

NAME = "airflow_provider_jobstatus"
ROOT = Path(airflow_provider_jobstatus.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(ROOT.rglob("*.py"))}

#: Which parts of the package each part may import, itself aside.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "provider_info": set(),
    "core": set(),
    "_compat": set(),
    "exceptions": {"core"},
    "retry_policy": {"core", "exceptions"},
    "waiting": {"core"},
    "transports": {"core"},
    "hooks": {"core", "transports", "_compat"},
    "fleet": {"core", "waiting", "transports", "hooks", "_compat"},
    "files": {"core", "exceptions"},
    "tasks": {"core", "waiting", "transports", "hooks", "files", "_compat", "exceptions"},
    "triggers": {"core", "waiting", "hooks", "fleet"},
    "sensors": {"core", "waiting", "hooks", "triggers", "tasks", "_compat", "exceptions"},
    "operators": {"core", "hooks", "sensors", "tasks", "files", "exceptions"},
    "sandbox": set(),
}
#: What parts may import of others' packages, besides the standard library; a missing part may import all.
LIBRARIES: dict[str, set[str]] = {
    "core": set(),
    "waiting": set(),
    "provider_info": set(),
    "transports": {"requests", "urllib3", "aiohttp", "yarl"},
    "hooks": {"airflow", "jwt"},
    "fleet": {"airflow"},
    "tasks": {"airflow"},
    "triggers": {"airflow"},
    "sensors": {"airflow"},
    "operators": {"airflow"},
    "files": {"airflow", "fsspec"},
    "exceptions": {"airflow"},
    "retry_policy": {"airflow"},
    "_compat": {"airflow"},
    "sandbox": {"aiohttp", "cryptography", "jwt"},
}
#: Modules by which a vendor's hook would do I/O of its own, and functions that do.
IO_MODULES = {
    "aiohttp",
    "asyncio",
    "http",
    "io",
    "os",
    "pathlib",
    "requests",
    "select",
    "shutil",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib3",
}
IO_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
#: Vendor's words that are not also ours.
STATUS_WORDS = set(RulerHook.statuses) - set(JobState)
#: Pieces of vendors' paths and hosts.
PATHS = ("rulerapi", "/batch", "/status", "/failures", "/jobs", "/login", "/v1", "siteId")

Finding = tuple[int, str]
Rule = Callable[[str, ast.Module], Iterator[Finding]]


def part(path: str) -> str:
    """Return the part of the package that a file belongs to."""
    return path.partition("/")[0].removesuffix(".py")


def is_vendor_hook(path: str) -> bool:
    """Return whether a file is part of a vendor's folder."""
    return path.startswith("hooks/") and path.count("/") == 2


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every module that is imported, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            elif node.module == NAME:
                yield from ((node.lineno, f"{NAME}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the text literals that are no docstrings."""
    statements = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.lineno, node.value


def arrows_point_one_way(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Each part imports only parts below it."""
    own = part(path)
    for line, module in imports(tree):
        if module.startswith("."):
            yield line, "relative import"
        if module == NAME or module.startswith(f"{NAME}."):
            other = module.removeprefix(NAME).removeprefix(".").partition(".")[0]
            if other != own and other not in MAY_IMPORT[own]:
                yield line, f"{own} imports {other or 'the package'}"


def only_declared_libraries(path: str, tree: ast.Module) -> Iterator[Finding]:
    """The core imports the standard library alone, each other part what it is for."""
    allowed = LIBRARIES.get(part(path), set()) | sys.stdlib_module_names | {NAME}
    for line, module in imports(tree):
        if not module.startswith(".") and module.partition(".")[0] not in allowed:
            yield line, f"{part(path)} imports {module}"


def transports_are_imported_late(path: str, tree: ast.Module) -> Iterator[Finding]:
    """A DAG file that imports a hook loads no HTTP library; only what connects a hook knows transports."""
    if part(path) not in ("hooks", "fleet", "tasks", "files", "sensors", "operators", "triggers"):
        return
    late = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.If))
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if any(module.startswith(f"{NAME}.transports") for _, module in imports(node)):
            if id(node) not in late:
                yield node.lineno, "a transport is imported with the module"
            if part(path) == "hooks" and path not in ("hooks/driving.py", "hooks/calls.py"):
                yield node.lineno, "a hook imports a transport"


def only_the_hook_drives(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Operations are driven by ``call``, ``acall`` and ``open`` alone, so that no credential is forgotten."""
    if part(path) in ("core", "transports", "sandbox") or path == "hooks/driving.py":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == f"{NAME}.core.operation":
            for name in {alias.name for alias in node.names} - {"Operation", "Secrets"}:
                yield node.lineno, f"imports {name}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            of = getattr(owner, "attr", getattr(owner, "id", ""))
            if node.func.attr == "converse" or (node.func.attr in ("run", "open") and "client" in of):
                yield node.lineno, f"drives by {node.func.attr}"


def vendors_hooks_do_no_io(path: str, tree: ast.Module) -> Iterator[Finding]:
    """A vendor's hook is flows; the base drives them."""
    if not is_vendor_hook(path):
        return
    for line, module in imports(tree):
        if module.partition(".")[0] in IO_MODULES:
            yield line, f"imports {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_CALLS:
            yield node.lineno, f"calls {node.func.id}"
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor)):
            yield node.lineno, "is asynchronous"


def nobody_asks_which_vendor_it_is(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Outside hooks and sandbox, no code is for one vendor only."""
    if part(path) in ("hooks", "sandbox"):
        return
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            asked = [node.subject]
        for expression in asked:
            name = getattr(expression, "attr", getattr(expression, "id", ""))
            if name in ("vendor", "conn_type"):
                yield node.lineno, f"compares {name}"


def vendors_words_stay_in_their_hook(path: str, tree: ast.Module) -> Iterator[Finding]:
    """A status word, path or host of a vendor stands in its hook, the metadata and the sandbox only."""
    if is_vendor_hook(path) or part(path) in ("provider_info", "sandbox"):
        return
    for line, text in texts(tree):
        if text.strip().lower() in STATUS_WORDS:
            yield line, f"the status word {text!r}"
        if any(piece in text for piece in PATHS):
            yield line, f"the path {text!r}"


def nobody_catches_everything(path: str, tree: ast.Module) -> Iterator[Finding]:
    """
    Only the trigger's outer boundary makes a result of any exception; others clean up and re-raise.

    What goes wrong in one wait reaches it through ``fleet/subscription.py`` or ``fleet/waits.py``: all are
    told from one task. What goes wrong in a request is reported by ``fleet/driver.py``.
    How a task ends that leaves its results in ``tasks/results.py`` is decided already.
    A secrets backend that ``hooks/connection_lookup.py`` asks may raise anything, and so may a hook of
    another package, which ``fleet/job_places.py`` has read an id and ``fleet/list_serving.py`` a list.
    So may a task state store (``tasks/submission_store.py``); and whatever stops a submission half way, or
    a task after it, leaves
    ``tasks/submission.py`` without the knowledge of a job.
    """
    boundaries = (
        "triggers/batch_job.py",
        "fleet/subscription.py",
        "fleet/waits.py",
        "fleet/driver.py",
        "fleet/job_places.py",
        "fleet/list_serving.py",
        "tasks/results.py",
        "tasks/after_submission.py",
        "tasks/submission.py",
        "tasks/submission_store.py",
        "hooks/connection_lookup.py",
    )
    if part(path) == "sandbox" or path in boundaries:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            names = {
                getattr(kind, "id", getattr(kind, "attr", ""))
                for kind in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type])
            }
            raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if node.type is None or "Exception" in names or ("BaseException" in names and not raises):
                yield node.lineno, "catches everything"


def no_bare_exception_of_airflow_is_raised(path: str, tree: ast.Module) -> Iterator[Finding]:
    """What a task fails with has a class of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if getattr(raised, "id", getattr(raised, "attr", "")) in ("AirflowException", "Exception"):
                yield node.lineno, "raises a bare exception"


RULES: tuple[Rule, ...] = (
    arrows_point_one_way,
    only_declared_libraries,
    transports_are_imported_late,
    only_the_hook_drives,
    vendors_hooks_do_no_io,
    nobody_asks_which_vendor_it_is,
    vendors_words_stay_in_their_hook,
    nobody_catches_everything,
    no_bare_exception_of_airflow_is_raised,
)


def findings(rule: Rule, path: str, source: str) -> list[str]:
    return [f"{path}:{line}: {what}" for line, what in rule(path, ast.parse(source))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_each_rule(rule: Rule) -> None:
    assert [found for path, source in MODULES.items() for found in findings(rule, path, source)] == []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (arrows_point_one_way, "core/jobs.py", f"from {NAME}.hooks.base import BatchJobHook"),
        (arrows_point_one_way, "core/jobs.py", f"from {NAME} import exceptions"),
        (arrows_point_one_way, "core/jobs.py", "from . import errors"),
        (arrows_point_one_way, "core/jobs.py", f"def f():\n    import {NAME}.transports.blocking"),
        (arrows_point_one_way, "transports/aio.py", f"from {NAME}.hooks.connection_settings import Settings"),
        (arrows_point_one_way, "hooks/base.py", f"from {NAME}.triggers.batch_job import BatchJobTrigger"),
        (arrows_point_one_way, "hooks/ruler/__init__.py", f"from {NAME}.sandbox import Sandbox"),
        (arrows_point_one_way, "sandbox/ruler/__init__.py", f"from {NAME}.hooks.ruler import RulerHook"),
        (arrows_point_one_way, "sandbox/ruler/__init__.py", f"from {NAME}.core.jobs import JobState"),
        (arrows_point_one_way, "sensors/batch_job.py", f"from {NAME}.operators.ruler import X"),
        (arrows_point_one_way, "triggers/batch_job.py", f"from {NAME}.sensors.batch_job import X"),
        (arrows_point_one_way, "tasks/results.py", f"from {NAME}.sensors.batch_job import X"),
        (arrows_point_one_way, "tasks/deferral.py", f"from {NAME}.triggers.batch_job import X"),
        (arrows_point_one_way, "provider_info.py", f"from {NAME}.hooks.ruler import RulerHook"),
        (only_declared_libraries, "core/auth.py", "import jwt"),
        (only_declared_libraries, "core/jobs.py", "from airflow.sdk import BaseHook"),
        (only_declared_libraries, "provider_info.py", "import airflow"),
        (only_declared_libraries, "sandbox/ruler/__init__.py", "import airflow"),
        (only_declared_libraries, "transports/aio.py", "from airflow.sdk import Connection"),
        (only_declared_libraries, "files/download.py", "import requests"),
        (transports_are_imported_late, "hooks/driving.py", f"from {NAME}.transports.aio import AioClient"),
        (transports_are_imported_late, "triggers/batch_job.py", f"import {NAME}.transports.aio"),
        (
            transports_are_imported_late,
            "hooks/ruler/__init__.py",
            f"def f():\n    from {NAME}.transports.blocking import BlockingClient",
        ),
        (only_the_hook_drives, "operators/ruler.py", f"from {NAME}.core.operation import conversation"),
        (only_the_hook_drives, "tasks/worker.py", "self._client.run(flow)"),
        (only_the_hook_drives, "operators/ruler.py", "with client.open(flow): ..."),
        (only_the_hook_drives, "fleet/request_pool.py", "client.run(hook.converse(operation))"),
        (vendors_hooks_do_no_io, "hooks/ruler/__init__.py", "import requests"),
        (vendors_hooks_do_no_io, "hooks/ruler/__init__.py", "import asyncio"),
        (vendors_hooks_do_no_io, "hooks/talkdesk/__init__.py", "from time import time"),
        (vendors_hooks_do_no_io, "hooks/ruler/__init__.py", "def f():\n    return open('/etc/passwd')"),
        (vendors_hooks_do_no_io, "hooks/ruler/__init__.py", "async def f(): ..."),
        (nobody_asks_which_vendor_it_is, "sensors/batch_job.py", "if status.vendor == 'ruler': ..."),
        (nobody_asks_which_vendor_it_is, "triggers/batch_job.py", "if conn_type in ('ruler',): ..."),
        (nobody_asks_which_vendor_it_is, "waiting/poller.py", "match vendor:\n    case 'ruler': ..."),
        (vendors_words_stay_in_their_hook, "core/jobs.py", "x = 'partialcomplete'"),
        (vendors_words_stay_in_their_hook, "operators/ruler.py", "x = f'/v1/{site}/batch/{job}/status'"),
        (vendors_words_stay_in_their_hook, "hooks/base.py", "x = 'https://rest.rulerapi.com'"),
        (nobody_catches_everything, "hooks/ruler/__init__.py", "try: ...\nexcept Exception: ..."),
        (nobody_catches_everything, "waiting/poller.py", "try: ...\nexcept: ..."),
        (nobody_catches_everything, "waiting/poller.py", "try: ...\nexcept (ValueError, Exception): ..."),
        (nobody_catches_everything, "files/download.py", "try: ...\nexcept BaseException: x = 1"),
        (no_bare_exception_of_airflow_is_raised, "tasks/outcome_policy.py", "raise AirflowException('no')"),
        (no_bare_exception_of_airflow_is_raised, "tasks/outcome_policy.py", "raise Exception"),
    ],
)
def test_a_rule_notices_what_breaks_it(rule: Rule, path: str, source: str) -> None:
    assert findings(rule, path, source) != []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (arrows_point_one_way, "operators/ruler.py", f"from {NAME}.hooks.ruler import RulerHook"),
        (
            transports_are_imported_late,
            "hooks/driving.py",
            f"if TYPE_CHECKING:\n    import {NAME}.transports.aio",
        ),
        (vendors_hooks_do_no_io, "hooks/base.py", "import asyncio"),
        (vendors_words_stay_in_their_hook, "core/jobs.py", "def f():\n    '''partialcomplete'''"),
        (vendors_words_stay_in_their_hook, "hooks/ruler/__init__.py", "x = 'partialcomplete'"),
        (nobody_catches_everything, "files/download.py", "try: ...\nexcept BaseException:\n    raise"),
    ],
)
def test_a_rule_lets_pass_what_keeps_it(rule: Rule, path: str, source: str) -> None:
    assert findings(rule, path, source) == []


def test_the_table_knows_every_part_of_the_package() -> None:
    assert {part(path) for path in MODULES} == set(MAY_IMPORT)
    assert set(LIBRARIES) | {"__init__"} == set(MAY_IMPORT)


def test_the_arrows_of_the_table_form_no_circle() -> None:
    left = dict(MAY_IMPORT)
    while left:
        free = {name for name, below in left.items() if not below & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {name: below for name, below in left.items() if name not in free}


def test_each_vendor_is_a_folder_of_the_same_files() -> None:
    found = {path for path in MODULES if is_vendor_hook(path)}
    folders = {path.rpartition("/")[0] for path in found}
    assert len(folders) == 4
    needed = {f"{folder}/{name}.py" for folder in folders for name in ("__init__", "job", "status")}
    assert needed - found == set()


def test_no_module_has_grown_to_hold_two_things() -> None:
    assert {path: lines for path, source in MODULES.items() if (lines := source.count("\n")) > 250} == {}
