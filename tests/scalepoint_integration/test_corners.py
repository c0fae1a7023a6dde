"""The seldom ways through the deep modules, each with what must hold there."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from crm.models import InsuranceCompany
from scalepoint_integration import queues
from scalepoint_integration.checks import check_settings
from scalepoint_integration.handling import cases, defaults
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, registers
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue import LeaseLost
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.support.world import SECRET, World, assignment, handle, merged, receive

EVENT = assignment()


def test_an_event_without_its_content_fails_and_says_so(world: World) -> None:
    [event] = receive(world, EVENT)
    InboundEvent.objects.update(body=None)
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert (event.status, event.error_code) == ("failed", "SP-900")
    assert "retention" in event.last_error


def test_content_that_is_broken_in_the_database_fails_and_is_not_tried_again(world: World) -> None:
    [event] = receive(world, EVENT)
    InboundEvent.objects.update(body=b'{"eventType": ')
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert (event.status, event.error_code, event.attempts) == ("failed", "SP-104", 1)


def loses_its_lease(event: InboundEvent, payload: Any, now: Any) -> None:
    raise LeaseLost


def test_who_lost_the_lease_says_nothing_about_the_event(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"HANDLERS": {"x": f"{__name__}.loses_its_lease"}}
    [event] = handle(world, {"eventType": "x"})
    assert (event.status, event.attempts, event.error_code) == ("pending", 1, "")


def test_a_sweep_gives_up_what_died_too_often_and_rings_for_images(world: World, settings: Settings) -> None:
    handle(world, EVENT)
    [event] = receive(world, assignment(2))
    InboundEvent.objects.filter(pk=event.pk).update(attempts=99, available_at=timezone.now())
    sweep()
    event.refresh_from_db()
    assert (event.status, event.error_code) == ("failed", "SP-900")
    assert Task.objects.count() == 1
    assert ImagePull.objects.get().status == "pending"


@pytest.mark.parametrize(
    ("own", "said", "works"),
    [
        (("nordins", ""), ("nordins", "nordins-auto"), True),  # the company's row stands for all its sub-aliases
        (("nordins", "nordins-bolig"), ("nordins", ""), True),
        (("nordins", "nordins-bolig"), ("NORDINS", "Nordins-Bolig"), True),
        (("nordins", "nordins-bolig"), ("nordins", "nordins-auto"), False),
        (("nordins", ""), ("unheard-of", ""), False),
        (("nordins", "nordins-bolig"), ("", ""), True),
    ],
)
def test_whose_alias_it_is(world: World, own: tuple[str, str], said: tuple[str, str], works: bool) -> None:
    InsuranceCompany.objects.filter(pk=world.nord.pk).update(alias=own[0], sub_alias=own[1])
    company = {"alias": said[0], "subcompanyAlias": said[1]}
    [event] = handle(world, merged(EVENT, {"case": {"policy": {"insuranceCompany": company}}}))
    assert (event.status, event.error_code) == (("done", "") if works else ("failed", "SP-110"))
    assert Case.objects.count() == Task.objects.count() == int(works)


def test_a_case_known_by_its_number_gets_its_other_names(world: World) -> None:
    handle(world, {"eventType": "repair_service_requested", "case": {"number": "20310506-07"}})
    handle(world, EVENT)
    case = Case.objects.get()
    assert (case.case_id, case.token) == (EVENT["case"]["id"].lower(), EVENT["case"]["token"])
    # And another case with the same number and an id of its own is another case.
    handle(world, merged(EVENT, {"case": {"id": "another", "token": "b.another"}}))
    assert Case.objects.count() == 2


def test_a_token_under_another_id_is_another_case_and_waits(world: World) -> None:
    handle(world, EVENT)
    [event] = handle(world, merged(EVENT, {"case": {"id": "another"}}))
    assert (event.status, event.error_code) == ("failed", "SP-119")
    assert Case.objects.count() == Task.objects.count() == 1


def test_services_are_told_apart_and_brought_together(world: World) -> None:
    handle(world, EVENT)
    case = Case.objects.get()
    lookups = {
        ("7b0c1f5e-5d0f-4a7e-9f10-000000000003", ""): True,
        ("", "20310506-07-3"): True,
        ("", ""): True,  # the only one
        ("other", ""): False,
        ("", "other"): False,
        ("other", "20310506-07-3"): False,
    }
    for (service_id, reference), known in lookups.items():
        assert bool(cases.lock_service(case, service_id, reference).pk) is known, (service_id, reference)
    handle(world, merged(EVENT, {"service": {"id": "second", "referenceNumber": "20310506-07-4"}}))
    assert cases.lock_service(case, "", "").pk is None  # of several nobody guesses


def test_the_templates_team_and_user_come_last(world: World) -> None:
    template = world.default_values.task_template
    assert template
    template.team, world.default_values.team = world.default_values.team, None
    world.default_values.save()
    world.default_values.task_template = template
    chosen = defaults.resolve(world.default_values, world.nord)
    assert (chosen.values["team"], chosen.origins["team"]) == (template.team, "task_template")


def test_facts_say_when_they_were_said() -> None:
    from scalepoint_integration.payloads.assignment import CaseFacts

    early, late = timezone.now(), timezone.now() + timedelta(hours=1)
    first = registers.merge({}, CaseFacts(number="1", damage_type="Tag"), late)
    second = registers.merge(first, CaseFacts(number="2", url="https://x.example"), early)
    assert registers.read(second, CaseFacts) == CaseFacts(number="1", damage_type="Tag", url="https://x.example")
    tie = registers.merge(first, replace(CaseFacts(), number="3"), late)
    assert registers.read(tie, CaseFacts).number == "3"


def test_a_secret_alone_can_be_saved(world: World) -> None:
    connection = Connection.objects.get()
    connection.secret = "another-invented-secret"
    connection.save(update_fields=["secret"])
    connection.refresh_from_db()
    assert connection.secret_last4 == "cret"
    connection.secret = ""
    connection.save()
    connection = Connection.objects.get()
    assert (connection.secret_digest, connection.secret_last4) == ("", "")
    assert SECRET not in repr(connection)


def test_settings_that_are_no_dictionary_are_told(settings: Settings) -> None:
    settings.SCALEPOINT = ["x"]
    assert [message.id for message in check_settings(None)] == ["scalepoint.E001"]
