"""One case that was two rows, because it was known by its token alone and by its number alone: the event that names
both makes one of them, whatever came first, and nothing is lost, doubled or guessed at."""

import copy
import itertools
import json
import random
from threading import Barrier, Thread
from typing import Any

import pytest
from django.apps import apps
from django.db import close_old_connections, connection, connections, transaction
from django.utils import timezone

from crm.models import Customer
from scalepoint_integration import queues, workqueue
from scalepoint_integration.handling import lifecycle, run
from scalepoint_integration.handling import message as message_handler
from scalepoint_integration.models import (
    Case,
    CaseMessage,
    CaseNote,
    ImagePull,
    InboundEvent,
    OutboundEvent,
    Payment,
    Reserve,
    Service,
    Settlement,
    SettlementPull,
)
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskNote
from tests.support.live import eventually
from tests.support.world import World, assignment, handle, make_world, merged, receive

REQUEST = assignment()
ID, TOKEN, NUMBER = (REQUEST["case"][name] for name in ("id", "token", "number"))
BY_TOKEN, BY_NUMBER, BY_ID = {"token": TOKEN}, {"number": NUMBER}, {"uuid": ID}
BOTH = {**BY_TOKEN, **BY_NUMBER}
# Row numbers, and what tells the time here and not at Scalepoint. Links are compared by what they lead to.
OWN = {"id", "created_at", "updated_at", "available_at", "received_at", "finished_at", "position"}


def said(event_type: str, hour: int, case: dict[str, str], **fields: Any) -> dict[str, Any]:
    return {"eventType": event_type, "timestamp": f"2031-05-07T{hour:02d}:00:00Z", "case": case, **fields}


def message(hour: int, case: dict[str, str], name: str = "m-1", **more: Any) -> dict[str, Any]:
    told = {"id": name, "sender": {"name": "Kim Opdigtet"}, "content": f"Tekst {name}", **more}
    return said("message_received", hour, case, message=told)


def closing(hour: int, case: dict[str, str], reason: str = "NotCovered") -> dict[str, Any]:
    change = {"property": "CaseClosed", "isTerminated": reason != "None", "terminationReason": reason}
    return said("claim_updated", hour, case, changes=[change, {"property": "Byggeår", "newValue": "1974"}])


def reopening(hour: int, case: dict[str, str]) -> dict[str, Any]:
    return said("claim_updated", hour, case, changes=[{"property": "CaseReopened"}])


def file(hour: int, case: dict[str, str], action: str = "attachmentAddedToClaimLevel", **more: Any) -> dict[str, Any]:
    change = {"property": action, "attachmentGUID": "G-1", **more}
    return said("attachments_updated", hour, case, changes=[change])


def reserve(hour: int, case: dict[str, str], **values: Any) -> dict[str, Any]:
    changes = [{"property": name, "newValue": value} for name, value in values.items()]
    return said("reserve_updated", hour, case, changesInReserves={"4711": changes})


def settled(hour: int, case: dict[str, str], approver: str, *uuids: str) -> dict[str, Any]:
    payments = [{"uuid": uuid, "total": hour, "payeeParty": {"$ref": "/parties/0"}} for uuid in uuids]
    told = {"approvedBy": {"name": approver}, "revisionToken": "rev-1"}
    parties = [{"$id": "/parties/0", "name": f"Part {hour}"}]
    return said("case_settled", hour, case, settlement=told, parties=parties, payments=payments)


# Of a long story each run takes others; a failure names its order.
ORDERS = 30

