"""The event log: found fast, told in words, put right by whom it is allowed to, and nothing of a person in a report."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from crm.models import Customer
from scalepoint_integration import errors, queues
from scalepoint_integration.admin.event import CodeFilter
from scalepoint_integration.events import EVENTS, MAKE_TASKS
from scalepoint_integration.handling import run
from scalepoint_integration.models import (
    Case,
    DefaultValues,
    EventAttempt,
    Heartbeat,
    InboundEvent,
    Refusal,
)
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue import PermanentError, RetryableError
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.support.world import FIXTURES, World, assignment, handle, make_world, merged, receive

EVENT = assignment()
VIEW = "view_inboundevent"
NAMELESS = {"eventType": "message_received", "message": {"content": "Hej"}}


def client_of(*permissions: str, name: str = "ole") -> Client:
    user, _made = get_user_model().objects.get_or_create(username=name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def url(page: str, *args: Any, model: str = "inboundevent", **query: str) -> str:
    return reverse(f"admin:scalepoint_integration_{model}_{page}", args=args, query=query)


def shown(client: Client, event: InboundEvent) -> str:
    return client.get(url("change", event.pk)).content.decode()


def where(client: Client, event: InboundEvent) -> list[str]:
    """Where the page sends the reader to solve the problem."""
    return [address for _label, address in client.get(url("change", event.pk)).context["links"]]


def listed(client: Client, **query: str) -> list[int]:
    return [row.pk for row in client.get(url("changelist", **query)).context["cl"].result_list]


def awry(event: InboundEvent, payload: Any, now: Any) -> None:
    holder = payload["policyHolder"]
    raise RetryableError(f"can't read {holder['name']}, {holder['phoneNumber']} at {holder['address']['street']}")


def never(event: InboundEvent, payload: Any, now: Any) -> None:
    raise PermanentError(errors.UNFORESEEN, "no use")


def failing(settings: Settings, how: str = "never") -> None:
    settings.SCALEPOINT = {"HANDLERS": dict.fromkeys(MAKE_TASKS, f"{__name__}.{how}")}


# ---- What is written down -----------------------------------------------------------------------------------------
def test_an_event_that_goes_well_costs_no_row(world: World) -> None:
    handle(world, EVENT)
    assert EventAttempt.objects.count() == 0


def test_every_failed_try_is_a_row(world: World, settings: Settings) -> None:
    failing(settings, "awry")
    [event] = handle(world, EVENT)
    InboundEvent.objects.update(available_at=timezone.now())
    drain(queues.EVENTS)
    assert list(event.tries.values_list("error_code", "retried_by")) == [("SP-900", None)] * 2
    settings.SCALEPOINT = {}
    user = get_user_model().objects.get()
    assert run.retry(InboundEvent.objects.all(), user) == 1
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert event.status == "done"
    assert list(event.tries.values_list("error_code", "retried_by")) == [("SP-900", None), ("SP-900", user.pk)]


def test_a_person_is_needed_and_the_worker_that_died_are_tries_too(world: World) -> None:
    DefaultValues.objects.update(phone_as_customer_number=True)
    [asks, lost] = handle(world, merged(EVENT, {"policyHolder": {"phoneNumber": None}}), {"eventType": "x"})
    InboundEvent.objects.filter(pk=lost.pk).update(status="pending", attempts=99, available_at=timezone.now())
    sweep()
    assert list(EventAttempt.objects.values_list("event", "error_code")) == [(asks.pk, "SP-204"), (lost.pk, "SP-900")]


def test_what_came_again_is_counted_and_not_made_again(world: World) -> None:
    [event] = handle(world, EVENT)
    for _time in range(2):
        handle(world, EVENT)
    event.refresh_from_db()
    assert (event.duplicates, Task.objects.count(), InboundEvent.objects.count()) == (2, 1, 1)
    assert event.duplicate_at and event.duplicate_at > event.received_at
    page = shown(client_of(VIEW), event)
    assert "The event has already been received" in page
    assert "It was received 2 more times." in page


def test_what_is_older_than_what_is_known_says_so(world: World) -> None:
    new, old, part = (
        merged(EVENT, {"timestamp": f"2031-05-0{day}T00:00:00Z", "correlationId": f"c{day}"}) for day in (7, 5, 6)
    )
    part["case"]["sourceNote"] = "x"
    rows = handle(world, new, old)
    assert [row.notice for row in rows] == ["", "SP-108"]
    # One fact that was not known makes it news.
    del new["policyHolder"]["email"]
    handle(world, merged(assignment(2), {"policyHolder": {"email": None}, "timestamp": "2031-05-08T00:00:00Z"}))
    [news] = handle(world, merged(assignment(2), {"timestamp": "2031-05-05T00:00:00Z"}))
    assert (news.status, news.notice) == ("done", "")
    closed = {
        "eventType": "claim_updated",
        "timestamp": "2031-06-05T00:00:00Z",
        "case": {"uuid": EVENT["case"]["id"], "number": EVENT["case"]["number"]},
        "changes": [{"property": "CaseClosed", "terminationReason": "NotCovered"}],
    }
    late = merged(closed, {"timestamp": "2031-05-01T00:00:00Z"})
    assert [row.notice for row in handle(world, closed, late)] == ["", "SP-108"]


def test_an_event_before_its_assignment_says_so(world: World) -> None:
    said = {"eventType": "case_created", "case": {"uuid": "u-1", "number": "20310506-99"}}
    rows = handle(world, said, merged(said, {"eventType": "claim_updated"}))
    assert [(row.status, row.notice) for row in rows] == [("done", "SP-109"), ("done", "")]


# ---- The list -----------------------------------------------------------------------------------------------------
def test_the_tabs_lead_to_the_three_lists_and_count(world: World, settings: Settings) -> None:
    failing(settings)
    [failed] = handle(world, EVENT)
    settings.SCALEPOINT = {}
    [done] = handle(world, assignment(2))
    [waits] = receive(world, assignment(3))
    InboundEvent.objects.filter(pk=done.pk).update(received_at=timezone.now() - timedelta(days=2))
    Refusal.objects.create(connection=world.connection, http_status=401, code="SP-101", token_last4="8f3c")
    client = client_of(VIEW, "view_refusal", "view_outboundevent")
    assert listed(client, tab="failed") == [failed.pk]
    assert listed(client, tab="waiting") == [waits.pk]
    assert listed(client, tab="today") == [waits.pk, failed.pk]
    assert listed(client) == [waits.pk, done.pk, failed.pk]
    for page in (url("changelist"), url("changelist", model="refusal"), url("changelist", model="outboundevent")):
        tabs = client.get(page).context["tabs"]
        assert [(str(tab.label), tab.count) for tab in tabs] == [
            ("Failed", "1"),
            ("Waiting", "1"),
            ("Refused", "1"),
            ("Today", ""),
            ("All", ""),
            ("Sent by us", ""),
        ]
        assert [tab.here for tab in tabs].count(True) == 1
    assert len(client_of(VIEW).get(url("changelist")).context["tabs"]) == 4


def test_the_filters_find_and_strange_ones_do_not_break(world: World) -> None:
    DefaultValues.objects.update(phone_as_customer_number=True)
    no_phone = merged(EVENT, {"policyHolder": {"phoneNumber": None}})
    [asks], [other], [ignored] = (handle(world, each) for each in (no_phone, assignment(2), {"eventType": "unheard"}))
    client = client_of(VIEW)
    assert listed(client, error_code="SP-204") == [asks.pk]
    assert listed(client, error_code="SP-106") == [ignored.pk]
    assert listed(client, event_type="repair_service_requested") == [other.pk, asks.pk]
    assert listed(client, insurer__id__exact=str(world.syd.pk)) == []
    assert listed(client, source__exact="push") == [ignored.pk, other.pk, asks.pk]
    assert listed(client, tab="no such tab") == [ignored.pk, other.pk, asks.pk]
    assert listed(client, q="20310506-00002") == [other.pk]


def test_every_type_and_every_closing_has_words(world: World) -> None:
    closed = {
        "eventType": "claim_updated",
        "case": {"number": "1"},
        "changes": [{"property": "CaseClosed", "terminationReason": "NotCovered"}],
    }
    handle(world, closed, merged(closed, {"changes": [{"property": "CaseReopened"}]}), EVENT)
    page = client_of(VIEW).get(url("changelist")).content.decode()
    assert "Case closed (Not covered)" in page
    assert "Case reopened" in page
    assert "New case" in page
    assert {path.name for path in FIXTURES.iterdir()} == set(EVENTS)


def test_every_status_has_its_word(world: World) -> None:
    [event] = receive(world, EVENT)
    later = timezone.now() + timedelta(hours=1)
    client = client_of(VIEW)
    for change, word in (
        ({}, "Received"),
        ({"attempts": 1, "available_at": later}, "Being handled"),
        ({"error_code": "SP-401"}, "Waiting for next attempt"),
        ({"status": "failed", "error_code": "SP-204"}, "The policyholder has no phone number"),
        ({"status": "ignored", "ignored_because": "a test of theirs"}, "a test of theirs"),
        ({"status": "done", "error_code": "", "duplicates": 1}, "Duplicate"),
    ):
        InboundEvent.objects.filter(pk=event.pk).update(**change)
        page = client.get(url("changelist")).content.decode()
        assert word in page
        assert word in shown(client, event)


def test_the_pages_take_the_recorded_number_of_queries(
    world: World, django_assert_num_queries: DjangoAssertNumQueries, django_assert_max_num_queries: Any
) -> None:
    handle(world, *(assignment(number) for number in range(1, 20)))
    Heartbeat.objects.create(name="sweep", at=timezone.now())
    client = client_of(VIEW, "view_refusal", "view_outboundevent", "retry_event", "replay_event", "view_raw_payload")
    # Session, user, 2 of permissions, the rows, their count, 3 tabs, the insurers of the filter, the heartbeat.
    with django_assert_num_queries(11):
        client.get(url("changelist"))
    event = InboundEvent.objects.order_by("pk")[0]
    with django_assert_max_num_queries(16):
        shown(client, event)


def test_two_cases_that_are_one_are_found_by_their_error(world: World) -> None:
    handle(world, merged(EVENT, {"case": {"number": None, "id": None}}))
    handle(world, merged(EVENT, {"case": {"token": None, "id": None}}))
    [event] = handle(world, EVENT)
    assert (event.status, event.error_code) == ("failed", "SP-207")
    client = client_of(VIEW, "view_case")
    answer = client.get(url("changelist"))
    [codes] = [each for each in answer.context["cl"].filter_specs if isinstance(each, CodeFilter)]
    assert "SP-207" in dict(codes.lookup_choices)
    assert listed(client, error_code="SP-207") == [event.pk]
    assert event.case and event.case.problem_code == "SP-207"
    assert where(client, event) == [url("change", event.case.pk, model="case")]
    assert where(client_of(VIEW), event) == []


def test_an_event_with_the_token_of_another_case_leads_to_that_case(world: World) -> None:
    handle(world, EVENT)
    case = Case.objects.get()
    [event] = handle(world, merged(EVENT, {"case": {"id": "another"}}))
    assert (event.status, event.error_code, event.case) == ("failed", "SP-119", None)
    client = client_of(VIEW, "view_case")
    assert where(client, event) == [url("change", case.pk, model="case")]
    # Told by another event: two cases, and one that names both.
    handle(world, *({"eventType": "task_created", "case": {"uuid": name, "token": name}} for name in ("one", "two")))
    [event] = handle(world, {"eventType": "task_created", "case": {"uuid": "one", "token": "two"}})
    assert (event.status, event.error_code) == ("failed", "SP-119")
    assert where(client, event) == [url("change", Case.objects.get(token="two").pk, model="case")]


# ---- One event ----------------------------------------------------------------------------------------------------
def test_a_failed_event_says_what_to_do_and_is_retried(world: World) -> None:
    assert world.default_values.task_template
    world.default_values.task_template.active = False
    world.default_values.task_template.save()
    [event, twin] = handle(world, EVENT, assignment(2))
    client = client_of(VIEW, "retry_event")
    assert reverse("admin:scalepoint_tasks_tasktemplate_changelist") not in shown(
        client, event
    )  # it could not be opened
    client = client_of(VIEW, "retry_event", "view_tasktemplate")
    page = shown(client, event)
    assert "The task template “Skade” is inactive" in page
    assert "Choose another template, then press Retry." in page
    assert "administrator" in page
    assert reverse("admin:scalepoint_tasks_tasktemplate_changelist") in page
    assert "Retry all 2 with this cause" in page
    assert "1 other event on this connection failed within the last day" in page
    world.connection.task_template.active = True
    world.connection.task_template.save()
    assert client.post(url("same", event.pk)).status_code == 302
    drain(queues.EVENTS)
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}
    ole = get_user_model().objects.get(username="ole")
    assert set(EventAttempt.objects.values_list("event", "retried_by")) == {(event.pk, ole.pk), (twin.pk, ole.pk)}
    page = shown(client, event)
    assert "Retried by" in page
    assert "ole" in page
    assert "Succeeded" in page


def test_retry_is_over_before_the_next_page_is_shown(world: World, settings: Settings) -> None:
    failing(settings)
    [event] = handle(world, EVENT)
    client = client_of(VIEW, "retry_event")
    client.post(url("retry", event.pk))
    event.refresh_from_db()
    assert (event.status, event.tries.count(), Task.objects.count()) == ("failed", 2, 0)
    settings.SCALEPOINT = {}
    assert "You don't have to do anything" in client.post(url("retry", event.pk), follow=True).content.decode()
    event.refresh_from_db()
    assert (event.status, Task.objects.count()) == ("done", 1)


def test_setting_aside_needs_a_reason_and_only_takes_what_failed_or_waits(world: World, settings: Settings) -> None:
    failing(settings)
    [event] = handle(world, EVENT)
    settings.SCALEPOINT = {}
    [done] = handle(world, assignment(2))
    client = client_of(VIEW, "retry_event")
    answer = client.post(url("ignore", event.pk), {"because": ""})
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()
    for row in (event, done):
        client.post(url("ignore", row.pk), {"because": "Testet af Nord"})
        row.refresh_from_db()
    assert [(row.status, row.ignored_because) for row in (event, done)] == [("ignored", "Testet af Nord"), ("done", "")]
    client.post(url("retry", event.pk))
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert event.status == "done"


def test_an_event_without_a_number_is_tied_to_a_case(world: World) -> None:
    handle(world, EVENT)
    [event] = handle(world, NAMELESS)
    assert (event.status, event.error_code) == ("failed", "SP-105")
    case = Case.objects.get()
    client = client_of(VIEW, "retry_event")
    assert "Link the event to a case" in shown(client, event)
    assert (
        "This insurance company has no case"
        in client.post(url("tie", event.pk), {"number": "nonsense"}).content.decode()
    )
    Case.objects.update(insurer=world.syd)  # another company's case is none of this event's
    assert (
        "This insurance company has no case"
        in client.post(url("tie", event.pk), {"number": case.number}).content.decode()
    )
    Case.objects.update(insurer=world.nord)
    assert client.post(url("tie", event.pk), {"number": case.number}).status_code == 302
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert (event.status, event.case, case.messages.count(), Case.objects.count()) == ("done", case, 1, 1)


def test_an_event_without_a_number_makes_a_case_once(world: World) -> None:
    nameless = merged(EVENT, {"case": {"id": None, "number": None, "token": None}})
    [event] = handle(world, nameless)
    assert (event.status, event.error_code, Case.objects.count()) == ("failed", "SP-105", 0)
    client = client_of(VIEW, "retry_event")
    for _time in range(2):
        client.post(url("make_case", event.pk))
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert (event.status, Case.objects.count(), Task.objects.count()) == ("done", 1, 1)
    assert Customer.objects.get().name == "Inga Eksempelsen"
    handle(world, NAMELESS)
    assert InboundEvent.objects.filter(error_code="SP-105", status="failed").count() == 1


# ---- Running again ------------------------------------------------------------------------------------------------
def test_running_again_asks_first_and_makes_a_new_line(world: World) -> None:
    [event] = handle(world, EVENT)
    world.default_values.case_name_template = "Ny: [Sagsnummer]"
    world.default_values.save()
    before = InboundEvent.objects.values().get()
    client = client_of(VIEW, "replay_event")
    page = client.get(url("replay", event.pk)).content.decode()
    assert "This event has already been handled. Do you want to replay it?" in page
    assert "different from last time:" in page
    assert "case name template" in page
    assert InboundEvent.objects.count() == 1
    answer = client.post(url("replay", event.pk))
    made = event.replays.get()
    assert answer["Location"] == url("change", made.pk)
    # While that one waits, neither can be run again, and the page says why.
    for row in (event, made):
        assert "The event is being handled or is waiting its turn." in shown(client, row)
        client.post(url("replay", row.pk))
    drain(queues.EVENTS)
    assert (InboundEvent.objects.count(), Task.objects.count()) == (2, 1)
    assert InboundEvent.objects.filter(pk=event.pk).values().get() == before
    page = shown(client, InboundEvent.objects.get(pk=made.pk))
    assert "New case (replayed)" in page
    assert url("change", event.pk) in page
    assert url("change", made.pk) in shown(client, event)


def test_what_waits_or_is_gone_can_not_be_run_again(world: World, settings: Settings) -> None:
    failing(settings, "awry")
    [event] = handle(world, EVENT)
    client = client_of(VIEW, "replay_event", "retry_event")
    assert "The event is waiting for its next attempt." in shown(client, event)
    InboundEvent.objects.update(status="done", body=None)
    assert "was deleted by the retention rule" in shown(client, event)
    assert "<form" not in client.get(url("replay", event.pk)).content.decode().split('id="content-main"')[1]
    client.post(url("replay", event.pk))
    client.post(url("retry", event.pk))
    assert InboundEvent.objects.values_list("status").get() == ("done",)


# ---- Who may ------------------------------------------------------------------------------------------------------
PAGES = ("retry", "replay", "ignore", "same", "tie", "make_case")


@pytest.mark.parametrize("page", PAGES)
def test_who_may_only_look_can_do_nothing(world: World, page: str) -> None:
    handle(world, EVENT)
    [event] = handle(world, NAMELESS)
    before = list(InboundEvent.objects.order_by("pk").values())
    client = client_of(VIEW)
    form = {"because": "x", "number": Case.objects.get().number}
    assert client.post(url(page, event.pk), form).status_code == 403
    # Nor may one who has the right and can't see the log.
    assert client_of("retry_event", "replay_event").post(url(page, event.pk), form).status_code == 403
    if page != "replay":
        assert client_of(VIEW, "retry_event").get(url(page, event.pk)).status_code == 405
    assert list(InboundEvent.objects.order_by("pk").values()) == before
    assert Case.objects.count() == 1
    client = client_of(VIEW)
    for label in (">Retry<", ">Ignore<", ">Replay<", "Create the case"):
        assert label not in shown(client, event)


def test_handling_now_needs_its_permission(world: World) -> None:
    [event] = receive(world, EVENT)
    page = client_of(VIEW).get(url("changelist")).content.decode()
    assert "1 event is waiting because the background job is not running. The cases are stored." in page
    assert "Message to IT" in page
    assert "Handle now" not in page
    assert client_of(VIEW).post(url("handle_now")).status_code == 403
    client = client_of(VIEW, "retry_event")
    assert "Handle now" in client.get(url("changelist")).content.decode()
    assert client.get(url("handle_now")).status_code == 405
    assert InboundEvent.objects.get().status == "pending"
    client.post(url("handle_now"))
    assert (InboundEvent.objects.get(pk=event.pk).status, Task.objects.count()) == ("done", 1)
    receive(world, assignment(2))
    Heartbeat.objects.create(name="sweep", at=timezone.now())
    assert "background job" not in client.get(url("changelist")).content.decode()


# ---- What may be read ---------------------------------------------------------------------------------------------
PERSONAL = {
    "policyHolder": {"cpr": "010190-1234", "accountNumber": "1234-0005678901"},
    "case": {"damageDescription": "Ring til 010190-1234, 010190\u20111235, 0101901236, konto DK50 0040 0440 1162 43"},
}


def test_the_content_is_readable_and_hides_numbers_of_persons(world: World) -> None:
    [event] = handle(world, merged(EVENT, PERSONAL))
    page = shown(client_of(VIEW), event)
    for text in ("Inga Eksempelsen", "Skadevej 4", "Damage description", "••••••-••••"):
        assert text in page
    for text in (
        "010190-1234",
        "010190\u20111235",
        "0101901236",
        "0005678901",
        "DK50 0040",
        "&quot;damageDescription&quot;",
    ):
        assert text not in page
    assert client_of(VIEW).get(url("raw", event.pk)).status_code == 403
    client = client_of(VIEW, "view_raw_payload")
    assert "010190-1234" in shown(client, event)
    answer = client.get(url("raw", event.pk))
    assert "&quot;damageDescription&quot;" in shown(client, event)
    assert json.loads(answer.content)["policyHolder"]["cpr"] == "010190-1234"
    assert answer["Content-Disposition"] == f'attachment; filename="event-{event.pk}.json"'


def test_nothing_of_a_person_is_in_the_report(world: World, settings: Settings) -> None:
    failing(settings, "awry")
    [event] = handle(world, merged(EVENT, PERSONAL))
    assert "Eksempelsen" in event.last_error
    assert client_of("view_case").get(url("report", event.pk)).status_code == 403
    client = client_of(VIEW)
    report = client.get(url("report", event.pk)).content.decode()
    assert "RetryableError" in report
    assert "SP-900" in report
    assert EVENT["correlationId"] in report
    assert "policyHolder.address.street: str of 9" in report
    personal = (
        "Inga Eksempelsen Hjemvej Skadevej Otto Opdigtet Odense 5230 5000 inga 010190 1234 0005678901 1162 tagsten"
    )
    for word in personal.casefold().split():
        assert word not in report.casefold(), word
    for phone in ("00 11 22 33", "00112233", "11 22", "22 34"):
        assert phone not in report
    textarea = shown(client, event).split('<textarea id="ev-report"')[1].split("</textarea>")[0]
    assert "Eksempelsen" not in textarea
    assert "technical error" in textarea
    InboundEvent.objects.update(body=None)
    assert "Inga" not in client.get(url("report", event.pk)).content.decode()


def test_the_page_of_a_refused_try_says_what_to_do(world: World) -> None:
    refusal = Refusal.objects.create(
        connection=world.connection, http_status=401, code="SP-101", token_last4="8f3c", incident="abc", body=b"secret"
    )
    page = client_of("view_refusal").get(url("change", refusal.pk, model="refusal")).content.decode()
    assert "Unknown security token (ends with 8f3c)" in page
    assert "Correct it or add the company" in page
    assert "administrator" in page
    assert "secret" not in page.split('id="content-main"')[1]
    report = client_of("view_refusal").get(url("report", refusal.pk, model="refusal")).content.decode()
    assert "incident: abc" in report
    assert client_of(VIEW).get(url("report", refusal.pk, model="refusal")).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_duplicate_does_not_wait_for_who_handles_the_event() -> None:
    world = make_world()
    [event] = receive(world, EVENT)
    with transaction.atomic():
        InboundEvent.objects.select_for_update().get()

        def again() -> None:
            try:
                with database.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '2s'")
                receive(world, EVENT)
            finally:
                database.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(again).result(timeout=10)
    event.refresh_from_db()
    assert event.duplicates == 0
    receive(world, EVENT)
    event.refresh_from_db()
    assert event.duplicates == 1
