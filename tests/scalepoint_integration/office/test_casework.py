"""What a person does on a case: the state it leaves, who did it, and that twice is once."""

from datetime import date
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from crm.models import Customer, InsuranceCompany, Team
from scalepoint_integration import queues
from scalepoint_integration.handling import run
from scalepoint_integration.models import (
    Case,
    ImagePull,
    InboundEvent,
    OfficeNote,
    OutboundEvent,
    UserSettings,
    registers,
)
from scalepoint_integration.office import casework
from scalepoint_integration.office.anonymise import anonymise
from scalepoint_integration.payloads.assignment import CaseFacts
from scalepoint_integration.workqueue import NeedsPerson
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskContact, TaskImage, TaskTemplate
from tests.scalepoint_integration.handling.test_followup import closed, message, reopened
from tests.support.world import World, assignment, handle, merged, receive


@pytest.fixture
def ole(db: None) -> Any:
    return get_user_model().objects.create_user("ole", is_staff=True)


def the_case() -> Case:
    return Case.objects.get()


def last_history(case: Case) -> Any:
    return case.history.order_by("-history_id").first()


def ask_for_customer(world: World) -> Case:
    """A case that waits because two customers fit."""
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    number = "00112233"
    Customer.objects.create(name="Kim", customer_number=number)
    Customer.objects.create(name="Kim to", customer_number=number)
    handle(world, assignment())
    case = the_case()
    assert case.problem_code == "SP-203"
    return case


def test_assigning_follows_to_the_tasks_that_had_the_same(world: World, ole: Any) -> None:
    handle(world, assignment())
    case, team = the_case(), Team.objects.create(name="Tag")
    Team.objects.create(name="En anden")
    casework.assign(case, ole, responsible=ole, team=team)
    case.refresh_from_db()
    task = Task.objects.get()
    assert (case.responsible, case.team, task.responsible, task.team) == (ole, team, ole, team)
    assert case.taken_at
    assert last_history(case).history_user == ole
    other = get_user_model().objects.create_user("other")
    Task.objects.update(responsible=other)
    casework.assign(case, ole, responsible=None)
    case.refresh_from_db()
    assert (case.responsible, case.team, Task.objects.get().responsible) == (None, team, other)


def test_taking_marking_and_the_deadline(world: World, ole: Any) -> None:
    handle(world, assignment())
    case = the_case()
    casework.take(case, ole)
    first = the_case().taken_at
    casework.set_deadline(case, ole, date(2031, 6, 1))
    case = the_case()
    assert (case.responsible, case.deadline, case.taken_at) == (ole, date(2031, 6, 1), first)
    assert Task.objects.get().deadline == date(2031, 6, 1)
    assert casework.mark(Case.objects.all(), unread=False) == 1
    assert casework.mark(Case.objects.all(), unread=False) == 0
    assert the_case().unread is False


def test_a_message_and_a_problem_make_a_case_unread(world: World) -> None:
    handle(world, assignment())
    Case.objects.update(unread=False)
    handle(world, message(8, "m1"))
    assert the_case().unread
    Case.objects.update(unread=False)
    handle(world, message(8, "m1", subject="fuller"))
    assert not the_case().unread  # the same one
    TaskTemplate.objects.update(active=False)
    handle(world, merged(assignment(), {"service": {"referenceNumber": "another", "id": "77"}}))
    assert (the_case().problem_code, the_case().unread) == ("SP-201", True)


def test_the_chosen_customer_gets_the_task(world: World, ole: Any) -> None:
    case = ask_for_customer(world)
    chosen = Customer.objects.order_by("-pk")[0]
    casework.choose_customer(case, ole, chosen)
    case = the_case()
    assert (case.customer, case.status, case.problem_code) == (chosen, "in_progress", "")
    assert Task.objects.get().customer == chosen
    assert InboundEvent.objects.get().tries.get().retried_by == ole
    casework.choose_customer(case, ole, chosen)
    assert (Task.objects.count(), Customer.objects.count()) == (1, 2)


