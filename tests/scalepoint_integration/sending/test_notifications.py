"""Who is told what: once, after the commit, only who wants it, and no person's data in a mail."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.core import mail
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from crm.models import Team
from scalepoint_integration import queues
from scalepoint_integration.handling import run
from scalepoint_integration.models import Case, Connection, InboundEvent, Notice, UserSettings
from scalepoint_integration.office import casework
from scalepoint_integration.sending import notifications
from scalepoint_integration.upkeep.watch import watch
from scalepoint_integration.workqueue.drain import drain
from tests.support.world import World, assignment, handle, merged

MESSAGE = {
    "eventType": "message_received",
    "timestamp": "2031-05-06T09:00:00Z",
    "case": {"uuid": "7b0c1f5e-5d0f-4a7e-9f10-000000000002", "token": "b.7b0c1f5e-5d0f-4a7e-9f10-000000000002"},
    "message": {"id": "m-1", "sender": {"name": "Inga Eksempelsen"}, "content": "Hvornår kommer I?"},
}


@pytest.fixture
def told(world: World) -> World:
    """Mette is responsible and has an address; so has Ida, who is told of errors."""
    user = get_user_model()
    user.objects.update(email="mette@kontor.example")
    ida = user.objects.create_user("ida", "ida@kontor.example", is_staff=True)
    world.connection.failure_recipients.add(ida)
    return world


def broken(number: int) -> dict[str, Any]:
    """An assignment of an insurance company that nobody knows."""
    return merged(assignment(number), {"case": {"policy": {"insuranceCompany": {"alias": f"unknown{number}"}}}})


def fail(world: World, *numbers: int) -> list[InboundEvent]:
    world.connection.refresh_from_db()
    rows = handle(world, *(merged(assignment(number), {"case": None}) for number in numbers))
    assert {row.status for row in rows} == {"failed"}
    return rows


def wait_over() -> None:
    Notice.objects.update(available_at=F("available_at") - timedelta(hours=1))


@pytest.mark.django_db
def test_a_new_case_is_told_once_to_who_is_responsible(told: World, settings: Settings) -> None:
    settings.SCALEPOINT = {**settings.SCALEPOINT, "PUBLIC_BASE_URL": "https://kontor.example"}
    handle(told, assignment(), merged(assignment(), {"correlationId": "again"}))
    assert drain(queues.NOTICES) == 1
    assert drain(queues.NOTICES) == 0
    (message,) = mail.outbox
    case = Case.objects.get()
    assert message.to == ["mette@kontor.example"]
    assert "20310506-07" in message.subject
    assert "Tag" in message.body
    assert f"https://kontor.example/admin/scalepoint_integration/case/{case.pk}/change/" in message.body
    assert "\n" not in message.subject
    for private in ("Inga", "Eksempelsen", "00112233", "00 11 22 33", "Hjemvej", "Skadevej", "@eksempel.example"):
        assert private not in message.body + message.subject
    assert set(Notice.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.django_db
def test_a_case_that_nobody_is_responsible_for_is_told_to_its_team(told: World) -> None:
    Connection.objects.update(responsible=None)
    team = Team.objects.get()
    user = get_user_model()
    for name, wish in (("per", True), ("pia", False)):
        person = user.objects.create_user(name, f"{name}@kontor.example", is_staff=True)
        team.members.add(person)
        UserSettings.objects.create(user=person, tell_team_case=wish)
    team.members.add(user.objects.create_user("gone", "gone@kontor.example", is_active=False))
    team.members.add(user.objects.create_user("mute", "", is_staff=True))
    handle(told, assignment())
    drain(queues.NOTICES)
    assert [message.to for message in mail.outbox] == [["per@kontor.example"]]


@pytest.mark.django_db
def test_who_switched_it_off_is_told_nothing(told: World) -> None:
    mette = get_user_model().objects.get(username="mette")
    UserSettings.objects.create(user=mette, tell_new_case=False, tell_message=False)
    handle(told, assignment(), MESSAGE)
    assert not Notice.objects.exists()
    assert drain(queues.NOTICES) == 0
    assert mail.outbox == []


@pytest.mark.django_db
def test_many_cases_are_one_mail(told: World) -> None:
    handle(told, *(assignment(number) for number in range(2, 9)))
    assert drain(queues.NOTICES) == 1
    assert mail.outbox[0].subject == "7 new cases"
    assert mail.outbox[0].body.count("/change/") == 7


@pytest.mark.django_db
def test_a_message_is_told_and_not_what_it_says(told: World) -> None:
    handle(told, assignment())
    drain(queues.NOTICES)
    handle(told, MESSAGE, merged(MESSAGE, {"correlationId": "again"}))
    assert drain(queues.NOTICES) == 1
    assert "Message on case 20310506-07" in mail.outbox[-1].subject
    assert "Hvornår" not in mail.outbox[-1].body
    assert "Inga" not in mail.outbox[-1].body


@pytest.mark.django_db
def test_failures_wait_for_each_other_and_are_one_mail(told: World) -> None:
    fail(told, 2, 3)
    assert drain(queues.NOTICES) == 0
    Notice.objects.filter(pk=Notice.objects.order_by("pk")[0].pk).update(available_at=timezone.now())
    fail(told, 4)
    assert drain(queues.NOTICES) == 1
    (message,) = mail.outbox
    assert message.to == ["ida@kontor.example"]
    assert message.subject == "3 events from Scalepoint need your attention"
    assert message.body.count("The case number is missing") == 3
    assert message.body.count("Open the event and link it to a case") == 3


@pytest.mark.django_db
def test_a_failure_is_told_again_only_when_it_fails_again(told: World) -> None:
    (row,) = fail(told, 2)
    wait_over()
    drain(queues.NOTICES)
    drain(queues.EVENTS)
    assert Notice.objects.count() == 1
    run.retry(InboundEvent.objects.filter(pk=row.pk), by=None)
    drain(queues.EVENTS)
    assert Notice.objects.count() == 2


@pytest.mark.django_db
def test_nobody_is_told_of_a_test(told: World) -> None:
    InboundEvent.objects.all().delete()
    handle(told, assignment())
    Notice.objects.all().delete()
    case = Case.objects.get()
    case.is_test = True
    notifications.about_case(case)
    assert not Notice.objects.exists()
    assert [str(person) for person in notifications.would_be_told(case)] == ["mette"]


@pytest.mark.django_db
def test_a_silence_is_told_once(told: World) -> None:
    for _hour in range(3):
        notifications.about_silence(told.connection, told.nord, 4, "2031-05-06")
    assert drain(queues.NOTICES) == 1
    assert "Nord Forsikring (eksempel)" in mail.outbox[0].subject
    assert "4 working days" in mail.outbox[0].body


@pytest.mark.django_db
def test_a_mail_that_can_not_be_sent_waits_and_says_so(told: World, settings: Settings) -> None:
    handle(told, assignment())
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 2
    assert drain(queues.NOTICES) == 1  # begun, and not sent
    row = Notice.objects.get()
    assert (row.status, row.error_code, row.attempts) == ("pending", "SP-502", 1)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    wait_over()
    assert drain(queues.NOTICES) == 1
    assert len(mail.outbox) == 1


@pytest.mark.django_db
def test_mails_are_in_the_language_of_the_site(told: World, settings: Settings) -> None:
    settings.LANGUAGE_CODE = "da"
    handle(told, *(assignment(number) for number in range(2, 4)))
    drain(queues.NOTICES)
    assert mail.outbox[0].subject == "2 nye sager"
    assert site.LANGUAGE_CODE == "da"


@pytest.mark.django_db
def test_a_case_that_is_undone_is_told_to_nobody(told: World) -> None:
    """The notice is part of the transaction of its cause."""
    handle(told, merged(assignment(), {"policyHolder": None, "case": {"policy": None}}), insurer=told.syd)
    made = Case.objects.exclude(customer=None).count()
    assert Notice.objects.filter(kind="new_case").count() == made


@pytest.mark.django_db
def test_the_job_tells_of_a_silence_once(told: World) -> None:
    now = timezone.now()
    handle(told, *(assignment(number) for number in range(2, 6)))
    Notice.objects.all().delete()
    for days, event in enumerate(InboundEvent.objects.order_by("-pk"), start=20):
        InboundEvent.objects.filter(pk=event.pk).update(received_at=now - timedelta(days=days))
    watch()
    watch()
    row = Notice.objects.get()
    assert (row.kind, row.user.get_username(), row.facts["insurer"]) == ("silence", "ida", str(told.nord))
    Connection.objects.update(switch="paused")
    Notice.objects.all().delete()
    watch()
    assert not Notice.objects.exists()


@pytest.mark.django_db
def test_a_case_that_waits_in_the_inbox_is_told_once(told: World) -> None:
    Connection.objects.update(new_cases="inbox")
    handle(told, assignment(), merged(assignment(), {"correlationId": "again"}))
    case = Case.objects.get()
    assert (case.status, case.services.get().task) == ("new", None)
    casework.make_task(case, None)
    assert case.services.get().task
    assert drain(queues.NOTICES) == 1
    assert [message.to for message in mail.outbox] == [["mette@kontor.example"]]