STORIES = {
    "a task is made, closed, and gets its message and picture": [
        REQUEST,
        message(8, BY_TOKEN),
        closing(9, BY_NUMBER),
        file(10, BY_NUMBER, attachmentLink="https://files.example/1.jpg", fileType="image/jpeg"),
    ],
    "closed under one name, reopened under the other": [
        REQUEST,
        closing(9, BY_NUMBER),
        reopening(10, BY_TOKEN),
        message(11, BOTH),
    ],
    "the same told under each name": [
        message(12, BOTH, "m-2"),
        merged(message(8, BY_TOKEN), {"message": {"subject": "Hej"}}),
        merged(message(8, BY_NUMBER), {"message": {"content": "Tekst, og mere"}}),
        file(9, BY_TOKEN, attachmentLink="https://files.example/1.jpg"),
        file(10, BY_NUMBER, "attachmentDeletedFromClaimLevel", fileName="tag.jpg"),
    ],
    "money under each name": [
        reserve(12, BOTH, title="Bygning"),
        reserve(8, BY_TOKEN, planned=100, actual=1),
        reserve(9, BY_NUMBER, planned=200, outgoing=2),
        settled(10, BY_TOKEN, "først", "p-1", "p-2"),
        settled(11, BY_NUMBER, "sidst", "p-2", "p-3"),
    ],
    "by its id, its token and its number": [
        REQUEST,
        message(8, BY_TOKEN),
        message(9, BY_ID, "m-2"),
        message(10, BY_NUMBER, "m-3"),
    ],
    "a service ordered under each name": [
        REQUEST,
        merged(REQUEST, {"case": {"token": None, "id": None}, "service": {"id": "s-2", "referenceNumber": "r-2"}}),
        merged(message(9, BY_TOKEN), {"case": {"company": "some brand"}}),
    ],
}


def state() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for model in (
        model
        for app in ("scalepoint_crm", "scalepoint_tasks", "scalepoint_integration")
        for model in apps.get_app_config(app).get_models()
    ):
        names = [each.name for each in model._meta.fields if not each.is_relation and each.name not in OWN]
        if model is not InboundEvent:
            found[model.__name__] = sorted(model._base_manager.values(*names), key=str)
    return found


@pytest.mark.parametrize("name", STORIES)
def test_every_order_ends_with_one_case_and_the_same(world: World, name: str) -> None:
    first: Any = None
    orders = list(itertools.permutations(STORIES[name]))
    for order in [orders[0], *random.sample(orders[1:], min(len(orders) - 1, ORDERS))]:
        with transaction.atomic():
            handle(world, *order)
            assert set(InboundEvent.objects.values_list("status", "error_code")) == {("done", "")}
            assert InboundEvent.objects.filter(case=Case.objects.get()).count() == len(order)
            end = copy.deepcopy(state())
            transaction.set_rollback(True)
        first = first or end
        differ = {model: (rows, first[model]) for model, rows in end.items() if rows != first[model]}
        assert differ == {}, [(each["eventType"], each["timestamp"]) for each in order]


def stubs(world: World, *events: Any) -> tuple[Case, Case]:
    handle(world, *events)
    by_token, by_number = Case.objects.get(token=TOKEN), Case.objects.get(number=NUMBER)
    assert by_token.pk != by_number.pk
    return by_token, by_number


def test_all_that_hangs_on_the_second_goes_to_the_first(world: World) -> None:
    world.connection.send_case_number = True
    world.connection.save()
    ordered = merged(REQUEST, {"case": {"token": None, "id": None}, "timestamp": "2031-05-07T06:00:00Z"})
    first, second = stubs(
        world,
        said("case_created", 5, BY_TOKEN),
        ordered,
        message(8, BY_NUMBER),
        settled(9, BY_NUMBER, "en", "p-1"),
        settled(10, BY_TOKEN, "en", "p-1"),
        reserve(9, BY_NUMBER, planned=1),
        closing(10, BY_NUMBER, "None"),
    )
    Payment.objects.filter(case=second).update(status="processed")  # of the older statement
    OutboundEvent.objects.create(connection=world.connection, case=second, kind="message", key="k")
    # Our number was sent for the row that will be gone: it must not be sent again for the one that stays.
    OutboundEvent.objects.filter(kind="case_number").update(case=second, key=str(second.pk))
    task = Task.objects.get()
    handle(world, message(11, BOTH, "m-2"))
    case = Case.objects.get()
    assert (case.pk, case.token, case.number, case.status) == (first.pk, TOKEN, NUMBER, "closed")
    assert case.customer == Customer.objects.get() == task.customer
    assert case.applied == second.applied != {}
    assert case.services.get().task == Task.objects.get() == task
    for model, count in ((CaseMessage, 2), (CaseNote, 1), (Reserve, 1), (Settlement, 1), (SettlementPull, 1)):
        assert model._default_manager.filter(case=case).count() == model._default_manager.count() == count, model
    assert (Payment.objects.get().case, Payment.objects.get().status) == (case, "processed")
    assert ImagePull.objects.get().service.case == case
    sendings = OutboundEvent.objects.order_by("kind").values_list("case", "kind", "key")
    assert list(sendings) == [(case.pk, "case_number", str(case.pk)), (case.pk, "message", "k")]
    assert set(InboundEvent.objects.values_list("case", flat=True)) == {case.pk}
    assert TaskNote.objects.filter(task=task).count() == 2
    [closed] = [lifecycle.closing(case.lifecycle)]
    assert closed and closed["reason"] == "None"


