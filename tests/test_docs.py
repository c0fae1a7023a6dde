"""What the documents list is what there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.dispatch import Signal

from scalepoint_integration import signals
from scalepoint_integration.adapter import Adapter
from scalepoint_integration.conf import KEYS, conf
from scalepoint_integration.errors import CATALOGUE
from scalepoint_integration.events import EVENTS
from scalepoint_integration.models import InboundEvent
from tests.support.world import FIXTURES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
OURS = ("crm", "tasks", "scalepoint_integration")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def first_cells(page: str) -> list[str]:
    """The first cell of every row of the page's tables, without back-ticks."""
    lines = (DOCS / page).read_text().splitlines()
    return [line.split("|")[1].strip().strip("`") for line in lines if line.startswith("|")]


def read_variables() -> Iterator[str]:
    """Every NAME in a call env.xxx("NAME") of settings/base.py."""
    for node in ast.walk(ast.parse((ROOT / "settings" / "base.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
        ):
            name = node.args[0]
            assert isinstance(name, ast.Constant), f"line {node.lineno}: which variable is read can't be told"
            yield name.value


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_setting_is_documented_with_its_default() -> None:
    cells = first_cells("settings.md")
    for key in KEYS:
        assert cells.count(key) == 1, f"SCALEPOINT[{key!r}] has {cells.count(key)} rows"
    rows = (DOCS / "settings.md").read_text()
    for key in KEYS:
        default = getattr(type(conf())(), key.lower())
        written = re.search(rf"^\| `{key}` \| ([^|]*) \|", rows, re.MULTILINE)
        assert written, key
        shown = written[1].strip("` ")
        assert shown == (f'"{default}"' if isinstance(default, str) else str(default)), f"the default of {key}"


def test_every_environment_variable_is_documented() -> None:
    names = set(read_variables())
    assert "DATABASE_URL" in names
    assert not names - set(first_cells("settings.md"))


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {*KEYS, *read_variables()}
    upper = {cell for cell in first_cells("settings.md") if re.fullmatch(r"[A-Z][A-Z0-9_]+", cell)}
    assert not upper - known


def test_every_error_is_documented_in_its_own_words() -> None:
    rows = [line for line in (DOCS / "errors.md").read_text().splitlines() if line.startswith("| SP-")]
    told = {row.split("|")[1].strip(): row for row in rows}
    assert set(told) == set(CATALOGUE)
    assert len(rows) == len(told)
    for code, row in CATALOGUE.items():
        for text in (row.what, row.todo, row.who):
            assert re.sub(r"%\(\w+\)s", "…", text) in told[code], code


def test_every_command_is_documented() -> None:
    commands = {path.stem for app in OURS for path in (ROOT / app).glob("management/commands/[!_]*.py")}
    assert "rotate_secrets" in commands
    rows = [cell.removeprefix("manage.py ").split()[0] for cell in first_cells("operations.md") if "manage.py" in cell]
    assert commands == set(rows)


def test_every_hook_is_documented() -> None:
    cells = {cell.split("(")[0] for cell in first_cells("embedding.md")}
    methods = {name for name in vars(Adapter) if not name.startswith("_")}
    permissions = {f"scalepoint_integration.{name}" for name, _label in InboundEvent._meta.permissions}
    told = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert len(told) == 5
    assert not (methods | permissions | told) - cells


def test_every_type_of_event_that_is_used_is_named() -> None:
    assert not [
        name for name, row in EVENTS.items() if row.handler and f"`{name}`" not in (DOCS / "endpoint.md").read_text()
    ]
    assert {path.name for path in FIXTURES.iterdir()} == set(EVENTS)


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for words in re.findall(r"(?:`|^    )make ([a-z0-9 -]+)", page.read_text(), re.MULTILINE):
            assert not set(words.split()) - targets, f"{page.name}: make {words}"


def test_the_house_has_the_rooms_that_are_drawn() -> None:
    drawn = (DOCS / "architecture.md").read_text().split("## The house")[1].split("```")[1]
    for app in OURS:
        assert f"{app}/" in drawn
    for path in (ROOT / "scalepoint_integration").glob("[!_]*"):
        if path.name in ("apps.py", "urls.py", "migrations", "locale", "py.typed"):
            continue
        name = path.name if path.is_file() else f"{path.name}/"
        assert name in drawn, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.findall(text):
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, anchor = unquote(link).partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: {link}"
        assert place.is_relative_to(ROOT), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(place), f"{page.name}: {link}"