def test_a_new_customer_though_others_fit(world: World, ole: Any) -> None:
    case = ask_for_customer(world)
    casework.choose_customer(case, ole, None)
    casework.choose_customer(case, ole, None)
    made = Customer.objects.order_by("-pk")[0]
    assert Customer.objects.count() == 3
    assert (the_case().customer, Task.objects.get().customer, made.name) == (made, made, "Inga Eksempelsen")


def test_a_new_customer_without_a_phone(world: World, ole: Any) -> None:
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    handle(world, merged(assignment(), {"policyHolder": {"phoneNumber": None, "mobileNumber": None}}))
    assert the_case().problem_code == "SP-204"
    casework.choose_customer(the_case(), ole, None)
    assert Task.objects.get().customer == Customer.objects.get()
    assert Customer.objects.get().customer_number == ""


def test_another_customer_on_a_case_is_not_written_over(world: World, ole: Any) -> None:
    handle(world, assignment())
    other = Customer.objects.create(name="Bo Opdigtet", phone="00998877")
    casework.choose_customer(the_case(), ole, other)
    assert Task.objects.get().customer == other
    handle(world, merged(assignment(), {"timestamp": "2031-06-01T00:00:00Z", "policyHolder": {"name": "Kim Ny"}}))
    other.refresh_from_db()
    assert (other.name, other.phone) == ("Bo Opdigtet", "00998877")


def test_the_chosen_company_runs_what_waited(world: World, ole: Any) -> None:
    event = merged(assignment(), {"case": {"policy": {"insuranceCompany": {"alias": "unheard-of"}}}})
    receive(world, event)
    InboundEvent.objects.update(insurer=None)
    drain(queues.EVENTS)
    assert the_case().problem_code == "SP-111"
    with pytest.raises(NeedsPerson):
        casework.choose_customer(the_case(), ole, None)
    assert Customer.objects.count() == 0
    casework.choose_insurer(the_case(), ole, world.syd)
    assert (the_case().insurer, Task.objects.get().insurer) == (world.syd, world.syd)


def test_a_company_with_a_case_of_that_number_is_refused(world: World, ole: Any) -> None:
    bare = {"case": {"id": None, "token": None}}
    handle(world, merged(assignment(), bare))
    other = Case.objects.create(connection=world.connection, insurer=world.syd, number=the_case().number)
    with pytest.raises(casework.NotPossible):
        casework.choose_insurer(other, ole, world.nord)
    other.refresh_from_db()
    assert other.insurer == world.syd


def test_run_now_leaves_what_is_not_switched_on_and_other_events(world: World) -> None:
    first, second = sorted(receive(world, assignment(), assignment(2)), key=lambda event: event.pk)
    world.connection.switch = "paused"
    world.connection.save()
    assert run.run_now(InboundEvent.objects.filter(pk=first.pk)) == 0
    world.connection.switch = "on"
    world.connection.save()
    assert run.run_now(InboundEvent.objects.filter(pk=first.pk)) == 1
    assert [*InboundEvent.objects.order_by("pk").values_list("status", flat=True)] == ["done", "pending"]
    assert run.run_now(InboundEvent.objects.filter(pk=first.pk)) == 0
    second.refresh_from_db()
    assert second.claims == 0


def test_retry_runs_what_failed(world: World, ole: Any) -> None:
    TaskTemplate.objects.update(active=False)
    handle(world, assignment())
    assert the_case().problem_code == "SP-201"
    assert casework.retry(the_case(), ole) == 1
    assert Task.objects.count() == 0
    TaskTemplate.objects.update(active=True)
    assert casework.retry(the_case(), ole) == 1
    assert (Task.objects.count(), the_case().problem_code) == (1, "")
    assert casework.retry(the_case(), ole) == 0


