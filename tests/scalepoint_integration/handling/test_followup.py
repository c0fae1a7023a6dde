"""Closing, messages and pictures: whatever order they come in, the task ends the same, and a person's work stays."""

import copy
import itertools
import random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import DjangoCaptureOnCommitCallbacks

from crm.models import Customer
from scalepoint_integration import signals
from scalepoint_integration.adapter import get_adapter
from scalepoint_integration.handling import followup, lifecycle
from scalepoint_integration.models import (
    Case,
    CaseAttachment,
    CaseMessage,
    CaseNote,
    ImagePull,
    InboundEvent,
    Service,
)
from tasks.models import Task, TaskCheckItem, TaskContact, TaskNote
from tests.support.world import World, assignment, handle, merged

REQUEST = assignment()
CASE = {"number": REQUEST["case"]["number"], "token": REQUEST["case"]["token"], "caseType": "PropertyClaim"}


def said(event_type: str, hour: int, **fields: Any) -> dict[str, Any]:
    return {"eventType": event_type, "timestamp": f"2031-05-07T{hour:02d}:00:00Z", "case": CASE, **fields}


def closed(hour: int, reason: str = "NotCovered", terminated: bool = True, **more: Any) -> dict[str, Any]:
    change = {"property": "CaseClosed", "isTerminated": terminated, "terminationReason": reason, **more}
    return said("claim_updated", hour, changes=[change])


def reopened(hour: int) -> dict[str, Any]:
    return said("claim_updated", hour, changes=[{"property": "CaseReopened"}])


def message(hour: int, name: str, **more: Any) -> dict[str, Any]:
    sender = {"name": "Kim Opdigtet", "role": "PolicyHolder"}
    return said("message_received", hour, message={"id": name, "sender": sender, "content": f"Tekst {name}", **more})


def file(hour: int, action: str = "attachmentAddedToClaimLevel", **more: Any) -> dict[str, Any]:
    change = {"property": action, "attachmentGUID": "G-1", "attachmentLink": "https://files.example/1", **more}
    return said("attachments_updated", hour, changes=[change])


STORY = [
    REQUEST,
    message(8, "m1"),
    file(9),
    closed(10, "BelowDeductible"),
    reopened(11),
    message(12, "m2"),
    closed(13, "None", terminated=False),
]


def state() -> dict[str, list[dict[str, Any]]]:
    own = {"id", "created_at", "updated_at", "available_at"}
    found: dict[str, list[dict[str, Any]]] = {}
    for model in (
        Case,
        CaseAttachment,
        CaseMessage,
        CaseNote,
        Customer,
        ImagePull,
        Service,
        Task,
        TaskCheckItem,
        TaskContact,
        TaskNote,
    ):
        names = [each.name for each in model._meta.fields if not each.is_relation and each.name not in own]
        found[model.__name__] = sorted(model.objects.values(*names), key=str)
    return found


ORDERS = 60


def ends(world: World, story: list[dict[str, Any]]) -> dict[Any, Any]:
    found = {}
    orders = list(itertools.permutations(range(len(story))))
    if len(orders) > ORDERS:
        # All of a long story would take minutes; each run takes others, and a failure names its order.
        orders = [orders[0], orders[-1], *random.sample(orders, ORDERS)]
    for order in orders:
        with transaction.atomic():
            handle(world, *(story[place] for place in order))
            assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}
            found[order] = copy.deepcopy(state())
            transaction.set_rollback(True)
    return found


def agree(found: dict[Any, Any]) -> dict[str, list[dict[str, Any]]]:
    first: dict[str, list[dict[str, Any]]] = found[tuple(sorted(next(iter(found))))]
    for order, end in found.items():
        assert end == first, order
    return first


def test_every_order_of_the_whole_story_ends_closed(world: World) -> None:
    end = agree(ends(world, STORY))
    assert end["Case"][0]["status"] == "closed"
    assert [(task["status"], task["closed_reason"]) for task in end["Task"]] == [("done", "Closed normally")]
    assert len(end["TaskNote"]) == len(end["CaseMessage"]) == 2
    assert len(end["ImagePull"]) == 2  # one of the request, one of the files


def test_every_order_of_the_story_up_to_the_reopening_ends_open(world: World) -> None:
    end = agree(ends(world, [STORY[0], STORY[1], STORY[3], STORY[4]]))
    assert end["Case"][0]["status"] == "in_progress"
    assert [(task["status"], task["closed_reason"]) for task in end["Task"]] == [("new", "")]


