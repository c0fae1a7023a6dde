"""Order and doubles: whatever way the events of a story arrive, the story ends the same."""

import itertools
from typing import Any

import pytest
from django.db import transaction

from crm.models import Customer
from scalepoint_integration.models import Case, ImagePull, InboundEvent, Service
from tasks.models import Task, TaskCheckItem, TaskContact
from tests.support.world import World, assignment, handle, merged

REQUESTED = assignment()
STORY = [
    REQUESTED,
    # The middle one, which a single time stamp per case would drop when it comes last.
    merged(
        REQUESTED,
        {
            "timestamp": "2031-05-06T10:00:00Z",
            "case": {"damageDescription": "Middle words.", "damageType": "Loft", "url": None},
            "policyHolder": {"email": "ny@eksempel.example"},
        },
    ),
    merged(
        REQUESTED,
        {
            "eventType": "repair_updated",
            "timestamp": "2031-05-06T12:00:00Z",
            "case": {"damageDescription": "Last words.", "damageType": None, "damageAddress": None},
            "policyHolder": None,
            "contacts": [{"role": "Taksator", "name": "Tea Opdigtet"}],
            "images": [{"id": "img-2", "url": "https://images.example/2.jpg"}],
        },
    ),
    # Known by its number and reference alone, and with an address that is the customer's own.
    {
        "eventType": "repair_updated",
        "timestamp": "2031-05-06T11:00:00Z",
        "case": {
            "token": "B.7B0C1F5E-5D0F-4A7E-9F10-000000000002",
            "damageAddress": REQUESTED["policyHolder"]["address"],
        },
        "service": {"referenceNumber": "20310506-07-3", "description": "Kun besigtigelse"},
    },
]


def state() -> dict[str, list[dict[str, Any]]]:
    """Everything that a story leaves, without row numbers and times of our own."""
    own = {"id", "created_at", "updated_at", "available_at", "received_at", "finished_at"}
    found: dict[str, list[dict[str, Any]]] = {}
    for model in (Case, Service, Customer, Task, TaskCheckItem, TaskContact, ImagePull):
        links = {field.name for field in model._meta.fields if field.is_relation}
        rows = [
            {field.name: getattr(row, field.name) for field in model._meta.fields if field.name not in own | links}
            for row in model.objects.all()
        ]
        found[model.__name__] = sorted(rows, key=str)
    return found


@pytest.mark.parametrize("phone_as_customer_number", [False, True])
def test_every_order_of_a_story_ends_the_same(world: World, phone_as_customer_number: bool) -> None:
    world.default_values.phone_as_customer_number = phone_as_customer_number
    world.default_values.save()
    ends = {}
    for order in itertools.permutations(range(len(STORY))):
        with transaction.atomic():
            for place in order:
                handle(world, STORY[place])
                handle(world, STORY[place])  # doubled
            assert InboundEvent.objects.count() == len(STORY)
            assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}
            ends[order] = state()
            transaction.set_rollback(True)
    first = ends[(0, 1, 2, 3)]
    assert [len(rows) for rows in first.values()] == [1, 1, 1, 1, 3, 2, 2]
    assert first["Task"][0]["damage_type"] == "Loft"
    assert "Last words." in first["Task"][0]["description"]
    assert first["Task"][0]["work_street"] == ""
    for order, end in ends.items():
        for name, rows in first.items():
            for row, other in zip(rows, end[name], strict=True):
                assert {key: (value, other[key]) for key, value in row.items() if other[key] != value} == {}, order


def test_what_a_clerk_typed_wins(world: World) -> None:
    handle(world, STORY[0])
    task = Task.objects.get()
    task.title, task.damage_type = "Haster! Ring først", ""
    task.save()
    handle(world, STORY[2], STORY[1])
    task.refresh_from_db()
    assert task.title == "Haster! Ring først"
    assert task.damage_type == "Loft"  # emptied by a person, and then something new was said
    assert "Last words." in task.description  # nobody had edited it


def test_a_task_that_somebody_deleted_is_not_brought_back(world: World) -> None:
    handle(world, STORY[0])
    Task.objects.get().delete()
    [event] = handle(world, STORY[2])
    assert event.status == "done"
    assert Task.objects.count() == 0


def test_two_services_of_a_case_are_two_tasks(world: World) -> None:
    second = merged(REQUESTED, {"service": {"id": "another", "referenceNumber": "20310506-07-4"}})
    handle(world, REQUESTED, second)
    assert Case.objects.count() == 1
    assert Customer.objects.count() == 1
    assert sorted(Task.objects.values_list("scalepoint_id", flat=True)) == [
        "7b0c1f5e-5d0f-4a7e-9f10-000000000003",
        "another",
    ]


def test_the_same_number_at_two_companies_is_two_cases(world: World) -> None:
    bare = {"eventType": "repair_service_requested", "case": {"number": "20310506-07"}}
    handle(world, bare)
    handle(world, {**bare, "correlationId": "other"}, insurer=world.syd)
    assert sorted(Case.objects.values_list("insurer__alias", flat=True)) == ["nordins", "sydins"]
    assert Task.objects.count() == 2


def test_one_company_can_not_write_on_the_case_of_another(world: World) -> None:
    handle(world, REQUESTED)
    before = state()
    foreign = merged(REQUESTED, {"timestamp": "2031-05-08T10:00:00Z", "case": {"policy": None, "damageType": "Hacked"}})
    [event] = handle(world, foreign, insurer=world.syd)
    assert (event.status, event.error_code) == ("failed", "SP-110")
    assert state() == before