def test_a_deleted_task_is_made_anew_only_when_asked(world: World, ole: Any) -> None:
    handle(world, assignment())
    Task.objects.get().delete()
    handle(world, merged(assignment(), {"timestamp": "2031-06-01T00:00:00Z"}))
    assert Task.objects.count() == 0
    made = casework.make_task(the_case(), ole)
    assert made == [Task.objects.get()]
    assert the_case().approved_at
    assert casework.make_task(the_case(), ole) == made
    assert ImagePull.objects.filter(status="pending").count() == ImagePull.objects.count() > 0


def test_no_task_without_what_was_sent(world: World, ole: Any) -> None:
    handle(world, assignment())
    Task.objects.get().delete()
    InboundEvent.objects.update(body=None)
    with pytest.raises(casework.NotPossible):
        casework.make_task(the_case(), ole)
    assert Task.objects.count() == 0


def test_linking_keeps_what_a_person_typed(world: World, ole: Any) -> None:
    case = ask_for_customer(world)
    bo = Customer.objects.create(name="Bo")
    mine = Task.objects.create(title="Min egen", description="Ring først", customer=bo)
    casework.link_task(case.services.get(), ole, mine)
    mine.refresh_from_db()
    case = the_case()
    assert (mine.title, mine.description, mine.customer) == ("Min egen", "Ring først", bo)
    assert (mine.requisition_number, mine.insurer) == (case.number, world.nord)
    assert TaskContact.objects.filter(task=mine).exists()
    assert (case.status, case.problem_code, case.customer, case.services.get().task) == ("in_progress", "", bo, mine)
    assert Task.objects.count() == 1
    assert last_history(case).history_user == ole


def test_linking_moves_images_to_the_other_task(world: World, ole: Any) -> None:
    handle(world, assignment())
    service = the_case().services.get()
    image = TaskImage.objects.create(task=service.task, content_type="image/png", size=1, width=1, height=1, sha256="0")
    service.pulls.update(status="done", image=image)
    casework.link_task(service, ole, Task.objects.create(title="Den anden"))
    assert {*service.pulls.values_list("status", "image")} == {("pending", None)}
    casework.link_task(service, ole, Task.objects.get(title="Den anden"))
    assert Task.objects.count() == 2


def test_a_task_of_another_case_is_refused(world: World, ole: Any) -> None:
    handle(world, assignment(), assignment(2))
    first, second = Case.objects.order_by("pk")
    before = second.services.get().task
    with pytest.raises(casework.NotPossible):
        casework.link_task(second.services.get(), ole, first.services.get().task)
    assert second.services.get().task == before


def test_close_and_reopen(world: World, ole: Any) -> None:
    handle(world, assignment())
    Task.objects.update(status="in_progress")
    casework.close(the_case(), ole, " Kunden har fortrudt ")
    case, task = the_case(), Task.objects.get()
    assert (case.status, task.status, task.closed_reason) == ("closed", "done", "Kunden har fortrudt")
    said = last_history(case)
    assert (said.history_user, said.history_change_reason, said.status) == (ole, "Kunden har fortrudt", "closed")
    handle(world, message(8, "m1"))
    assert the_case().status == "closed"
    casework.reopen(case, ole)
    assert (the_case().status, Task.objects.get().status) == ("in_progress", "in_progress")


def test_reopening_leaves_a_task_that_was_closed_before(world: World, ole: Any) -> None:
    handle(world, assignment())
    Task.objects.update(status="done", closed_reason="færdig")
    casework.close(the_case(), ole, "slut")
    casework.reopen(the_case(), ole)
    assert Task.objects.get().status == "done"


@pytest.mark.parametrize("close_tasks", [True, False])
def test_deciding_when_somebody_has_worked(world: World, ole: Any, close_tasks: bool) -> None:
    handle(world, assignment())
    Task.objects.update(status="in_progress")
    handle(world, closed(10))
    assert the_case().flags == [{"code": "SP-206"}]
    casework.decide(the_case(), ole, close_tasks=close_tasks)
    wanted = "cancelled" if close_tasks else "in_progress"
    assert (the_case().flags, Task.objects.get().status) == ([], wanted)
    handle(world, message(11, "m1"))
    assert (the_case().flags, Task.objects.get().status) == ([], wanted)
    handle(world, reopened(12))
    assert Task.objects.get().is_open