def test_two_customers_wait_for_a_person_and_nothing_is_merged(world: World) -> None:
    other = merged(REQUEST, {"case": {"number": None, "id": None, "policy": {"number": "another"}}})
    other = merged(other, {"service": {"id": "s-2", "referenceNumber": "r-2"}})
    ordered = merged(REQUEST, {"case": {"token": None, "id": None}})
    first, second = stubs(world, other, ordered)
    assert first.customer != second.customer
    told = message(11, BOTH)
    [event] = handle(world, told)
    assert (event.status, event.error_code, event.case) == ("failed", "SP-207", first)
    assert event.error_facts == {"first": f"{TOKEN[:10]}… (#{first.pk})", "second": f"{NUMBER} (#{second.pk})"}
    first.refresh_from_db()
    assert (first.status, first.problem_code, first.number) == ("needs_action", "SP-207", "")
    assert (Case.objects.count(), Customer.objects.count(), CaseMessage.objects.count()) == (2, 2, 0)
    # The person chooses, and retries: one event is enough for all that waited.
    handle(world, message(12, BOTH, "m-2"))
    second.customer = first.customer
    second.save()
    workqueue.retry(InboundEvent.objects.filter(pk=event.pk))
    drain(queues.EVENTS)
    drain(queues.EVENTS)
    case = Case.objects.get()
    assert (case.pk, case.status, case.problem_code, case.number) == (first.pk, "in_progress", "", NUMBER)
    assert Task.objects.count() == case.services.count() == 2
    assert case.messages.count() == 2
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}


def test_two_tasks_of_one_service_wait_for_a_person(world: World) -> None:
    by_token = merged(REQUEST, {"case": {"number": None, "id": None}})
    by_number = merged(REQUEST, {"case": {"token": None, "id": None}})
    first, second = stubs(world, by_token, by_number)
    [event] = handle(world, REQUEST)
    assert (event.status, event.error_code) == ("failed", "SP-207")
    assert (Case.objects.count(), Task.objects.count(), Service.objects.count()) == (2, 2, 2)
    kept = first.services.get().task
    task = second.services.get().task
    assert task
    task.delete()
    workqueue.retry(InboundEvent.objects.filter(pk=event.pk))
    drain(queues.EVENTS)
    case = Case.objects.get()
    assert Service.objects.get().task == Task.objects.get() == kept
    assert (case.status, case.problem_code) == ("in_progress", "")


def test_what_contradicts_itself_is_never_made_one(world: World) -> None:
    handle(world, message(8, {"uuid": "one"}), message(9, {"uuid": "two", "token": "b.two"}, "m-2"))
    [event] = handle(world, message(10, {"uuid": "one", "token": "b.two"}, "m-3"))
    assert (event.status, event.error_code) == ("failed", "SP-119")
    handle(world, message(11, {"uuid": "three", "token": "b.three"}, "m-4"), message(12, {"token": "b.four"}, "m-5"))
    [event] = handle(world, message(13, {"uuid": "three", "token": "b.four"}, "m-6"))
    assert (event.status, event.error_code) == ("failed", "SP-119")
    assert (Case.objects.count(), CaseMessage.objects.count()) == (4, 4)


def test_a_token_with_another_prefix_is_the_same_token(world: World) -> None:
    handle(world, message(8, {"uuid": "one", "token": "b.7b0c"}), message(9, {"token": "ic.7b0c"}, "m-2"))
    [event] = handle(world, message(10, {"uuid": "one", "token": "ic.7b0c"}, "m-3"))
    assert event.status == "done"
    assert Case.objects.get().messages.count() == 3


