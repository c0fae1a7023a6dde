"""What the office decides about new cases: the inbox, which values win, no telephone number, which events it takes."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from crm.models import Customer, InsuranceCompany, Team
from scalepoint_integration import queues
from scalepoint_integration.adapter import Adapter
from scalepoint_integration.handling import defaults, run
from scalepoint_integration.models import Case, DefaultValues, ImagePull, InboundEvent, Service
from scalepoint_integration.payloads.assignment import CaseFacts, parse
from scalepoint_integration.payloads.envelope import find_events, read_envelope
from scalepoint_integration.receiving import store
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskContact
from tests.support.world import World, assignment, handle, merged

EVENT = assignment()
NO_PHONE = merged(EVENT, {"policyHolder": {"phoneNumber": None, "mobileNumber": None}})


def rules(world: World, **fields: Any) -> None:
    DefaultValues.objects.filter(pk=world.connection.pk).update(**fields)
    world.connection.refresh_from_db()


def approve() -> None:
    Case.objects.update(approved_at=timezone.now())
    run.replay(InboundEvent.objects.order_by("-pk")[0])
    drain(queues.EVENTS)


def test_in_the_inbox_a_case_is_kept_and_nothing_is_made_of_it(world: World) -> None:
    rules(world, new_cases="inbox")
    [event] = handle(world, EVENT)
    case = Case.objects.get()
    assert (event.status, event.error_code, event.case_id) == ("done", "", case.pk)
    assert (case.status, case.problem_code, case.customer, case.number) == ("new", "", None, "20310506-07")
    assert Service.objects.get().task is None
    assert Task.objects.count() == Customer.objects.count() == ImagePull.objects.count() == 0


def test_an_approved_case_gets_its_task_with_all_that_came_while_it_waited(world: World) -> None:
    rules(world, new_cases="inbox")
    later = {"eventType": "repair_updated", "timestamp": "2031-05-07T08:00:00Z", "images": [], "contacts": []}
    handle(world, EVENT)
    handle(world, merged(EVENT, later))
    assert ImagePull.objects.count() == 0
    approve()
    case, task = Case.objects.get(), Task.objects.get()
    assert (case.status, case.customer, Service.objects.get().task) == ("in_progress", Customer.objects.get(), task)
    # Of the first event, which the second did not repeat.
    assert ImagePull.objects.get().file_name == "tag.jpg"
    assert TaskContact.objects.get().name == "Otto Opdigtet"
    approve()
    assert Task.objects.count() == ImagePull.objects.count() == TaskContact.objects.count() == 1


def test_pictures_of_another_service_are_not_caught_up_with(world: World) -> None:
    rules(world, new_cases="inbox")
    other = {"service": {"id": "second", "referenceNumber": "20310506-07-4"}, "images": [], "contacts": []}
    handle(world, EVENT)
    handle(world, merged(EVENT, other))
    approve()
    assert (Task.objects.count(), ImagePull.objects.count(), TaskContact.objects.count()) == (1, 0, 0)


def test_a_case_that_is_worked_on_does_not_go_back_to_the_inbox(world: World) -> None:
    handle(world, EVENT)
    rules(world, new_cases="inbox")
    second = {"service": {"id": "second", "referenceNumber": "20310506-07-4"}}
    handle(world, merged(EVENT, second), assignment(2))
    assert Task.objects.count() == 2
    assert list(Case.objects.order_by("pk").values_list("status", flat=True)) == ["in_progress", "new"]


def test_a_case_of_an_unknown_company_needs_action_before_it_waits(world: World) -> None:
    rules(world, new_cases="inbox")
    InsuranceCompany.objects.update(active=False)
    [event] = handle(world, EVENT)
    assert (event.status, event.error_code, Case.objects.get().status) == ("failed", "SP-118", "needs_action")
    InsuranceCompany.objects.update(active=True)
    handle(world, merged(EVENT, {"timestamp": "2031-05-07T08:00:00Z"}))
    case = Case.objects.get()
    event.refresh_from_db()
    assert (case.status, case.problem_code, event.status) == ("new", "", "done")
    assert Task.objects.count() == 0


@pytest.mark.parametrize(
    ("winner", "own", "expected"),
    [
        ("scalepoint", False, ("Service", "connection")),
        ("customer", False, ("Kundens", "customer")),
        ("customer", True, ("Selskabets", "insurer")),
        ("scalepoint", True, ("Selskabets", "insurer")),
    ],
)
def test_who_wins(world: World, winner: str, own: bool, expected: tuple[str, str]) -> None:
    rules(world, winner=winner)
    customer = Customer.objects.create(name="Inga", team=Team.objects.create(name="Kundens"))
    if own:
        world.nord.team = Team.objects.create(name="Selskabets")
    chosen = defaults.resolve(world.default_values, world.nord, customer)
    assert (chosen.values["team"].name, chosen.origins["team"]) == expected


def test_a_customers_own_responsible_wins_on_the_task_and_who_left_is_passed_over(world: World) -> None:
    rules(world, winner="customer")
    own = get_user_model().objects.create_user("karla")
    policy = {"insurer": world.nord, "policy_number": EVENT["case"]["policy"]["number"]}
    customer = Customer.objects.create(name="Inga", responsible=own, **policy)
    handle(world, EVENT)
    assert (Task.objects.get().customer, Task.objects.get().responsible) == (customer, own)
    assert Case.objects.get().origins["responsible"] == "customer"
    own.is_active = False
    own.save()
    customer.refresh_from_db()
    chosen = defaults.resolve(world.default_values, world.nord, customer)
    assert chosen.values["responsible"] == world.default_values.responsible
    assert chosen.notices == ("SP-202",)


@pytest.mark.parametrize(("no_phone", "status", "made"), [("ask", "failed", 0), ("new", "done", 1)])
def test_without_a_phone_number(world: World, no_phone: str, status: str, made: int) -> None:
    rules(world, phone_as_customer_number=True, no_phone=no_phone)
    [event] = handle(world, NO_PHONE)
    assert (event.status, event.error_code) == (status, "" if made else "SP-204")
    assert Customer.objects.count() == Task.objects.count() == made
    assert [customer.customer_number for customer in Customer.objects.all()] == [""] * made


def test_without_a_phone_number_each_case_gets_a_customer_of_its_own(world: World) -> None:
    rules(world, phone_as_customer_number=True, no_phone="new")
    handle(world, NO_PHONE, merged(assignment(2), {"policyHolder": {"phoneNumber": None}}))
    assert Customer.objects.count() == 2
    rule = defaults.customer_rule(world.default_values, world.nord)
    assert Adapter().find_customers(_facts(), world.nord, rule) == []


def _facts() -> CaseFacts:
    return parse(NO_PHONE).case


@pytest.mark.parametrize("by_secret", [False, True])
def test_an_event_that_is_not_taken_from_the_company_is_ignored(world: World, by_secret: bool) -> None:
    InsuranceCompany.objects.filter(pk=world.nord.pk).update(event_types=["message_received"])
    world.nord.refresh_from_db()
    [event] = handle(world, EVENT) if not by_secret else _by_secret(world)
    assert (event.status, event.error_code) == ("ignored", "SP-106")
    assert Case.objects.count() == Task.objects.count() == Customer.objects.count() == 0
    [other] = handle(
        world, assignment(2, case={"policy": {"insuranceCompany": {"alias": "sydins"}}}), insurer=world.syd
    )
    assert (other.status, Task.objects.count()) == ("done", 1)
    InsuranceCompany.objects.update(event_types=[])
    run.replay(event)
    drain(queues.EVENTS)
    assert Task.objects.count() == 2


def _by_secret(world: World) -> list[InboundEvent]:
    found = [read_envelope(each, vendor_id) for each, vendor_id in find_events(EVENT, 10)]
    [receipt] = store.receive(world.connection.pk, None, found)
    drain(queues.EVENTS)
    return [InboundEvent.objects.get(pk=receipt.id)]