def test_a_person_says_what_is_a_test(world: World, ole: Any) -> None:
    handle(world, assignment())
    casework.mark_test(the_case(), ole, True)
    handle(world, message(8, "m1"))
    assert the_case().is_test
    casework.mark_test(the_case(), ole, False)
    handle(world, message(9, "m2"))
    assert not the_case().is_test


def test_a_note_is_written_once(world: World, ole: Any) -> None:
    handle(world, assignment())
    first = casework.add_note(the_case(), ole, " Ring mandag ")
    assert casework.add_note(the_case(), ole, "Ring mandag") == first
    assert (first.author, first.text, first.sending) == (ole, "Ring mandag", None)
    assert OutboundEvent.objects.count() == 0


def test_sharing_needs_a_name_and_the_switch(world: World, ole: Any) -> None:
    handle(world, assignment())
    for _each in range(2):
        with pytest.raises(casework.NotPossible):
            casework.add_note(the_case(), ole, "Vi kommer tirsdag", share=True)
        UserSettings.objects.get_or_create(user=ole, scalepoint_user_name="ole-i-scalepoint")
    assert (OfficeNote.objects.count(), OutboundEvent.objects.count()) == (0, 0)
    world.connection.send_messages = True
    world.connection.save()
    for _each in range(2):
        casework.add_note(the_case(), ole, "Vi kommer tirsdag", share=True)
    sent = OutboundEvent.objects.get()
    assert OfficeNote.objects.get().sending == sent
    assert (sent.facts["text"], sent.created_by) == ("Vi kommer tirsdag", ole)


def everything_about(case: Case) -> str:
    rows: list[Any] = [*Case.objects.values(), *case.services.values(), *case.messages.values()]
    rows += [*case.events.values(), *Customer.objects.values(), *Task.objects.values(), *TaskContact.objects.values()]
    rows += [*case.history.values(), *(note for task in Task.objects.all() for note in task.notes.values())]
    return str(rows)


def test_an_anonymised_person_does_not_come_back(world: World, ole: Any) -> None:
    handle(world, assignment(), message(8, "m1"))
    case = the_case()
    facts = registers.read(case.facts, CaseFacts)
    persons = [facts.holder_name, facts.holder_phone, facts.holder_email, facts.policy_number, "Kim Opdigtet"]
    assert all(each in everything_about(case) for each in persons if each)
    anonymise(case, ole)
    for _each in range(2):
        case = the_case()
        told = everything_about(case).replace("Kim Opdigtet Udlejning", "")
        assert not [each for each in persons if each and each in told]
        assert case.anonymised_at and "anonymised" in case.search_text
        handle(world, merged(assignment(), {"timestamp": "2032-06-01T00:00:00Z"}))
        InboundEvent.objects.update(body=None)  # the retention rule
    assert Customer.objects.get().name == "anonymised"
    assert TaskContact.objects.count() == 0
    assert the_case().number == case.number


def test_a_customer_with_other_work_keeps_the_name(world: World, ole: Any) -> None:
    handle(world, assignment())
    customer = Customer.objects.get()
    Task.objects.create(title="noget andet", customer=customer)
    anonymise(the_case(), ole)
    handle(world, merged(assignment(), {"timestamp": "2032-06-01T00:00:00Z"}))
    customer.refresh_from_db()
    assert customer.name == "Inga Eksempelsen"


def test_the_company_as_customer_is_no_person(world: World, ole: Any) -> None:
    world.default_values.customer_is = "insurer"
    world.default_values.save()
    handle(world, assignment())
    anonymise(the_case(), ole)
    assert InsuranceCompany.objects.get(pk=world.nord.pk).customer == Customer.objects.get()
    assert Customer.objects.get().name == world.nord.name
