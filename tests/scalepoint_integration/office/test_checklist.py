"""Each row of the set-up list turns with the fact it stands for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from crm.models import Customer, CustomerType, InsuranceCompany, SecurityToken
from scalepoint_integration.models import Case, Connection, DefaultValues, Heartbeat, InboundEvent, ScalepointMail
from scalepoint_integration.office.checklist import Row, Status, holding_back, message_to_it, rows
from scalepoint_integration.upkeep.sweep import sweep
from tests.support.world import World, assignment, handle

PUBLIC = "https://firma.example.com"
KEYS = [
    "switch",
    "address",
    "default_values",
    "customer_rules",
    "mail",
    "from_scalepoint",
    "insurers",
    "test_case",
    "first_case",
    "told_of_errors",
]


@pytest.fixture
def ready(world: World, settings: Settings) -> World:
    """Everything is as it should be."""
    settings.SCALEPOINT = {"PUBLIC_BASE_URL": PUBLIC}
    settings.ALLOWED_HOSTS = ["firma.example.com"]
    connection, mette = world.connection, world.default_values.responsible
    Connection.objects.filter(pk=connection.pk).update(server_name="sp.example", user_name="firma")
    connection.refresh_from_db()
    assert mette is not None
    get_user_model().objects.filter(pk=mette.pk).update(email="mette@firma.example")
    world.default_values.failure_recipients.add(mette)
    ScalepointMail.objects.create(connection=connection, how="sent", subject="s", body="b", sent_by=mette)
    handle(world, assignment(1), assignment(2))
    test, _real = InboundEvent.objects.order_by("pk")
    InboundEvent.objects.filter(pk=test.pk).update(source=InboundEvent.Source.TEST)
    Case.objects.filter(pk=test.case_id).update(is_test=True)
    Heartbeat.objects.create(name="sweep", at=timezone.now())
    return world


def row_of(world: World, key: str, base: str = PUBLIC + "/", now: datetime | None = None) -> Row:
    connection = Connection.objects.get(pk=world.connection.pk)
    found = rows(connection, now or timezone.now(), base)
    return next(row for row in found if row.key == key)


def test_all_ten_are_ready(ready: World, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    connection = Connection.objects.select_related("default_values").get(pk=ready.connection.pk)
    with django_assert_max_num_queries(11):
        found = rows(connection, timezone.now(), "https://elsewhere.example/")
    assert [row.key for row in found] == KEYS
    assert {row.key: row.status for row in found} == dict.fromkeys(KEYS, Status.DONE)
    assert all(row.text and row.who for row in found)
    assert not holding_back(found)


def test_a_new_connection_says_what_is_missing(db: None) -> None:
    connection = Connection.objects.create(contract_number="1")
    CustomerType.objects.create(name="Forsikring")
    found = rows(connection, timezone.now(), "http://localhost:8000/")
    assert [row.status for row in found] == [
        Status.DONE,
        *[Status.MISSING] * 7,
        Status.WAITING,
        Status.WARNING,
    ]
    assert [row.key for row in holding_back(found)] == [key for key in KEYS if key not in ("switch", "first_case")]


def test_switch(ready: World) -> None:
    Connection.objects.update(switch="off")
    assert row_of(ready, "switch").status == Status.MISSING
    Connection.objects.update(switch="paused")
    row = row_of(ready, "switch")
    assert (row.status, row.proof) == (Status.DONE, "Paused")


@pytest.mark.parametrize(
    ("base", "hosts", "status", "words"),
    [
        ("http://firma.example.com", ["*"], Status.MISSING, ["begins with http."]),
        ("https://localhost:8000", ["*"], Status.MISSING, ["your own network (localhost)"]),
        ("https://10.1.2.3", ["*"], Status.MISSING, ["your own network (10.1.2.3)"]),
        ("https://server", ["*"], Status.MISSING, ["your own network (server)"]),
        ("https://[broken", ["*"], Status.MISSING, ["your own network"]),
        ("https://firma.example.com", ["other.example.com"], Status.MISSING, ["(ALLOWED_HOSTS)"]),
        ("", ["*"], Status.WARNING, ["SCALEPOINT_PUBLIC_BASE_URL"]),
    ],
)
def test_address(
    ready: World, settings: Settings, base: str, hosts: list[str], status: Status, words: list[str]
) -> None:
    settings.SCALEPOINT, settings.ALLOWED_HOSTS = {"PUBLIC_BASE_URL": base}, hosts
    row = row_of(ready, "address")
    assert row.status == status
    assert len(row.problems) == len(words)
    assert all(word in problem for word, problem in zip(words, row.problems, strict=True))
    told = message_to_it(ready.connection, row, PUBLIC)
    assert row.problems[0] in told
    assert row.proof in told
    assert row.proof.endswith("/api/scalepoint/v1/2332/")


def test_address_needs_the_background_job(ready: World) -> None:
    now = timezone.now()
    assert row_of(ready, "address", now=now).status == Status.DONE
    late = row_of(ready, "address", now=now + timedelta(minutes=5))
    assert late.status == Status.MISSING
    assert late.problems == ("The background job is not running. The cases are stored. Notify IT.",)
    Heartbeat.objects.all().delete()
    sweep()
    assert row_of(ready, "address").status == Status.DONE


def test_default_values(ready: World) -> None:
    assert row_of(ready, "default_values").proof == "Team: Service · Responsible: mette · Template: Skade"
    template = ready.default_values.task_template
    assert template is not None
    template.active = False
    template.save()
    row = row_of(ready, "default_values")
    assert row.status == Status.MISSING
    assert "“Skade” is inactive" in row.problems[0]
    template.active = True
    template.save()
    get_user_model().objects.update(is_active=False)
    assert "mette is not active any more" in row_of(ready, "default_values").problems[0]
    DefaultValues.objects.update(responsible=None, team=None)
    assert "nobody would get" in row_of(ready, "default_values").problems[0]
    DefaultValues.objects.update(task_template=None)
    assert len(row_of(ready, "default_values").problems) == 2


def test_customer_rules(ready: World) -> None:
    assert row_of(ready, "customer_rules").status == Status.DONE
    DefaultValues.objects.update(customer_type=None)
    assert row_of(ready, "customer_rules").status == Status.MISSING
    assert row_of(ready, "customer_rules").problems == ("No customer type is chosen for new customers.",)
    Customer.objects.update(customer_type=None)
    CustomerType.objects.all().delete()  # nothing is left to choose
    assert row_of(ready, "customer_rules").status == Status.DONE


def test_mail_and_what_scalepoint_answers(ready: World) -> None:
    sent = datetime(2026, 3, 12, 13, 14, tzinfo=UTC)
    ScalepointMail.objects.update(sent_at=sent)
    row = row_of(ready, "mail")
    assert row.status == Status.DONE
    assert row.proof == "12 Mar 2026, 14:14 by mette"
    Connection.objects.update(user_name="")
    row = row_of(ready, "from_scalepoint")
    assert (row.status, row.who, row.proof) == (Status.WAITING, "Scalepoint", "user name")
    ScalepointMail.objects.all().delete()
    assert row_of(ready, "mail").status == Status.MISSING
    row = row_of(ready, "from_scalepoint")
    assert (row.status, row.who) == (Status.MISSING, "You")


def test_insurers(ready: World) -> None:
    Connection.objects.update(secret_digest="")
    now = timezone.now()
    assert row_of(ready, "insurers").proof == "Ready: Nord Forsikring (eksempel), Syd Forsikring (eksempel)"
    SecurityToken.objects.filter(company=ready.nord).update(expires_at=now - timedelta(hours=1))
    row = row_of(ready, "insurers")
    assert row.status == Status.DONE
    assert row.proof == "Ready: Syd Forsikring (eksempel). No token: Nord Forsikring (eksempel)"
    SecurityToken.objects.filter(company=ready.syd).delete()
    row = row_of(ready, "insurers")
    assert row.status == Status.MISSING
    assert row.proof == "No token: Nord Forsikring (eksempel), Syd Forsikring (eksempel)"
    # The connection's own secret lets every company in.
    Connection.objects.update(secret_digest="x")
    assert row_of(ready, "insurers").status == Status.DONE
    InsuranceCompany.objects.update(active=False)
    row = row_of(ready, "insurers")
    assert row.status == Status.MISSING
    assert "all cases are refused" in row.problems[0]


def test_a_test_case_counts_when_it_became_a_task(ready: World) -> None:
    test = InboundEvent.objects.filter(source="test")
    assert row_of(ready, "test_case").status == Status.DONE
    test.update(status="failed")
    assert row_of(ready, "test_case").status == Status.MISSING
    test.update(status="done")
    case = test.get().case
    assert case is not None
    case.services.update(task=None)
    assert row_of(ready, "test_case").status == Status.MISSING


def test_a_test_case_is_no_real_case(ready: World) -> None:
    first = Case.objects.filter(is_test=False).get()
    assert row_of(ready, "first_case").proof.startswith(f"{first} · ")
    Case.objects.update(is_test=True)
    assert row_of(ready, "first_case").status == Status.WAITING


def test_told_of_errors_needs_somebody_active_with_an_address(ready: World) -> None:
    assert row_of(ready, "told_of_errors").proof == "mette"
    people = get_user_model().objects
    people.update(email="")
    row = row_of(ready, "told_of_errors")
    assert row.status == Status.WARNING
    assert "not told: mette" in row.problems[0]
    people.update(email="m@firma.example", is_active=False)
    assert row_of(ready, "told_of_errors").status == Status.WARNING


def own_rows(connection: Connection, now: datetime) -> list[Row]:
    return [Row("shop", Status.WARNING, f"Shop of {connection}", "You", now.isoformat())]


def broken_rows(connection: Connection, now: datetime) -> list[Row]:
    raise ZeroDivisionError


def test_a_host_adds_rows(ready: World, settings: Settings, caplog: Any) -> None:
    here = "tests.scalepoint_integration.office.test_checklist"
    settings.SCALEPOINT = {
        "PUBLIC_BASE_URL": PUBLIC,
        "CHECKLIST": [f"{here}.own_rows", f"{here}.broken_rows", "not.there"],
    }
    now = timezone.now()
    found = rows(ready.connection, now)
    assert [row.key for row in found] == [*KEYS, "shop", f"{here}.broken_rows", "not.there"]
    assert found[10].proof == now.isoformat()
    assert [row.status for row in found[10:]] == [Status.WARNING] * 3
    assert "ZeroDivisionError" in caplog.text
    assert [row.key for row in holding_back(found)] == [row.key for row in found[10:]]
