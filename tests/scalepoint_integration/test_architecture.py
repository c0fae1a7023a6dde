"""The rules between the folders (docs/architecture.md), and the other rules a machine can check."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("settings", "scalepoint_integration", "tasks", "crm")
APP = ROOT / "scalepoint_integration"

# What only a wiring of places needs: each place -> what of ours it may import, itself aside. A place is a module or a
# folder; the longest name that fits decides. CRM is everything of crm below its admin, BASE what stands under the work.
TABLES = ("errors", "places", "events", "queues")
CRM = ("crm.masks", "crm.formats", "crm.encryption", "crm.models", "crm.locks", "crm.services", "crm.history")
BASE = ("conf", *TABLES, "payloads", "workqueue", "models", *CRM)
BELOW_OFFICE = (*BASE, "adapter", "fetching", "sending", "handling", "tasks.models")
PAGES = (*BELOW_OFFICE, "client", "signals", "receiving", "office", "test_cases", "upkeep", "tasks")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "crm.masks": (),
    "crm.formats": (),
    "crm.encryption": (),
    "crm.models": ("crm.masks", "crm.formats", "crm.encryption"),
    "crm.locks": ("crm.models",),
    "crm.services": ("crm.models", "crm.masks", "crm.formats", "crm.encryption"),
    "crm.history": ("crm.models", "crm.masks", "crm.formats", "crm.encryption"),
    "crm.admin": CRM,
    "crm.management": CRM,
    "tasks.models": CRM,
    "tasks.services": (*CRM, "tasks.models"),
    "tasks.admin": (*CRM, "crm.admin", "tasks.models", "tasks.services"),
    "conf": (),
    "places": (),
    "errors": ("places",),
    "events": (),
    "queues": (),
    "payloads": ("crm.masks",),
    "workqueue": ("conf", "errors", "queues"),
    "models": (*TABLES, "payloads", "workqueue", *CRM),
    "client": BASE,
    "adapter": (*BASE, "tasks"),
    "signals": BASE,
    "receiving": (*BASE, "client"),
    "fetching": (*BASE, "client", "adapter"),
    "sending": (*BASE, "client", "adapter"),
    "handling": (*BASE, "adapter", "signals", "fetching", "sending", "tasks.models"),
    "office": BELOW_OFFICE,
    "test_cases": (*BELOW_OFFICE, "receiving"),
    "upkeep": (*BASE, "adapter", "sending", "handling", "office", "test_cases"),
    "admin": (*PAGES, "crm.admin"),
    "jobs": PAGES,
    "management": (*PAGES, "simulator"),
    "urls": PAGES,
    "checks": PAGES,
    "templatetags": PAGES,
    "simulator": (),
}


def modules(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Everything a module imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(name: str) -> str:
    """The place of a dotted name of ours: the longest one that fits; "" for an app as a whole."""
    name = name.removeprefix("scalepoint_integration").removeprefix(".")
    fits = [each for each in MAY_IMPORT if name == each or name.startswith(each + ".")]
    return max(fits, key=len, default="")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_a_folder_imports_only_what_its_row_names() -> None:
    wrong = []
    for path in modules(ROOT / "crm", ROOT / "tasks", APP):
        own = place(dotted(path))
        if not own:
            assert path.name in ("__init__.py", "apps.py"), f"{path}: which place is it in?"
            continue
        for name in imports(path):
            if name.split(".")[0] not in OURS:
                continue
            there = place(name)
            allowed = MAY_IMPORT[own]
            if there != own and there not in allowed and there.split(".")[0] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("app", OURS)
def test_an_app_imports_only_what_stands_below_it(app: str) -> None:
    above = OURS[: OURS.index(app)]
    for path in modules(ROOT / app):
        wrong = [name for name in imports(path) if name.split(".")[0] in (*above, "devtools", "tests")]
        assert not wrong, f"{path} imports {wrong}"


def test_only_the_adapter_and_the_admin_call_the_services_of_crm_and_tasks() -> None:
    for path in modules(APP):
        if path == APP / "adapter.py" or APP / "admin" in path.parents:
            continue
        wrong = [name for name in imports(path) if name.startswith(("crm.services", "tasks.services"))]
        assert not wrong, f"{path} imports {wrong}"


def test_payloads_and_masks_are_pure() -> None:
    for path in [*modules(APP / "payloads"), ROOT / "crm" / "masks.py"]:
        wrong = [name for name in imports(path) if name.startswith(("django", "rest_framework", "celery", "requests"))]
        assert not wrong, f"{path} imports {wrong}"


def test_only_jobs_and_the_doorbell_import_celery() -> None:
    importers = {path for path in modules(APP) if any(n.split(".")[0] in ("celery", "kombu") for n in imports(path))}
    assert importers == {APP / "jobs.py", APP / "workqueue" / "doorbell.py"}


def test_one_module_opens_foreign_addresses() -> None:
    libraries = ("requests", "urllib3", "http.client", "http.server", "urllib.request", "socket", "httpx")
    allowed = {APP / "fetching" / "fetch.py", APP / "fetching" / "addresses.py", APP / "receiving" / "deadline.py"}
    for path in modules(APP):
        if path in allowed or APP / "simulator" in path.parents or APP / "client" in path.parents:
            continue
        wrong = [name for name in imports(path) if name.startswith(libraries)]
        assert not wrong, f"{path} imports {wrong}"


def test_no_signal_is_used_inside() -> None:
    for path in modules(*(ROOT / app for app in OURS)):
        assert "@receiver" not in path.read_text(), path
        assert not [name for name in imports(path) if name.startswith("django.db.models.signals")], path


def test_a_file_keeps_one_secret() -> None:
    """Over 400 lines are two. The pages of the admin are exempt until each is written anew."""
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in modules(ROOT / "crm", ROOT / "tasks", APP, ROOT / "settings", ROOT / "devtools")
        if APP / "admin" not in path.parents and (lines := len(path.read_text().splitlines())) > 400
    ]
    assert not long, "\n".join(long)


def circles() -> list[list[str]]:
    """Modules of the integration that import each other in a circle, at the top of a file or below."""
    graph: dict[str, set[str]] = {}
    names = {dotted(path): path for path in modules(ROOT / "crm", ROOT / "tasks", APP)}
    for module, path in names.items():
        reached = set()
        for name in imports(path):
            target = name if name in names else name.rpartition(".")[0]
            if target in names and target != module:
                reached.add(target)
        graph[module] = reached
    found: list[list[str]] = []

    def visit(module: str, way: list[str], done: set[str]) -> None:
        if module in way:
            found.append(way[way.index(module) :])
            return
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, [*way, module], done)
            done.add(module)

    done: set[str] = set()
    for module in sorted(graph):
        visit(module, [], done)
    return found


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circles() == []
