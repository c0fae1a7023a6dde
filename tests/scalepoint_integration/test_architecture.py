"""The rules of docs/architecture.md that a machine can check."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("settings", "scalepoint_integration", "tasks", "crm")
APP = ROOT / "scalepoint_integration"


def modules(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Everything a module imports, also inside functions; not what only the type checker sees."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
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


def test_only_the_adapter_and_the_admin_call_the_services_of_crm_and_tasks() -> None:
    for path in modules(APP):
        if path.name == "adapter.py" or path.parent.name == "admin":
            continue
        wrong = [name for name in imports(path) if name.startswith(("crm.services", "tasks.services"))]
        wrong += [name for name in imports(path) if name in ("crm.services", "tasks.services")]
        assert not wrong, f"{path} imports {wrong}"


def test_payloads_are_pure() -> None:
    for path in modules(APP / "payloads"):
        wrong = [name for name in imports(path) if name.startswith(("django", "rest_framework", "celery", "requests"))]
        wrong += [
            name
            for name in imports(path)
            if name.startswith("scalepoint_integration.") and not name.startswith("scalepoint_integration.payloads")
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
    ("payloads", "naming", "errors", "events"),
    ("workqueue", "doorbell"),
    ("models",),
    ("keys", "client"),
    ("cases", "merging", "defaults", "signals", "lifecycle"),
    ("adapter",),
    ("images", "outbox", "settlements", "notices"),
    ("followup",),
    ("handlers",),
    ("inbox",),
    ("casework", "timeline", "figures", "checklist", "export", "mail", "roles"),
    ("api", "poller", "jobs", "send_test", "admin", "management", "urls", "checks", "templatetags"),
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


def test_no_signal_is_used_inside() -> None:
    for path in modules(*(ROOT / app for app in OURS)):
        assert "@receiver" not in path.read_text(), path
        assert not [name for name in imports(path) if name.startswith("django.db.models.signals")], path
