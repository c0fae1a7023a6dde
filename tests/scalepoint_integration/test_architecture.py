"""The rules of docs/architecture.md that a machine can check."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("settings", "scalepoint_integration", "tasks", "crm")
APP = ROOT / "scalepoint_integration"


def modules(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path, *, types_too: bool = False) -> Iterator[str]:
    """Everything a module imports, also inside functions; what only the type checker sees with ``types_too`` alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types_too:
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("app", OURS)
def test_an_app_imports_only_what_stands_below_it(app: str) -> None:
    above = OURS[: OURS.index(app)]
    for path in modules(ROOT / app):
        wrong = [name for name in imports(path) if name.split(".")[0] in above]
        assert not wrong, f"{path} imports {wrong}"


def test_only_the_adapter_calls_the_services_of_crm_and_tasks() -> None:
    for path in modules(APP):
        if path.name == "adapter.py":
            continue
        wrong = [name for name in imports(path) if name.startswith(("crm.services", "tasks.services"))]
        wrong += [name for name in imports(path) if name in ("crm.services", "tasks.services")]
        assert not wrong, f"{path} imports {wrong}"


def test_a_page_puts_nothing_into_a_queue() -> None:
    """The module of each queue does that, and rings; a page may only name a row of one, and what it raises."""
    allowed = {f"scalepoint_integration.workqueue.{name}" for name in ("QueueError", "QueueItem")}
    for path in modules(APP / "admin"):
        queues = ("scalepoint_integration.workqueue", "scalepoint_integration.doorbell")
        wrong = [name for name in imports(path) if name.startswith(queues) and name not in allowed]
        assert not wrong, f"{path} imports {wrong}"


def test_payloads_are_pure() -> None:
    for path in modules(APP / "payloads"):
        wrong = [name for name in imports(path) if name.startswith(("django", "rest_framework", "celery", "requests"))]
        wrong += [
            name
            for name in imports(path)
            if name.startswith(("scalepoint_integration.", "tasks", "crm"))
            and not name.startswith(("scalepoint_integration.payloads", "crm.masks"))
        ]
        assert not wrong, f"{path} imports {wrong}"


def test_one_module_opens_foreign_addresses() -> None:
    libraries = ("requests", "urllib3", "http.client", "http.server", "urllib.request", "socket", "httpx")
    allowed = {APP / "images" / "fetch.py", APP / "api" / "deadline.py"}
    for path in modules(APP):
        if path in allowed or APP / "simulator" in path.parents or APP / "client" in path.parents:
            continue
        wrong = [name for name in imports(path) if name.startswith(libraries)]
        assert not wrong, f"{path} imports {wrong}"


LAYERS = [
    ("conf",),
    ("payloads", "errors", "events", "queues"),
    ("workqueue",),
    ("models",),
    ("keys", "client"),
    ("cases", "merging", "signals", "lifecycle"),
    ("adapter",),
    ("images", "outbox", "settlements", "notices", "receiving"),
    ("followup",),
    ("handlers", "handling"),
    ("inbox",),
    ("office", "timeline", "figures", "connections", "silence", "checklist", "export", "mail", "roles"),
    ("api", "poller", "jobs", "test_cases", "admin", "management", "urls", "checks", "templatetags"),
]


def test_inside_the_app_imports_go_downwards() -> None:
    rank = {name: number for number, names in enumerate(LAYERS) for name in names}
    # workqueue is an abstract model; the models of the queues stand on it. fetch and picture stand below their queue.
    for path in modules(APP):
        inside = path.relative_to(APP).parts
        own = inside[0].removesuffix(".py")
        if own in ("__init__", "apps", "simulator"):
            continue
        assert own in rank, f"{path}: which layer is it in?"
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "scalepoint_integration" or len(parts) == 1 or parts[1] == own:
                continue
            assert parts[1] == "simulator" or rank[parts[1]] <= rank[own], f"{path} imports {name}"


def test_the_simulator_imports_without_a_circle() -> None:
    """Also under TYPE_CHECKING. Each file can be understood after the ones it imports, and without the others."""
    prefix = "scalepoint_integration.simulator."
    files = {path.stem: path for path in modules(APP / "simulator")}
    needs = {
        name: {found for each in imports(path, types_too=True) for found in _of_simulator(each, prefix, files)}
        for name, path in files.items()
    }
    assert needs["server"] == {"exchange", "routes", "state"}
    assert "server" not in set().union(*needs.values())
    list(graphlib.TopologicalSorter(needs).static_order())  # raises CycleError


def _of_simulator(name: str, prefix: str, files: dict[str, Path]) -> set[str]:
    return {name.removeprefix(prefix).split(".")[0]} & set(files) if name.startswith(prefix) else set()


def test_celery_is_imported_by_the_jobs_and_when_a_ring_is_published() -> None:
    for path in modules(APP):
        wrong = [name for name in imports(path) if name.startswith(("celery", "kombu"))]
        if path == APP / "workqueue" / "doorbell.py":
            assert wrong == ["celery.current_app"]
            wrong = [
                name.name
                for node in ast.parse(path.read_text()).body
                if isinstance(node, ast.Import | ast.ImportFrom)
                for name in node.names
                if "celery" in (getattr(node, "module", "") or name.name)
            ]
        assert not wrong or path == APP / "jobs.py", f"{path} imports {wrong}"


def test_only_celery_imports_the_jobs() -> None:
    for path in modules(APP):
        assert not [name for name in imports(path) if name.startswith("scalepoint_integration.jobs")], path


def test_no_signal_is_used_inside() -> None:
    for path in modules(*(ROOT / app for app in OURS)):
        assert "@receiver" not in path.read_text(), path
        assert not [name for name in imports(path) if name.startswith("django.db.models.signals")], path
