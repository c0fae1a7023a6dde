"""Cases as Excel and CSV: what is in the file, what never is, who may, and that it is written down."""

import csv
import io
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from openpyxl import load_workbook
from pytest_django import DjangoAssertNumQueries

from crm import masks
from scalepoint_integration.models import Case, ImagePull
from scalepoint_integration.office import export
from tests.scalepoint_integration.admin.test_caselist import LIST, act
from tests.support.office import client_of, make
from tests.support.world import NORD_TOKEN, SYD_TOKEN, World, assignment, handle

EXPORT = "admin:scalepoint_integration_case_export"


@pytest.fixture
def office(world: World) -> Client:
    return client_of("view_case", "export_cases")


def content(response: Any) -> bytes:
    assert "attachment" in response.headers["Content-Disposition"]
    assert "no-store" in response.headers["Cache-Control"]
    return b"".join(response.streaming_content)


def table(raw: bytes) -> list[dict[str, str]]:
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter=";"))


def sheet(raw: bytes) -> list[dict[str, Any]]:
    rows = list(load_workbook(io.BytesIO(raw)).worksheets[0].iter_rows(values_only=True))
    return [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]


def test_a_case_in_the_file_is_what_the_office_sees(office: Client, world: World) -> None:
    handle(world, assignment(1))
    ImagePull.objects.update(status="done")
    case = Case.objects.get()
    received = datetime(2031, 5, 6, 12, 5, tzinfo=timezone.get_current_timezone())
    Case.objects.update(deadline=date(2031, 6, 7), responsible=world.default_values.responsible, created_at=received)
    raw = content(act(office, "export_csv", case))
    assert raw.count(b"\r\n") == raw.count(b"\n") == 2
    (row,) = table(raw)
    assert row["Case number"] == "20310506-07"
    assert (row["Received"], row["Deadline"]) == ("06.05.2031 12:05", "07.06.2031")
    assert (row["Responsible"], row["Status"], row["Test"]) == ("mette", "In progress", "")
    assert row["Insurance company"] == str(world.nord)
    assert row["Tasks"] == str(case.services.get().task)
    assert row["Images"] == "1"
    dates = ("Received", "Deadline", "Date of loss")
    (same,) = sheet(content(act(office, "export_xlsx", case)))
    assert list(same) == list(row)
    assert same["Received"] == datetime(2031, 5, 6, 12, 5)
    assert same["Deadline"] == datetime(2031, 6, 7)
    assert {name: str(value or "") for name, value in same.items() if name not in dates} == {
        name: value for name, value in row.items() if name not in dates
    }


@pytest.mark.parametrize(
    "typed",
    ["=1+1", "+45 1", "-1", "@x", " =1", "\t=1", "\r=1", "\n@x", "\u00a0=1", "\uff1d1", "\x00=1", "\x0b-1"],
)
def test_no_cell_runs_as_a_formula(office: Client, world: World, typed: str) -> None:
    said = {"holder_name": {"value": typed.replace("\x00", "\x01"), "at": "2031-05-06T00:00:00+00:00"}}
    case = make(world, "x", facts=said)
    (row,) = table(content(act(office, "export_csv", case)))
    assert row["Policyholder"].startswith("'")
    book = load_workbook(io.BytesIO(content(act(office, "export_xlsx", case)))).worksheets[0]
    cells = [cell for cells in book.iter_rows() for cell in cells]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert [cell for cell in cells if str(cell.value).startswith("'")]


def test_cells_are_written_as_danes_read_them() -> None:
    assert export.as_text(Decimal("1234.50")) == "1234,50"
    assert export.as_text(Decimal("-0.5")) == "-0,5"
    assert export.as_text(date(2026, 3, 12)) == "12.03.2026"
    assert export.as_text(None) == ""
    assert export.safe("Jens 010203-1234 Hansen") == "Jens ••••••-•••• Hansen"
    assert export.safe("20310506-07; 900464-1234") == "20310506-07; 900464-1234"
    for text in (
        "0102031234",
        "010203 1234",
        "010203\u20111234",
        "DK50 0040 0440 1162 43",
        "20310506-99",
        "+45 28112233",
    ):
        assert export.safe(f"Tak {text}") == f"Tak {masks.hide(text)}"


