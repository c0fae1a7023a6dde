"""The set-up page: from nothing to switched on, the mail, and that whoever may only look changes nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail as outbox
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from crm.models import InsuranceCompany
from scalepoint_integration.models import Connection, Heartbeat, InboundEvent, ScalepointMail
from tests.support.forms import form
from tests.support.world import CONTRACT, NORD_TOKEN, World, assignment, handle

COMPANY = {
    "company_name": "Eksempel ApS",
    "company_tax_id": "13585628",
    "contact_name": "Mette Eksempelsen",
    "contact_phone": "00 11 22 33",
}
LETTER = {"recipient": "integration@scalepoint.example", "subject": "Integration", "body": "Hej Scalepoint"}


def client_of(*permissions: str) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True, email="ole@firma.example")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def office(db: None) -> Client:
    return client_of("view_setup", "change_setup")


def url(page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:scalepoint_integration_setup_{page}", args=args)


def test_the_first_visit_makes_a_connection_that_is_on_hold(office: Client) -> None:
    page = office.get(url())
    assert "You can't break anything" in page.content.decode()
    sent = form(page) | {"contract_number": "not a number!"}
    wrong = office.post(url("first"), sent)
    assert "Use only letters, digits" in wrong.content.decode()
    assert not Connection.objects.exists()

    answer = office.post(url("first"), sent | {"contract_number": "2332", "switch": "on"}, follow=True)
    connection = Connection.objects.get()
    assert (connection.contract_number, connection.switch) == ("2332", "paused")
    assert connection.history.get().history_user.username == "ole"
    text = answer.content.decode()
    assert "2 of 10 are ready" in text
    assert "http://testserver/api/scalepoint/v1/2332/" in text
    assert "Ask your IT person" in text
    assert "begins with http." in text
    assert "You can't break anything" in text

    assert office.post(url("first"), {"contract_number": "2"}).status_code == 302
    assert Connection.objects.count() == 1


def test_the_list_takes_the_recorded_number_of_queries(
    world: World, office: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        InsuranceCompany.objects.create(name=f"Selskab {number}", alias=f"a{number}")
        ScalepointMail.objects.create(connection=world.connection, how="sent", subject="s", body="b")
    office.get(url())
    with django_assert_num_queries(17):
        assert office.get(url()).status_code == 200


def test_several_connections_are_told_apart(world: World, office: Client) -> None:
    other = Connection.objects.create(contract_number="77")
    assert "/v1/2332/" in office.get(url()).content.decode()
    page = office.get(url(), {"connection": other.pk}).content.decode()
    assert "/v1/77/" in page
    assert f'<a href="?connection={world.connection.pk}">' in page


def test_switching_on_asks_while_something_is_missing(world: World, office: Client) -> None:
    Connection.objects.update(switch="paused")
    sent = {"connection": world.connection.pk}
    asked = office.post(url("switch_on"), sent)
    assert asked.status_code == 200
    assert "Turn on anyway" in asked.content.decode()
    assert "The first real case" not in asked.content.decode()
    assert Connection.objects.get().switch == "paused"

    office.post(url("switch_on"), sent | {"confirmed": "1"})
    connection = Connection.objects.get()
    assert connection.switch == "on"
    assert connection.history.latest().history_user.username == "ole"
    assert connection.secret  # what was not asked for is still there
    before = connection.history.count()
    office.post(url("switch_on"), sent | {"confirmed": "1"})
    assert connection.history.count() == before
    assert "Turn on" not in office.get(url()).content.decode()


def test_switching_on_does_not_ask_when_all_is_ready(world: World, office: Client, settings: Settings) -> None:
    mette = get_user_model().objects.get(username="mette")
    mette.email = "mette@firma.example"
    mette.save()
    settings.SCALEPOINT = {"PUBLIC_BASE_URL": "https://firma.example.com"}
    Heartbeat.objects.create(name="sweep", at=timezone.now() + timedelta(minutes=1))
    Connection.objects.update(switch="paused", server_name="s", user_name="u")
    world.default_values.failure_recipients.add(mette)
    ScalepointMail.objects.create(connection=world.connection, how="sent", subject="s", body="b")
    asked = office.post(url("switch_on"), {"connection": world.connection.pk}).content.decode()
    assert asked.count("sp-check-text") == 1
    assert "A test case has been completed" in asked
    assert Connection.objects.get().switch == "paused"

    Connection.objects.update(switch="on")
    handle(world, assignment())
    InboundEvent.objects.update(source="test")
    Connection.objects.update(switch="paused")
    assert office.post(url("switch_on"), {"connection": world.connection.pk}).status_code == 302
    assert Connection.objects.get().switch == "on"


def test_a_wrong_number_switches_nothing_on(world: World, office: Client) -> None:
    Connection.objects.update(switch="paused")
    for page, sent in (("switch_on", {"confirmed": "1"}), ("mail", {"do": "send", **LETTER})):
        answer = office.post(url(page), {"connection": str(world.connection.pk + 1000), **sent})
        assert answer.status_code == 404
    assert Connection.objects.get().switch == "paused"
    assert not outbox.outbox


def test_the_mail_asks_for_what_is_missing_and_then_shows_the_letter(world: World, office: Client) -> None:
    first = office.get(url("mail"))
    assert "First enter who you are" in first.content.decode()
    assert 'id="mail_form"' not in first.content.decode()
    sent = form(first) | COMPANY | {"do": "company"}
    wrong = office.post(url("mail"), sent | {"company_tax_id": "12345678"})
    assert "This is not a valid CVR number" in wrong.content.decode()
    assert Connection.objects.get().company_name == ""

    shown = office.post(url("mail"), sent | {"language": "da"}, follow=True)
    connection = Connection.objects.get()
    assert {name: getattr(connection, name) for name in COMPANY} == COMPANY
    assert connection.history.latest().history_user.username == "ole"
    letter = form(shown)
    assert letter["body"].startswith("Hej Scalepoint.")
    assert "http://testserver/api/scalepoint/v1/2332/" in letter["body"]
    assert "mailto:?subject=Integration%20til%20Eksempel%20ApS&amp;body=Hej%20Scalepoint." in shown.content.decode()
    english = form(office.get(url("mail"), {"language": "en"}))
    assert english["body"].startswith("Dear Scalepoint.")
    danish_reader = office.get(url("mail"), headers={"Accept-Language": "da"})
    assert form(danish_reader)["body"].startswith("Hej Scalepoint.")
    assert form(office.get(url("mail")))["body"].startswith("Dear Scalepoint.")


@pytest.fixture
def known(world: World) -> Connection:
    Connection.objects.update(**COMPANY)
    return world.connection


def test_preview_send_and_read_again(known: Connection, office: Client) -> None:
    sent = LETTER | {"connection": str(known.pk), "language": "da", "body": "Hej <b>Scalepoint</b>"}
    preview = office.post(url("mail"), sent | {"do": "preview"}).content.decode()
    assert "This is how it will look" in preview
    assert "Hej &lt;b&gt;Scalepoint&lt;/b&gt;" in preview
    assert "mailto:integration@scalepoint.example?" in preview
    assert not outbox.outbox
    assert not ScalepointMail.objects.exists()

    answer = office.post(url("mail"), sent | {"do": "send"}, follow=True)
    assert "The mail is sent to integration@scalepoint.example." in answer.content.decode()
    [letter] = outbox.outbox
    assert letter.to == ["integration@scalepoint.example"]
    row = ScalepointMail.objects.get()
    assert (row.how, row.sent_by.username, row.body) == ("sent", "ole", "Hej <b>Scalepoint</b>")
    read = office.get(url("sent_mail", row.pk)).content.decode()
    assert "Hej &lt;b&gt;Scalepoint&lt;/b&gt;" in read
    assert url("sent_mail", row.pk) in office.get(url()).content.decode()
    assert form(office.get(url("mail")))["recipient"] == "integration@scalepoint.example"


def test_sent_from_elsewhere_is_written_down(known: Connection, office: Client) -> None:
    office.post(url("mail"), {**LETTER, "recipient": "", "connection": known.pk, "do": "outside"})
    row = ScalepointMail.objects.get()
    assert (row.how, row.recipient, row.sent_by.username) == ("outside", "", "ole")
    assert not outbox.outbox


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"recipient": ""}, "This field is required"),
        ({"recipient": "a@b.example\nBcc: c@d.example"}, "Enter a valid email address"),
        ({"body": f"token {NORD_TOKEN}"}, "The text contains a security token"),
        ({"do": "preview", "body": f"token {NORD_TOKEN}"}, "The text contains a security token"),
        ({"do": "outside", "body": f"token {NORD_TOKEN}"}, "The text contains a security token"),
    ],
)
def test_what_is_refused_is_not_sent(known: Connection, office: Client, change: dict[str, str], told: str) -> None:
    answer = office.post(url("mail"), {**LETTER, "connection": known.pk, "do": "send", **change})
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert "mailto:" not in answer.content.decode()
    assert not outbox.outbox
    assert not ScalepointMail.objects.exists()


def test_a_line_break_in_the_subject_begins_no_header(known: Connection, office: Client) -> None:
    office.post(url("mail"), {**LETTER, "subject": "Hej\r\nBcc: c@d.example", "connection": known.pk, "do": "send"})
    [letter] = outbox.outbox
    assert letter.subject == "Hej Bcc: c@d.example"
    assert letter.recipients() == ["integration@scalepoint.example"]


def test_a_letter_whose_facts_hold_a_secret_is_not_offered(known: Connection, office: Client) -> None:
    Connection.objects.update(contact_phone=NORD_TOKEN)
    page = office.get(url("mail")).content.decode()
    assert "The text contains a security token" in page
    assert "mailto:" not in page


def test_a_mail_server_that_fails_is_told_on_the_page(known: Connection, office: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "tests.scalepoint_integration.office.test_letter.Deaf"
    answer = office.post(url("mail"), {**LETTER, "connection": known.pk, "do": "send"}).content.decode()
    assert "The email could not be sent" in answer
    assert "Hej Scalepoint" in form(office.get(url("mail"), {"language": "da"}))["body"]
    assert not ScalepointMail.objects.exists()


def test_whoever_may_only_look_changes_nothing(known: Connection) -> None:
    Connection.objects.update(switch="paused")
    row = ScalepointMail.objects.create(connection=known, how="sent", subject="s", body="b")
    looker = client_of("view_setup")
    page = looker.get(url())
    assert page.status_code == 200
    assert "<form" not in page.content.decode().split('id="content-main"')[1]
    assert 'class="button"' not in page.content.decode().split('id="content-main"')[1]
    assert looker.get(url("sent_mail", row.pk)).status_code == 200
    assert looker.get(url("mail")).status_code == 403
    for wanted in ("company", "preview", "send", "outside"):
        sent = {**LETTER, **COMPANY, "company_name": "changed", "connection": known.pk, "do": wanted}
        assert looker.post(url("mail"), sent).status_code == 403
    assert looker.post(url("switch_on"), {"connection": known.pk, "confirmed": "1"}).status_code == 403
    assert looker.post(url("first"), {"contract_number": "9"}).status_code == 403
    connection = Connection.objects.get()
    assert (connection.switch, connection.company_name, connection.contract_number) == (
        "paused",
        "Eksempel ApS",
        CONTRACT,
    )
    assert ScalepointMail.objects.count() == 1
    assert not outbox.outbox


def test_whoever_may_not_look_sees_nothing(known: Connection) -> None:
    row = ScalepointMail.objects.create(connection=known, how="sent", subject="s", body="b")
    stranger = client_of("view_case")
    for address in (url(), url("mail"), url("sent_mail", row.pk)):
        assert stranger.get(address).status_code == 403


def test_buttons_are_posts_with_a_token_and_no_form_of_the_row_is_open(known: Connection, office: Client) -> None:
    for page in ("switch_on", "first"):
        assert office.get(url(page)).status_code == 405
    user = get_user_model().objects.get(username="ole")
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(user)
    for page in ("switch_on", "first", "mail"):
        assert careful.post(url(page), {"connection": known.pk, "confirmed": "1", "do": "send"}).status_code == 403
    for address in (f"{url()}{known.pk}/change/", f"{url()}add/", f"{url()}{known.pk}/delete/"):
        assert office.get(address).status_code == 404