def test_a_row_of_another_company_or_another_number_is_left_alone(world: World) -> None:
    handle(world, message(8, BY_NUMBER), insurer=world.syd)
    handle(world, message(9, BY_TOKEN, "m-2"), message(10, {"number": "another"}, "m-3"))
    handle(world, message(11, BOTH, "m-4"))
    assert Case.objects.count() == 3
    handle(world, message(12, {"token": "b.syd"}, "m-5"), insurer=world.syd)
    [event] = handle(world, message(13, {"uuid": ID, "token": "b.syd"}, "m-6"))
    assert (event.status, event.error_code) == ("failed", "SP-110")
    [event] = handle(world, message(14, {"uuid": "new"}, "m-7"))
    [event] = handle(world, message(15, {"uuid": "new", "token": "b.syd"}, "m-8"))
    assert (event.status, event.error_code) == ("failed", "SP-110")
    assert Case.objects.get(token="b.syd").insurer == world.syd


def test_what_a_person_closed_by_hand_stays_and_the_name_of_the_customer_too(world: World) -> None:
    _first, second = stubs(world, message(8, BY_TOKEN), merged(REQUEST, {"case": {"token": None, "id": None}}))
    second.status = "closed"
    second.save()
    Customer.objects.update(name="Inga E.")
    handle(world, merged(REQUEST, {"timestamp": "2031-05-08T08:00:00Z", "policyHolder": {"name": "Inga Nyt"}}))
    assert Case.objects.get().status == "closed"
    assert Customer.objects.get().name == "Inga E."


@pytest.mark.parametrize(
    ("before", "first"),
    [
        # The number is added to a case while another event would make a case of it.
        ([BY_TOKEN], BOTH),
        # The row that has the number becomes one with another while an event waits for it.
        ([BY_ID, BOTH], {**BY_ID, **BY_TOKEN}),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_who_comes_meanwhile_waits_and_finds_the_one_case(before: list[dict[str, str]], first: dict[str, str]) -> None:
    world = make_world()
    for place, names in enumerate(before):
        handle(world, message(8, names, f"m-{place}"))
    [event] = receive(world, message(9, first, "first"))
    [claimed] = workqueue.claim(run.ready(), 1)
    late = Thread(target=store_and_work, args=(world, message(10, BY_NUMBER, "late")))
    try:
        with workqueue.finish(claimed):
            message_handler.handle(claimed, json.loads(claimed.content() or b""), timezone.now())
            # Stored on another connection: the claim of this one is committed, its effects are not.
            late.start()
            eventually(lambda: waiting() or not late.is_alive(), 20)
            assert late.is_alive()
    finally:
        late.join(30)
    assert not late.is_alive()
    close_old_connections()
    event.refresh_from_db()
    case = Case.objects.get()
    assert (case.token, case.number, case.messages.count()) == (TOKEN, NUMBER, len(before) + 2)
    assert set(InboundEvent.objects.values_list("status", "case")) == {("done", case.pk)}


def waiting() -> bool:
    """Whether somebody waits for a lock in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees these once
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def store_and_work(world: World, event: Any) -> None:
    receive(world, event)
    work()


def work() -> None:
    try:
        while batch := workqueue.claim(run.ready(), 1):
            run.handle(batch)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_at_once_on_several_connections_there_is_one_case_in_the_end() -> None:
    """Events that make the rows, that use them and that make them one, all at the same time."""
    world = make_world()
    for round_number in range(3):
        number, token, uuid = f"n-{round_number}", f"b.{round_number}", f"u-{round_number}"
        names: list[dict[str, str]] = [
            {"token": token},
            {"number": number},
            {"token": token, "number": number},
            {"uuid": uuid, "token": token},
            {"uuid": uuid, "number": number},
            {"uuid": uuid, "token": token, "number": number},
        ]
        receive(world, *(message(8 + place % 3, case, f"m-{place}") for place, case in enumerate(names * 3)))
        start = Barrier(4)

        def at_once(start: Barrier = start) -> None:
            start.wait(10)
            work()

        threads = [Thread(target=at_once) for _each in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        close_old_connections()
        InboundEvent.objects.filter(status="pending").update(available_at="2026-01-01T00:00:00Z")
        drain(queues.EVENTS)
        failed = InboundEvent.objects.exclude(status="done").values_list("error_code", "last_error")
        assert list(failed) == []
        case = Case.objects.get(number=number)
        assert (case.case_id, case.token, case.messages.count()) == (uuid, token, 18)
        assert Case.objects.count() == round_number + 1
        assert InboundEvent.objects.filter(case=case).count() == 18
