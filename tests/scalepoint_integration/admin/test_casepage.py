"""The page of a case: each button does what it says, and nothing for those who may only look."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from crm.models import Customer, Team
from scalepoint_integration.admin.casepage import ACTS
from scalepoint_integration.errors import CATALOGUE
from scalepoint_integration.models import (
    Case,
    CaseMessage,
    ImagePull,
    InboundEvent,
    OfficeNote,
    OutboundEvent,
    Payment,
    UserSettings,
)
from tasks.models import Task, TaskImage, TaskTemplate
from tests.scalepoint_integration.admin.test_admin import client_of, url
from tests.scalepoint_integration.handling.test_followup import closed, message
from tests.scalepoint_integration.handling.test_money import fixture
from tests.scalepoint_integration.office.test_casework import ask_for_customer, the_case
from tests.support.world import World, assignment, handle, merged

OFFICE = ("view_case", "change_case", "retry_event")
# A page of a case with all that there can be on it; a new query needs a reason.
QUERIES = 45


@pytest.fixture(autouse=True)
def nobody_looks(db: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def page(reader: Client, case: Case | None = None) -> str:
    answer = reader.get(url("case", "change", (case or the_case()).pk))
    assert answer.status_code == 200
    return answer.content.decode()


def press(reader: Client, name: str, answers: int = 302, **form: Any) -> str:
    """Press a button; the text of the page that follows."""
    answer = reader.post(url("case", name, the_case().pk), form)
    assert answer.status_code == answers
    return page(reader) if answers == 302 else answer.content.decode()


def ole() -> Any:
    return get_user_model().objects.get(username="ole")


def test_events_are_named_in_words(world: World) -> None:
    handle(world, assignment())
    shown = page(client_of(*OFFICE, "view_inboundevent")).split('id="raw"')[1]
    assert "New case" in shown
    assert "repair_service_requested" not in shown


def test_the_buttons_of_a_day(world: World) -> None:
    handle(world, assignment())
    office, team = client_of(*OFFICE), Team.objects.create(name="Tag")
    assert "The case was assigned to you." in press(office, "take")
    assert the_case().responsible == ole()
    assert "Assigned to mette" in press(office, "assign", responsible=world.default_values.responsible_id, team=team.pk)
    assert (the_case().responsible, the_case().team) == (world.default_values.responsible, team)
    press(office, "deadline", deadline="01-06-2031")
    assert str(the_case().deadline) == "2031-06-01"
    assert "The note was saved." in press(office, "note", text="Ring mandag")
    assert OfficeNote.objects.get().author == ole()
    assert "1 image is being fetched again." not in press(office, "images")
    ImagePull.objects.update(status="failed", error_code="SP-301")
    assert "1 image is being fetched again." in press(office, "images")
    assert ImagePull.objects.get().status == "pending"


def test_a_customer_is_chosen_where_it_is_asked(world: World) -> None:
    ask_for_customer(world)
    office = client_of(*OFFICE)
    shown = page(office)
    assert "Several customers match" in shown and "Kim to" in shown and "Create a new customer" in shown
    assert "Choose one of the customers." in press(office, "customer", customer="999999")
    assert Task.objects.count() == 0
    chosen = Customer.objects.get(name="Kim to")
    after = press(office, "customer", customer=chosen.pk)
    assert f"Task {Task.objects.get().pk} was created." in after
    assert Task.objects.get().customer == chosen


@pytest.mark.parametrize("customer", ["new", "other"])
def test_a_new_customer_or_one_by_number(world: World, customer: str) -> None:
    ask_for_customer(world)
    bo = Customer.objects.create(name="Bo", customer_number="K-7")
    office = client_of(*OFFICE)
    assert "does not match exactly one customer" in press(
        office, "customer", customer="other", customer_number="00112233"
    )
    press(office, "customer", customer=customer, customer_number="K-7")
    assert (Task.objects.get().customer == bo) is (customer == "other")
    assert Customer.objects.count() == (3 if customer == "other" else 4)


def test_the_company_is_chosen(world: World) -> None:
    handle(world, assignment())
    case = the_case()
    Case.objects.update(problem_code="SP-111", problem_facts={"alias": "x"}, status="needs_action", insurer=None)
    InboundEvent.objects.update(status="failed", error_code="SP-111", insurer=None)
    office = client_of(*OFFICE)
    assert "Use this company" in page(office)
    assert "Choose an insurance company." in press(office, "insurer", insurer="")
    assert re.search(r"Task \d+ was created\.", press(office, "insurer", insurer=world.nord.pk))
    case.refresh_from_db()
    assert (case.insurer, case.problem_code) == (world.nord, "")


def test_retry_make_and_link(world: World) -> None:
    TaskTemplate.objects.update(active=False)
    handle(world, assignment())
    office = client_of(*OFFICE)
    assert "Open the default values" not in page(office)  # they could not be opened
    ole = get_user_model().objects.get(username="ole")
    ole.user_permissions.add(Permission.objects.get(codename="view_defaultvalues"))
    shown = page(office)
    assert "is inactive" in shown and "Open the default values" in shown
    assert "is inactive" in press(office, "retry")
    assert Task.objects.count() == 0
    TaskTemplate.objects.update(active=True)
    assert re.search(r"Task \d+ was created\.", press(office, "retry"))
    Task.objects.get().delete()
    assert "The task was deleted" in page(office)
    assert re.search(r"Task \d+ was created\.", press(office, "make"))
    assert Task.objects.count() == 1
    mine = Task.objects.create(title="Min egen")
    service = the_case().services.get()
    assert "Task 999999 does not exist" in press(office, "link", service=service.pk, task=999999)
    assert f"was linked to task {mine.pk} now" in press(office, "link", service=service.pk, task=mine.pk)
    service.refresh_from_db()
    assert service.task == mine


def test_closing_asks_first(world: World) -> None:
    handle(world, assignment())
    office = client_of(*OFFICE)
    asked = press(office, "close", answers=200)
    assert "Its open tasks will be closed too." in asked and 'name="reason"' in asked
    assert the_case().status == "in_progress"
    assert "Reason: This field is required." in press(office, "close", confirmed="yes")
    assert the_case().status == "in_progress"
    assert "The case was closed." in press(office, "close", confirmed="yes", reason="Fortrudt")
    assert (the_case().status, Task.objects.get().status) == ("closed", "done")
    assert "Fortrudt" in page(office)
    assert "The case was reopened." in press(office, "reopen")
    assert (the_case().status, Task.objects.get().status) == ("in_progress", "in_progress")


@pytest.mark.parametrize(("choice", "status"), [("close", "cancelled"), ("keep", "in_progress")])
def test_what_becomes_of_a_task_that_was_worked_on(world: World, choice: str, status: str) -> None:
    handle(world, assignment())
    Task.objects.update(status="in_progress")
    handle(world, closed(10))
    office = client_of(*OFFICE)
    assert "Keep the task open" in page(office)
    press(office, "decide", choice="")
    assert the_case().flags
    assert "Keep the task open" not in press(office, "decide", choice=choice)
    assert Task.objects.get().status == status


def test_marking_as_a_test_and_anonymising_ask_first(world: World) -> None:
    handle(world, assignment())
    office = client_of(*OFFICE, "anonymise_person")
    press(office, "test", answers=200)
    assert not the_case().is_test
    assert "TEST" in press(office, "test", confirmed="yes")
    assert the_case().is_test
    press(office, "anonymise", answers=200)
    assert "Inga Eksempelsen" in page(office)
    assert "Inga Eksempelsen" not in press(office, "anonymise", confirmed="yes")
    assert Customer.objects.get().name == "anonymised"


def test_sharing_a_note(world: World) -> None:
    handle(world, assignment())
    office = client_of(*OFFICE, "send_outbound")
    assert "no Scalepoint user name" in press(office, "note", text="Hej", share="on")
    UserSettings.objects.create(user=ole(), scalepoint_user_name="ole-der")
    assert "turned off on the connection" in press(office, "note", text="Hej", share="on")
    assert (OfficeNote.objects.count(), OutboundEvent.objects.count()) == (0, 0)
    world.connection.send_messages = True
    world.connection.save()
    assert "will be sent to Scalepoint" in press(office, "note", text="Hej", share="on")
    sent = OutboundEvent.objects.get()
    assert (sent.facts, sent.created_by) == ({"subject": "", "text": "Hej"}, ole())


def test_sharing_needs_its_own_permission(world: World) -> None:
    world.connection.send_messages = True
    world.connection.save()
    handle(world, assignment())
    office = client_of(*OFFICE)
    UserSettings.objects.create(user=ole(), scalepoint_user_name="ole-der")
    press(office, "note", answers=403, text="Hej", share="on")
    assert (OfficeNote.objects.count(), OutboundEvent.objects.count()) == (0, 0)


def test_a_payment_and_an_invoice_are_shown_before_they_leave(world: World) -> None:
    world.connection.send_payment_status = world.connection.send_invoices = True
    world.connection.company_name = "Opdigtet Tag ApS"
    world.connection.save()
    handle(world, fixture("case_settled/documented"))
    office = client_of(*OFFICE, "send_outbound", "view_settlement")
    payment = Payment.objects.exclude(uuid="")[0]
    said = {"payment": payment.pk, "status": "processed"}
    assert payment.uuid in press(office, "payment", answers=200, **said)
    assert OutboundEvent.objects.count() == 0
    press(office, "payment", confirmed="yes", **said)
    press(office, "payment", confirmed="yes", **said)
    payment.refresh_from_db()
    assert (OutboundEvent.objects.get().facts["status"], payment.status) == ("processed", "processed")
    assert "no such payment" in press(office, "payment", confirmed="yes", payment=0, status="processed")
    bill = {"number": "F-1", "date": "01-06-2031", "due": "01-07-2031", "title": "Tagsten", "amount": "1250.50"}
    asked = press(office, "invoice", answers=200, **bill)
    assert "1250.50" in asked and "Opdigtet Tag ApS" in asked
    assert OutboundEvent.objects.count() == 1
    for _each in range(2):
        assert "The invoice will be sent to Scalepoint." in press(office, "invoice", confirmed="yes", **bill)
    sent = OutboundEvent.objects.get(kind="expense").facts["expense"]
    assert (sent["number"], sent["items"]) == ("F-1", [{"title": "Tagsten", "amount": 1250.5}])
    assert sent["date"].startswith("2031-06-01")


def test_nothing_leaves_while_its_switch_is_off(world: World) -> None:
    handle(world, fixture("case_settled/documented"))
    office = client_of(*OFFICE, "send_outbound", "view_settlement")
    payment = Payment.objects.exclude(uuid="")[0]
    press(office, "payment", confirmed="yes", payment=payment.pk, status="processed")
    bill = {"number": "F-1", "date": "01-06-2031", "due": "01-07-2031", "title": "Tagsten", "amount": "1250.50"}
    press(office, "invoice", confirmed="yes", **bill)
    payment.refresh_from_db()
    assert (OutboundEvent.objects.count(), payment.status) == (0, "")
    assert "Send invoice" not in page(office)


@pytest.mark.parametrize("name", ACTS)
def test_who_may_only_look_can_press_nothing(world: World, name: str) -> None:
    ask_for_customer(world)
    world.connection.send_messages = world.connection.send_payment_status = world.connection.send_invoices = True
    world.connection.save()
    looks = client_of("view_case", "view_settlement", "view_inboundevent")
    case = the_case()
    before = (list(Case.objects.values()), list(InboundEvent.objects.values()), list(Customer.objects.values()))
    form = {
        "confirmed": "yes",
        "customer": "new",
        "reason": "x",
        "text": "x",
        "choice": "close",
        "task": 1,
        "service": 1,
    }
    assert looks.post(url("case", name, case.pk), form).status_code == 403
    assert looks.get(url("case", name, case.pk)).status_code == 403
    assert client_is_sent_to_log_in(name, case)
    after = (list(Case.objects.values()), list(InboundEvent.objects.values()), list(Customer.objects.values()))
    assert before == after
    assert (Task.objects.count(), OfficeNote.objects.count(), OutboundEvent.objects.count()) == (0, 0, 0)
    assert f"/{case.pk}/{name}/" not in page(looks)


def client_is_sent_to_log_in(name: str, case: Case) -> bool:
    return Client().post(url("case", name, case.pk)).status_code == 302


@pytest.mark.parametrize("name", ACTS)
def test_a_button_is_a_post_with_a_token(world: World, name: str) -> None:
    handle(world, assignment())
    client_of(superuser=True)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ole())
    assert strict.get(url("case", name, the_case().pk)).status_code == 405
    assert strict.post(url("case", name, the_case().pk), {"confirmed": "yes"}).status_code == 403
    assert strict.post(url("case", name, 0)).status_code == 403


@pytest.mark.parametrize("name", ["anonymise", "payment", "invoice", "retry", "images"])
def test_some_buttons_need_more_than_changing_cases(world: World, name: str) -> None:
    handle(world, assignment())
    office = client_of("view_case", "change_case")
    press(office, name, answers=403, confirmed="yes")
    assert (the_case().anonymised_at, OutboundEvent.objects.count()) == (None, 0)
    assert f"/{the_case().pk}/{name}/" not in page(office)


def test_opening_the_page_marks_it_read_for_those_who_work_on_it(world: World) -> None:
    handle(world, assignment())
    page(client_of("view_case"))
    assert the_case().unread
    ole().delete()
    page(client_of(*OFFICE))
    assert not the_case().unread


def test_who_else_looks(world: World) -> None:
    handle(world, assignment())
    office = client_of(*OFFICE)
    assert "is also looking at this case" not in page(office)
    assert "is also looking at this case" not in page(office)
    mette = Client()
    world.connection.responsible.is_superuser = True
    world.connection.responsible.save()
    mette.force_login(world.connection.responsible)
    assert "ole is also looking at this case" in page(mette)
    assert "mette is also looking at this case" in page(office)


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_is_told_with_its_choices(world: World, code: str) -> None:
    handle(world, assignment())
    Task.objects.all().delete()
    Case.objects.update(status="needs_action", problem_code=code, problem_facts={}, notices=["SP-205"])
    shown = page(client_of(superuser=True))
    what = CATALOGUE[code].what.split("%")[0].split("“")[0].strip()
    assert escape(what) in shown
    wanted = {
        "SP-203": "Use the selected customer",
        "SP-204": "Create a new customer",
        "SP-111": "Use this company",
        "SP-118": "Open the insurance company",
        "SP-201": "Open the default values",
    }
    assert wanted.get(code, "Retry") in shown
    assert "The case name was too long" in shown


def test_a_case_without_an_order_says_so(world: World) -> None:
    handle(world, message(8, "m1"))
    assert "We did not have the case yet" in page(client_of(*OFFICE))


def test_a_case_that_waits_in_the_inbox(world: World) -> None:
    handle(world, assignment())
    world.default_values.new_cases = "inbox"
    world.default_values.save()
    Case.objects.update(status="new")
    case = the_case()
    case.services.update(task=None, applied={})
    Task.objects.all().delete()
    office = client_of(*OFFICE)
    assert "The case is waiting for you" in page(office)
    assert re.search(r"Task \d+ was created\.", press(office, "make"))
    assert the_case().approved_at and Task.objects.count() == 1


def with_image(case: Case) -> TaskImage:
    service = case.services.get()
    image = TaskImage(
        task=service.task, original_name="../../etc/tag.jpg", content_type="image/jpeg", size=3, width=1, height=1
    )
    image.file.save("", ContentFile(b"abc"))
    service.pulls.update(status="done", image=image)
    return image


def test_all_images_as_a_zip(world: World) -> None:
    handle(world, assignment())
    with_image(the_case())
    office = client_of("view_case", "view_taskimage")
    assert "images.zip" in page(office)
    answer = office.get(url("case", "zip", the_case().pk))
    packed = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))  # type: ignore[arg-type]
    assert [(each.filename, packed.read(each)) for each in packed.infolist()] == [("001-tag.jpg", b"abc")]
    assert answer["Content-Type"] == "application/zip"


def test_images_need_their_own_permission(world: World) -> None:
    handle(world, assignment())
    with_image(the_case())
    looks = client_of("view_case")
    assert looks.get(url("case", "zip", the_case().pk)).status_code == 403
    assert "<img" not in page(looks) and "images.zip" not in page(looks)


def test_money_and_events_need_their_own_permission(world: World) -> None:
    world.connection.send_payment_status = True
    world.connection.save()
    handle(world, fixture("case_settled/documented"))
    shown = page(client_of("view_case"))
    assert 'id="settlement"' not in shown and 'id="raw"' not in shown and "Processed" not in shown


def test_nothing_is_loaded_from_outside_and_evil_words_are_text(world: World) -> None:
    evil = "<script>alert(1)</script>"
    event = merged(assignment(), {"policyHolder": {"name": evil}, "case": {"damageDescription": evil, "url": "x"}})
    handle(world, event, message(8, evil, subject=evil, sender={"name": evil, "role": evil}))
    CaseMessage.objects.update(content=evil)
    OfficeNote.objects.create(case=the_case(), text=evil)
    Customer.objects.update(name=evil)
    Case.objects.update(problem_code="SP-203", problem_facts={"reason": evil, "customers": [Customer.objects.get().pk]})
    shown = page(client_of(superuser=True))
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown
    assert "onclick" not in shown
    for address in shown.split('src="')[1:]:
        assert address.startswith("/"), address[:80]


def test_the_page_takes_the_recorded_number_of_queries(world: World) -> None:
    handle(world, assignment(), message(8, "m1"))
    office = client_of(superuser=True)
    page(office)
    with CaptureQueriesContext(connection) as few:
        page(office)
    assert len(few) <= QUERIES, [query["sql"] for query in few]
    handle(world, *(message(9, f"m{number}") for number in range(2, 9)))
    for number in range(5):
        press(office, "note", text=f"note {number}")
    with CaptureQueriesContext(connection) as many:
        page(office)
    assert len(many) <= len(few)
