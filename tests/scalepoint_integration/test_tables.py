"""The two tables, errors.py and events.py: what they name exists, and what they know is written nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone, translation
from django.utils.module_loading import import_string

from scalepoint_integration import errors, events
from scalepoint_integration.admin.places import links
from scalepoint_integration.errors import CATALOGUE, Error
from scalepoint_integration.events import EVENTS, EventType
from scalepoint_integration.models import Case, CaseNote, InboundEvent
from scalepoint_integration.office import timeline
from scalepoint_integration.places import Place
from tests.support.world import FIXTURES, World, assignment, handle, receive

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "scalepoint_integration"
APPS = ("crm", "tasks", "scalepoint_integration")
CODE = re.compile(r"SP-\d{3}")
PLACES = {name: row for name, row in vars(errors).items() if isinstance(row, Place)}


def literals(path: Path) -> Iterator[str]:
    """The strings of a module, without its docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    told = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr)


def modules() -> list[Path]:
    return sorted(path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


# ---- Inbound events -----------------------------------------------------------------------------------------------
def test_names_of_inbound_types_are_only_in_their_table() -> None:
    # Also what is sent is called so, and the stand-in for Scalepoint and the test cases make events.
    free = {APP / "events.py", APP / "sending" / "bodies.py", APP / "test_cases" / "examples.py"}
    for path in modules():
        if path not in free and APP / "simulator" not in path.parents:
            assert not set(literals(path)) & set(EVENTS), path


@pytest.mark.parametrize("row", EVENTS.values(), ids=lambda row: row.name)
def test_what_a_type_names_is_there(row: EventType) -> None:
    for path in filter(None, (row.handler, row.details)):
        assert callable(import_string(path))
    assert events.handler(row.name) is (import_string(row.handler) if row.handler else None)
    assert list((FIXTURES / row.name).glob("*.expected.json"))
    with translation.override("en"):
        english = events.words(row.name)
    with translation.override("da"):
        assert english != events.words(row.name) != row.name
    # Only what is kept to be read says so.
    assert bool(row.sentence) == (row.handler == "scalepoint_integration.handling.note.handle")


def test_a_type_is_called_alike_everywhere() -> None:
    words = [events.words(name) for name in EVENTS]
    assert len(set(words)) == len(words) == 14


@pytest.mark.django_db
@pytest.mark.parametrize("name", [*EVENTS, "unheard_of"])
def test_the_timeline_shows_no_name_of_a_type(world: World, name: str) -> None:
    handle(world, assignment())
    case = Case.objects.get()
    InboundEvent.objects.all().delete()
    receive(world, {"eventType": name, "case": {"number": "1"}})
    InboundEvent.objects.update(case=case, status="done", finished_at=timezone.now())
    CaseNote.objects.create(case=case, key="k", kind=name, said_at=timezone.now())
    texts = [entry.text for entry in timeline.of(case)]
    assert events.words(name) in texts
    assert {f"Received: {events.words(name)}", f"Handled: {events.words(name)}"} <= set(texts)
    assert not [text for text in texts if name in text]


# ---- Errors -------------------------------------------------------------------------------------------------------
def test_every_row_is_in_the_table_once_and_in_the_documents() -> None:
    rows = [row for row in vars(errors).values() if isinstance(row, Error)]
    assert sorted(row.code for row in rows) == sorted(CATALOGUE)
    told = (ROOT / "docs" / "errors.md").read_text()
    for row in rows:
        assert CODE.fullmatch(row.code)
        assert f"| {row.code} |" in told


def test_a_code_that_is_not_known_keeps_its_name() -> None:
    assert errors.find("SP-999") is errors.UNFORESEEN
    assert errors.describe("SP-999").code == "SP-999"
    assert errors.describe("SP-999").what == errors.describe(errors.UNFORESEEN).what


@pytest.mark.django_db
@pytest.mark.parametrize("name", PLACES)
def test_every_place_is_there_for_who_may_open_it(name: str, world: World) -> None:
    place = PLACES[name]
    app, codename = place.permission.split(".")
    assert Permission.objects.filter(content_type__app_label=app, codename=codename).count() == 1
    handle(world, assignment())
    rows = {"case": Case.objects.get(), "connection": world.connection, "insurer": world.nord}
    assert {place.of, place.about} <= {"", *rows}
    boss = get_user_model().objects.create_superuser("boss")
    [(label, address)] = links(boss, [place], **rows)
    assert label and "%" not in label
    client = Client()
    client.force_login(boss)
    assert client.get(address, follow=True).status_code == 200
    assert len(links(boss, [place])) == (0 if place.of else 1)
    assert links(get_user_model().objects.create_user("nobody"), [place], **rows) == []


def test_every_box_is_one_that_the_page_can_draw() -> None:
    drawn = (APP / "templates" / "scalepoint" / "case_box.html").read_text()
    for row in CATALOGUE.values():
        assert f'box.kind == "{row.box}"' in drawn, row.code


def test_codes_are_only_in_their_table() -> None:
    for path in modules():
        if path != APP / "errors.py":
            assert not [text for text in literals(path) if CODE.search(text)], path
    templates = [path for app in APPS for path in (ROOT / app).rglob("templates/**/*") if path.is_file()]
    assert len(templates) > 30
    for path in templates:
        assert not CODE.search(path.read_text()), path


def test_what_stops_an_event_is_a_choice_of_the_log() -> None:
    """Whatever the modules that only ever work on an event raise stands on that event."""
    raised = set()
    for path in [APP / "adapter.py", *sorted((APP / "handling").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("NeedsPerson", "PermanentError", "NotForUs"):
                raised |= {each.attr for each in ast.walk(node.args[0]) if isinstance(each, ast.Attribute)}
    assert {"SAME_TOKEN", "TWO_CASES_ARE_ONE", "NO_PHONE", "UNUSED_TYPE"} <= raised
    assert [name for name in sorted(raised) if not getattr(errors, name).on_event] == []


def test_the_tables_import_nothing_of_ours() -> None:
    """But for the places, which the rows of the errors name."""
    for path in (APP / "errors.py", APP / "places.py", APP / "events.py", APP / "queues.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                names = [name for name in names if name != "scalepoint_integration.places"]
                assert not [name for name in names if name.split(".")[0] in APPS], path
