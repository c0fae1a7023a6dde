"""The pages of what was sent: to be read by all who may, to be sent again by whom it was allowed to."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from scalepoint_integration import errors, queues
from scalepoint_integration.models import Connection, OutboundEvent, PollerState
from scalepoint_integration.receiving import poller
from scalepoint_integration.sending import outbox
from scalepoint_integration.workqueue import PermanentError
from scalepoint_integration.workqueue.drain import drain
from tests.scalepoint_integration.sending.conftest import Scalepoint, make_case, sender
from tests.support.world import NORD_TOKEN, World

VIEW = "view_outboundevent"


def client_of(*permissions: str, superuser: bool = False) -> Client:
    user, _made = get_user_model().objects.get_or_create(username="ole", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def url(page: str, *args: Any, model: str = "outboundevent") -> str:
    return reverse(f"admin:scalepoint_integration_{model}_{page}", args=args)


@pytest.fixture
def rows(world: World, scalepoint: Scalepoint) -> dict[str, OutboundEvent]:
    case = make_case(world)
    sent = outbox.send_file(case, "tag.pdf", b"%PDF" * 1000, "application/pdf", sender())
    drain(queues.OUTBOUND)
    scalepoint.errors = [PermanentError(errors.NOT_ACCEPTED, "422 what is this")]
    failed = outbox.send_payment_status(case, "uuid-1", "processed")
    drain(queues.OUTBOUND)
    waiting = outbox.send_message(case, "Emne", "<b>Vi kommer</b>")
    held = outbox.send_case_number(case)
    missing = outbox.send_message(make_case(world, 2, token=""), "x", "y")
    Connection.objects.update(send_case_number=False)
    named = {"sent": sent, "failed": failed, "waiting": waiting, "held": held, "missing": missing}
    return {name: OutboundEvent.objects.get(pk=row.pk) for name, row in named.items() if row}


def page(client: Client, row: OutboundEvent) -> str:
    return client.get(url("change", row.pk)).content.decode()


def test_the_list_and_every_page_render_for_few_queries(
    rows: dict[str, OutboundEvent],
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_of(superuser=True)
    with django_assert_num_queries(7):
        shown = client.get(url("changelist"), {"q": ""}).content.decode()
    assert "Waiting: sending is turned off on the connection" in shown
    assert "Scalepoint did not accept the outbound event" in shown
    for row in rows.values():
        with django_assert_max_num_queries(8):
            assert client.get(url("change", row.pk)).status_code == 200


def test_what_left_and_what_would_leave_is_shown_without_secrets(rows: dict[str, OutboundEvent]) -> None:
    client = client_of(VIEW)
    shown = page(client, rows["sent"])
    assert "mette@firma.example" in shown
    assert "… (4000)" in shown
    assert "202 taken" in shown
    assert "Sent" in shown
    assert NORD_TOKEN not in shown
    assert "&lt;b&gt;Vi kommer&lt;/b&gt;" in page(client, rows["waiting"])
    assert "Information is missing from the outbound event (case.token)" in page(client, rows["missing"])
    OutboundEvent.objects.update(facts={})
    assert "deleted by the retention rule" in page(client, rows["sent"])


def test_sending_again_needs_its_permission(rows: dict[str, OutboundEvent], scalepoint: Scalepoint) -> None:
    again = {"action": "retry", "_selected_action": [rows["failed"].pk, rows["sent"].pk]}
    client = client_of(VIEW)
    client.post(url("changelist"), again)
    assert OutboundEvent.objects.get(pk=rows["failed"].pk).status == "failed"
    for address in (url("add"), url("delete", rows["sent"].pk), url("change", rows["sent"].pk)):
        assert client.post(address, {"status": "pending"}).status_code == 403
    client_of(VIEW, "send_outbound").post(url("changelist"), again)
    states = OutboundEvent.objects.in_bulk([row.pk for row in rows.values()])
    assert states[rows["failed"].pk].status == "pending"
    assert states[rows["sent"].pk].status == "done"


def test_how_fetching_goes_is_seen_on_the_connection(world: World) -> None:
    client = client_of("view_connection", "change_connection")
    pages = {}
    for name, poll, change in (
        ("off", False, {}),
        ("new", True, {}),
        ("good", True, {"polled_at": timezone.now()}),
        ("lost", True, {"problem": "SP-404", "cursor": "_7"}),
    ):
        Connection.objects.update(poll=poll)
        PollerState.objects.filter(pk=world.connection.pk).update(**change)
        pages[name] = client.get(url("change", world.connection.pk, model="connection")).content.decode()
    assert "Nothing is fetched." in pages["off"]
    assert "Nothing has been fetched yet." in pages["new"]
    assert "Last fetched" in pages["good"]
    assert "no longer has a record of how far we have fetched" in pages["lost"]
    listed = client.get(url("changelist", model="connection")).content.decode()
    assert "no longer has a record of how far we have fetched" in listed
    client.post(
        url("changelist", model="connection"), {"action": "fetch_again", "_selected_action": [world.connection.pk]}
    )
    made = PollerState.objects.get()
    assert (made.problem, made.cursor) == ("", "")
    assert poller.due().exists()


def test_one_sending_is_sent_again_from_its_page(rows: dict[str, OutboundEvent], scalepoint: Scalepoint) -> None:
    failed = rows["failed"]
    shown = page(client_of(VIEW), failed)
    assert "Read Scalepoint's answer to the outbound event" in shown.replace("&#x27;", "'")
    assert ">Retry<" not in shown
    assert client_of(VIEW).post(url("retry", failed.pk)).status_code == 403
    assert client_of("send_outbound").post(url("retry", failed.pk)).status_code == 403
    office = client_of(VIEW, "send_outbound")
    assert office.get(url("retry", failed.pk)).status_code == 405
    assert OutboundEvent.objects.get(pk=failed.pk).status == "failed"
    assert ">Retry<" in page(office, failed)
    assert office.post(url("retry", failed.pk)).status_code == 302
    drain(queues.OUTBOUND)
    assert OutboundEvent.objects.get(pk=failed.pk).status == "done"