def test_every_order_of_two_closings_ends_with_the_newest(world: World) -> None:
    end = agree(ends(world, [REQUEST, closed(10, "None", terminated=False), closed(11, "NotCovered")]))
    assert (end["Case"][0]["status"], end["Task"][0]["closed_reason"]) == ("cancelled", "Not covered")


def test_every_order_of_the_same_moment_ends_the_same(world: World) -> None:
    end = agree(ends(world, [REQUEST, closed(10), reopened(10), closed(10, "Other")]))
    assert end["Case"][0]["status"] == "in_progress"
    end = agree(ends(world, [REQUEST, closed(10), closed(10, "Other", terminated=False)]))
    assert end["Case"][0]["status"] == "closed"


def test_every_order_around_a_case_that_needs_a_person_ends_the_same(world: World) -> None:
    world.default_values.task_template.active = False
    world.default_values.task_template.save()
    found = {}
    for order in itertools.permutations([REQUEST, closed(10), reopened(11)]):
        with transaction.atomic():
            handle(world, *order)
            found[tuple(event["eventType"] + event["timestamp"] for event in order)] = state()
            transaction.set_rollback(True)
    first = next(iter(found.values()))
    assert first["Case"][0]["status"] == "needs_action"
    assert all(end == first for end in found.values())


@pytest.mark.parametrize("wrapped", ["flat", "with an id", "without an id"])
def test_all_three_wrappings_close_the_task(world: World, wrapped: str) -> None:
    event = closed(10)
    wrappers: dict[str, Any] = {
        "flat": event,
        "with an id": {"id": "_5", "type": "claim_updated", "timestamp": "2031-05-07T10:00:01Z", "attributes": event},
        "without an id": {"type": "claim_updated", "timestamp": "2031-05-07T10:00:01Z", "attributes": event},
    }
    handle(world, REQUEST, wrappers[wrapped])
    assert Task.objects.get().status == "cancelled"


def works(how: str) -> None:
    task = Task.objects.get()
    if how == "status":
        Task.objects.update(status="in_progress")
    elif how == "ticked":
        TaskCheckItem.objects.filter(pk=task.check_items.all()[0].pk).update(done=True)
    else:
        TaskNote.objects.create(task=task, text="Ringet.", author=get_user_model().objects.get(username="mette"))


@pytest.mark.parametrize("how", ["status", "ticked", "note"])
def test_what_somebody_works_on_is_not_closed_but_flagged(world: World, how: str) -> None:
    handle(world, REQUEST)
    works(how)
    before = Task.objects.get().status
    handle(world, closed(10), message(11, "m1"))
    case = Case.objects.get()
    assert (case.status, case.flags) == ("cancelled", [{"code": "SP-206"}])
    assert Task.objects.get().status == before
    handle(world, reopened(12))
    case.refresh_from_db()
    assert (case.status, case.flags) == ("in_progress", [])


def test_the_flag_is_told_until_the_task_is_closed(world: World) -> None:
    handle(world, REQUEST)
    works("status")
    handle(world, closed(10, userMessage="<b>Lukket</b>"), message(11, "m1"), file(12))
    get_user_model().objects.create_superuser("admin", password="invented")
    client = Client()
    assert client.login(username="admin", password="invented")
    address = reverse("admin:scalepoint_integration_case_change", args=[Case.objects.get().pk])
    page = client.get(address).content.decode()
    for text in ("somebody has worked on the task", "Decide whether", "Tekst m1", "Not covered: &lt;b&gt;Lukket"):
        assert text in page
    Task.objects.update(status="done")
    assert "somebody has worked on the task" not in client.get(address).content.decode()
    handle(world, message(13, "m2"))
    assert Case.objects.get().flags == []


def test_what_a_clerk_did_after_a_closing_stays(world: World) -> None:
    handle(world, REQUEST, closed(10))
    Task.objects.update(status="in_progress")  # opened again by a clerk
    handle(world, message(11, "m1"))
    assert Task.objects.get().status == "in_progress"
    Case.objects.update(status="in_progress")
    handle(world, message(12, "m2"))
    assert Case.objects.get().status == "in_progress"
    handle(world, reopened(13))
    Task.objects.update(status="done", closed_reason="Færdig")  # closed by a clerk
    handle(world, closed(14), reopened(15))
    assert (Task.objects.get().status, Task.objects.get().closed_reason) == ("done", "Færdig")


