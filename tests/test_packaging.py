"""What a host gets: the files of the wheel, and what the apps import."""

import ast
import itertools
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
APPS = ("crm", "tasks", "scalepoint_integration")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DATA = {".html", ".txt", ".css", ".js", ".svg", ".po", ".mo"}
# Extras that one module may import at its top: nobody imports the module without them.
NEEDS = {"scalepoint_integration/jobs.py": {"celery"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Built out of what git has, or is about to have: a build in the clone itself would leave its folders there."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in sources():
        copy = source / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / path).read_bytes())
    # What must stay out although the pattern "crm*" would take it.
    (source / "crm_old").mkdir()
    (source / "crm_old" / "__init__.py").touch()
    # Without isolation: the build would fetch setuptools from PyPI.
    build = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(target), ".")
    done = subprocess.run([sys.executable, *build], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def sources() -> list[str]:
    """The files of the project, without what .gitignore names and what was deleted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in dict.fromkeys(listed) if (ROOT / path).is_file()]


def test_the_wheel_holds_the_three_apps_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in inside} == set(APPS)
    wanted = {path for path in sources() if path.split("/")[0] in APPS}
    assert inside == wanted
    for app in APPS:
        assert {f"{app}/py.typed", f"{app}/migrations/0001_initial.py"} <= inside
        assert f"{app}/locale/da/LC_MESSAGES/django.mo" in inside
    assert {Path(name).suffix for name in inside} >= DATA - {".svg"}


def test_the_wheel_says_what_it_is_and_brings_its_license(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    about = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert (about["Name"], about["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert about["License-Expression"] == "BSD-3-Clause"
    assert about["Author"] == "django-scalepoint contributors"
    hard = {Requirement(each).name for each in about.get_all("Requires-Dist", []) if "extra ==" not in each}
    assert not hard & {"celery", "redis", "psycopg", "openpyxl", "holidays", "granian", "pytest"}
    assert "Project-URL" not in about


def distributions() -> dict[str, set[str]]:
    """The top name of an import, and the distributions that bring it."""
    return {
        name: {canonicalize_name(each) for each in found} for name, found in metadata.packages_distributions().items()
    }


def declared(*extras: str) -> set[str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {canonicalize_name(Requirement(each).name) for each in itertools.chain(*lists)}


def foreign(path: Path) -> Iterator[tuple[str, bool]]:
    """What a module imports that is neither Python's nor ours, and whether it does so at import."""
    tree = ast.parse(path.read_text())
    lazy = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in (each.split(".")[0] for each in names):
            if name not in sys.stdlib_module_names and name not in APPS:
                yield name, node not in lazy


def test_what_the_apps_import_is_declared() -> None:
    """At import only what every host has; in a function also what an extra brings."""
    brings, hard = distributions(), declared()
    optional = declared("celery", "postgres", "excel", "holidays")
    seen = set()
    for path in sorted(each for app in APPS for each in (ROOT / app).rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for name, at_import in foreign(path):
            found = brings[name]
            allowed = hard | NEEDS.get(place, set()) if at_import else hard | optional | {"kombu"}
            assert found & allowed, f"{place} imports {name}"
            seen |= found & (hard | optional)
    assert seen >= hard, f"declared, and imported nowhere: {hard - seen}"


def test_a_site_without_the_extras_opens_its_admin() -> None:
    """Excel, holidays and PostgreSQL's driver are missing; all pages of the three apps are imported and checked."""
    program = """
import sys
for name in ("openpyxl", "holidays", "psycopg", "psycopg2"):
    sys.modules[name] = None
import django
from django.core.management import call_command
django.setup()
from django.urls import reverse
reverse("admin:scalepoint_integration_case_changelist")
call_command("check")
"""
    env = {"DJANGO_SETTINGS_MODULE": "settings.base", "DATABASE_URL": "sqlite://:memory:", "PATH": ""}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "scalepoint.W002" in done.stderr