def test_nothing_secret_is_exported(office: Client, world: World) -> None:
    handle(world, assignment(1))
    case = Case.objects.get()
    case.facts["damage_description"] = {"value": "CPR 010203-1234 konto 9999", "at": "2031-05-06T00:00:00+00:00"}
    case.facts["holder_name"]["value"] = "Jens 010203-1234"
    Case.objects.update(facts=case.facts, token="invented-case-token")
    both = content(act(office, "export_csv", case)) + str(sheet(content(act(office, "export_xlsx", case)))).encode()
    for secret in ("010203-1234", "9999", NORD_TOKEN, SYD_TOKEN, "invented-case-token"):
        assert secret.encode() not in both, secret


def test_the_whole_filtered_list_is_exported_and_written_down(office: Client, world: World) -> None:
    make(world, "one")
    make(world, "two", status="closed")
    make(world, "three", status="closed", is_test=True)
    address = f"{reverse(EXPORT)}?status=closed&q=t"
    rows = table(content(office.post(address, {"kind": "CSV"})))
    assert [(row["Case number"], row["Test"]) for row in rows] == [("three", "TEST"), ("two", "")]
    assert [row["Case number"] for row in sheet(content(office.post(address, {"kind": "Excel"})))] == ["three", "two"]
    logged = LogEntry.objects.order_by("pk")
    assert [(entry.user.get_username(), entry.get_edited_object()) for entry in logged] == [
        ("ole", world.connection)
    ] * 2
    assert logged[0].change_message == "Exported 2 cases as CSV. Filter: status=closed&q=t"
    get_user_model().objects.filter(username="ole").update(is_superuser=True)
    history = reverse("admin:scalepoint_integration_connection_history", args=[world.connection.pk])
    assert "Exported 2 cases as Excel." in office.get(history).content.decode()


def test_who_may_not_export_gets_nothing(world: World) -> None:
    case = make(world, "one")
    for name, rights in (("looks", ["view_case"]), ("exports", ["export_cases"]), ("nobody", [])):
        client = client_of(*rights, name=name)
        assert client.post(reverse(EXPORT), {"kind": "CSV"}).status_code == 403, name
        response = act(client, "export_csv", case)
        assert "Content-Disposition" not in response.headers, name
    office = client_of("view_case", "export_cases")
    assert office.get(reverse(EXPORT)).status_code == 405
    assert LogEntry.objects.count() == 0


def test_too_many_cases_are_refused_in_words(office: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LIMIT", 2)
    two = [make(world, name) for name in ("one", "two")]
    assert len(table(content(office.post(reverse(EXPORT), {"kind": "CSV"})))) == 2
    make(world, "three")
    response = office.post(f"{reverse(EXPORT)}?status=open&p=2", {"kind": "CSV"})
    assert response.headers["Location"] == f"{reverse(LIST)}?status=open"
    page = office.get(response.headers["Location"]).content.decode()
    assert "Nothing was exported: there are more than 2 cases." in page
    assert len(table(content(act(office, "export_csv", *two)))) == 2
    assert LogEntry.objects.count() == 2


def test_it_is_read_in_batches_and_in_the_language_of_the_reader(
    world: World, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(export, "_BATCH", 5)
    keys = [make(world, str(number)).pk for number in range(11)]
    with translation.override("en"), django_assert_num_queries(9):  # three for each batch
        pieces = export.write_csv(keys)
        lines = b"".join(pieces).splitlines()
    assert len(lines) == 12
    assert [line.split(b";")[1] for line in lines[1:]] == [str(number).encode() for number in range(11)]
    assert export.write_csv([]) is not None
    assert len(b"".join(export.write_csv([])).splitlines()) == 1


def test_without_openpyxl_the_list_says_so_and_csv_still_works(
    office: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle(world, assignment(1))
    case = Case.objects.get()
    assert 'value="Excel"' in office.get(reverse(LIST)).content.decode()
    for name in ("openpyxl", "openpyxl.cell"):
        monkeypatch.setitem(sys.modules, name, None)
    page = office.get(reverse(LIST)).content.decode()
    assert 'value="Excel"' not in page
    assert 'value="export_xlsx"' not in page
    assert str(export.NO_EXCEL) in page
    told = office.post(reverse(EXPORT), {"kind": "Excel"}, follow=True)
    assert [str(each) for each in told.context["messages"]] == [str(export.NO_EXCEL)]
    assert not LogEntry.objects.exists()
    (row,) = table(content(act(office, "export_csv", case)))
    assert row["Case number"] == case.number