def test_following_up_again_changes_nothing(world: World) -> None:
    handle(world, *STORY)
    before = state()
    for _again in range(2):
        followup.apply(Case.objects.get(), get_adapter())
    assert state() == before


def test_a_second_service_gets_what_was_told_before(world: World) -> None:
    handle(world, REQUEST, message(8, "m1"), file(9))
    handle(world, merged(REQUEST, {"service": {"id": "another", "referenceNumber": "20310506-07-4"}}))
    assert TaskNote.objects.count() == 2
    assert ImagePull.objects.filter(url="https://files.example/1").count() == 2


def test_a_file_that_comes_back_is_fetched_after_all(world: World) -> None:
    for event in (REQUEST, file(9), file(10, "attachmentDeletedFromClaimLevel")):  # one by one: here the order counts
        handle(world, event)
    assert ImagePull.objects.get(url="https://files.example/1").status == "ignored"
    handle(world, file(11, "attachmentImportedFromFNOL"))
    assert ImagePull.objects.get(url="https://files.example/1").status == "pending"


def test_a_file_that_was_fetched_stays(world: World) -> None:
    handle(world, REQUEST, file(9))
    ImagePull.objects.update(status="done")
    handle(world, file(10, "attachmentDeletedFromClaimLevel"))
    assert ImagePull.objects.get(url="https://files.example/1").status == "done"
    assert CaseAttachment.objects.get().deleted


def test_a_task_that_somebody_deleted_gets_nothing(world: World) -> None:
    handle(world, REQUEST)
    Task.objects.get().delete()
    rows = handle(world, *STORY[1:])
    assert {row.status for row in rows} == {"done"}
    assert Task.objects.count() == TaskNote.objects.count() == 0


@pytest.mark.parametrize("event", [closed(10), message(8, "m1"), file(9), said("order_created", 9, orderToken="x")])
def test_no_company_writes_on_the_case_of_another(world: World, event: dict[str, Any]) -> None:
    handle(world, REQUEST)
    before = state()
    [row] = handle(world, event, insurer=world.syd)
    assert (row.status, row.error_code) == ("failed", "SP-110")
    assert state() == before


def test_facts_of_the_case_follow_the_newest_statement(world: World) -> None:
    change = {"property": "AccidentDate", "newValue": "2031-05-02T00:00:00Z"}
    handle(world, said("claim_updated", 9, changes=[change]))
    created = merged(said("case_created", 8, policy={"number": "111222"}), {"case": {"accidentDate": "2031-05-05"}})
    handle(world, created)
    facts = Case.objects.get().facts
    assert facts["accident_date"]["value"] == "2031-05-02"
    assert facts["policy_number"]["value"] == "111222"


def test_a_new_accident_date_reaches_nothing_else(world: World) -> None:
    handle(world, REQUEST, said("claim_updated", 9, changes=[{"property": "accidentDate", "newValue": "2031-05-01"}]))
    assert Case.objects.get().facts["accident_date"]["value"] == "2031-05-01"
    assert CaseNote.objects.count() == 0


def test_host_sites_are_told(world: World, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    told = []

    def listen(signal: Any, case: Case, **facts: Any) -> None:
        told.append((names[signal], getattr(facts.get("message"), "content", "")))

    names = {getattr(signals, name): name for name in ("case_closed", "case_reopened", "message_received")}
    for signal in names:
        signal.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            for event in (REQUEST, message(8, "m1"), closed(10), reopened(11), closed(9), message(9, "m1")):
                handle(world, event)
    finally:
        for signal in names:
            signal.disconnect(listen)
    assert told == [("message_received", "Tekst m1"), ("case_closed", ""), ("case_reopened", "")]


@pytest.mark.parametrize("reason", lifecycle.REASONS)
def test_every_reason_is_told_in_danish(reason: str) -> None:
    facts = {"reason": reason, "description": "Egne ord"}
    with translation.override("en"):
        english = lifecycle.in_words(facts)
    with translation.override("da"):
        danish = lifecycle.in_words(facts)
    assert english.endswith("Egne ord")
    assert danish.endswith("Egne ord")
    assert (english == danish) == (reason == "CustomReason")
