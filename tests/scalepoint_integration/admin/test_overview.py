"""Screen 1: what it says, where its numbers lead, and who may press its buttons."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from pytest_django import DjangoAssertNumQueries

from crm.formats import duration
from scalepoint_integration.models import Connection, Heartbeat, InboundEvent, Service
from scalepoint_integration.office.silence import silent
from tasks.models import Task
from tests.scalepoint_integration.office.test_figures import make_case, make_event
from tests.support.world import SECRET, World, assignment, merged, receive

PAGE = "/admin/scalepoint_integration/overview/"
# Of the page with rows in every part of it, read by a superuser. A new one needs a reason.
QUERIES = 32


def client_of(*permissions: str, superuser: bool = False) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def ole() -> Any:
    return get_user_model().objects.get(username="ole")


def alive() -> None:
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": timezone.now()})


def shown(page: str) -> dict[str, str]:
    """The counters of the page, by their words."""
    found = re.findall(
        r'<span class="sp-number">(\d+)</span>\s*<span><span aria-hidden="true">.</span> ([^<]+)</span>', page
    )
    return {label: number for number, label in found}


def fill(world: World) -> None:
    """Something in every part of the page."""
    now = timezone.now()
    for days in range(5):
        event = make_event(world, now - timedelta(days=days, hours=1))
        case = make_case(world, now - timedelta(days=days), taken_at=now)
        InboundEvent.objects.filter(pk=event.pk).update(case=case)
        task = Task.objects.create(title="Skade")
        Service.objects.create(case=case, reference="1", task=task)
    make_case(world, now, responsible=ole(), deadline=date(2020, 1, 1), insurer=world.syd, status="new")
    off = {"status": "needs_action", "problem_code": "SP-201", "problem_facts": {"template": "Vandskade"}}
    make_case(world, now, **off)
    make_event(world, now, status="failed", error_code="SP-105", insurer=world.syd)
    make_case(world, now, is_test=True, **off)
    make_event(world, now, status="failed", source="test")


# ---- What it says --------------------------------------------------------------------------------------------------
def test_the_page_of_a_site_without_anything(db: None) -> None:
    response = client_of("view_overview").get(PAGE)
    page = response.content.decode()
    assert response.status_code == 200
    assert set(shown(page)) == {"Needs action", "New cases", "Unassigned", "Overdue", "Failed events"}
    assert set(shown(page).values()) == {"0"}
    assert "No cases have been received yet" in page
    assert "Something is missing" in page
    assert "sp-box-bad" not in page


def test_the_page_says_what_is_there(world: World) -> None:
    client = client_of(superuser=True)
    alive()
    fill(world)
    page = client.get(PAGE).content.decode()
    assert shown(page) == {
        "Needs action": "1",
        "New cases": "1",
        "Unassigned": "6",
        "Overdue": "1",
        "Failed events": "1",
    }
    assert "Ready" in page
    assert "1 case could not be finished: The task template “Vandskade” is inactive." in page
    assert "1 event failed: The case number is missing." in page
    assert "No cases have been received yet" not in page
    assert "7 in total, at most 3 in one day." in page
    assert "My cases</a> (1)" in page or "My cases (1)" in page
    assert "background job" not in page
    of_syd = client.get(PAGE, {"insurer": world.syd.pk, "days": 7}).content.decode()
    assert shown(of_syd)["Needs action"] == "0"
    assert (shown(of_syd)["New cases"], shown(of_syd)["Failed events"]) == ("1", "1")
    assert "Vandskade" not in of_syd


def test_the_page_takes_the_recorded_number_of_queries(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_of(superuser=True)
    alive()
    fill(world)
    client.get(PAGE)
    with django_assert_max_num_queries(QUERIES):
        client.get(PAGE)
    for _each in range(3):
        fill(world)
    with django_assert_max_num_queries(QUERIES):
        client.get(PAGE)


@pytest.mark.parametrize("typed", ["", "0", "31", "-7", "7 ", "²", "9" * 30, "x"])
def test_a_filter_that_nobody_offers_is_no_filter(world: World, typed: str) -> None:
    make_case(world, timezone.now())
    response = client_of("view_overview").get(PAGE, {"days": typed, "insurer": typed})
    assert response.status_code == 200
    assert (response.context["scope"].days, response.context["scope"].insurer) == (30, None)


def test_what_others_wrote_is_text(world: World) -> None:
    evil = "<script>alert(1)</script>"
    world.nord.name = evil
    world.nord.save()
    client = client_of(superuser=True)
    case = make_case(world, timezone.now(), number=evil, responsible=ole())
    case.status, case._history_user = "closed", ole()  # type: ignore[attr-defined]
    case.save()
    make_case(world, responsible=ole(), number=evil, insurer=world.syd)
    make_case(world, status="needs_action", problem_code="SP-201", problem_facts={"template": evil})
    page = client.get(PAGE).content.decode()
    assert "&lt;script&gt;alert" in page
    assert evil not in page


def test_danish_and_english_have_the_same_numbers_in_the_drawing(world: World) -> None:
    make_case(world, timezone.now())
    client = client_of(superuser=True)
    for language in ("da", "en"):
        page = client.get(PAGE, {"days": 90}, headers={"accept-language": language}).content.decode()
        assert 'viewBox="0 0 900 100"' in page
        assert '<rect x="891" y="0" width="8" height="100">' in page


def test_every_drawing_has_its_numbers_as_a_table(world: World) -> None:
    make_case(world, timezone.now())
    page = client_of("view_overview").get(PAGE, {"days": 7}).content.decode()
    hidden = re.findall(r'<div class="sp-hidden"><table>(.*?)</table></div>', page, re.DOTALL)
    assert len(hidden) == 2
    assert [re.findall(r"<td>(\d+)</td>", table) for table in hidden] == [["0"] * 6 + ["1"], ["0"] * 7]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 sec."),
        (38.9, "38 sec."),
        (60, "1 min."),
        (15_000, "4 h 10 min."),
        (2 * 86_400, "2 days"),
    ],
)
def test_durations_in_words(seconds: float | None, words: str) -> None:
    with translation.override("en"):
        assert duration(seconds) == words


# ---- Where it leads ------------------------------------------------------------------------------------------------
def rows_behind(client: Client, url: str) -> int:
    response = client.get(url)
    assert response.status_code == 200, url
    return int(response.context["cl"].result_count)


def test_a_counter_leads_to_as_many_rows(world: World) -> None:
    client = client_of(superuser=True)
    fill(world)
    for query in ({}, {"insurer": world.syd.pk}, {"insurer": world.nord.pk}):
        counters = client.get(PAGE, query).context["counters"]
        assert len(counters) == 5
        for counter in counters:
            assert rows_behind(client, counter.url) == counter.number, counter.url


def test_a_cause_leads_to_the_case_where_there_is_one(world: World) -> None:
    client = client_of(superuser=True)
    case = make_case(world, status="needs_action", problem_code="SP-204")
    page = client.get(PAGE).content.decode()
    assert f'href="/admin/scalepoint_integration/case/{case.pk}/change/"' in page
    make_case(world, status="needs_action", problem_code="SP-204")
    page = client.get(PAGE).content.decode()
    assert "/admin/scalepoint_integration/case/?tab=needs_action&amp;problem_code__exact=SP-204" in page
    assert rows_behind(client, "/admin/scalepoint_integration/case/?problem_code__exact=SP-204") == 2


def test_who_may_not_open_a_list_gets_a_number_and_no_link(world: World) -> None:
    client = client_of("view_overview")
    fill(world)
    response = client.get(PAGE)
    assert [counter.url for counter in response.context["counters"]] == [""] * 5
    page = response.content.decode()
    assert "/scalepoint_integration/case/" not in page
    assert "/scalepoint_integration/inboundevent/" not in page
    assert response.context["changes"] == []


def test_changes_are_told_to_who_may_see_what_changed(world: World) -> None:
    case = make_case(world, number="905709")
    case.status, case._history_user = "closed", get_user_model().objects.get()  # type: ignore[attr-defined]
    case.save()
    found = client_of("view_overview", "view_case").get(PAGE).context["changes"]
    assert {change["kind"] for change in found} == {"Case"}
    assert (found[0]["who"], found[0]["name"], found[0]["what"]) == ("mette", "905709", "status: Closed")


def test_a_row_that_a_form_saved_is_told_once(world: World) -> None:
    client = client_of(superuser=True)
    url = reverse("admin:scalepoint_integration_overview_switch", args=[world.connection.pk])
    client.post(url, {"to": "paused"})
    found = [each for each in client.get(PAGE).context["changes"] if each["who"] == "ole"]
    assert [(each["name"], each["what"]) for each in found] == [("2332", "switch: On hold")]


# ---- Bars ----------------------------------------------------------------------------------------------------------
def test_the_background_job_that_does_not_run_is_told(world: World) -> None:
    receive(world, assignment())
    client = client_of("view_overview")
    page = client.get(PAGE).content.decode()
    assert "1 event is waiting because the background job is not running." in page
    assert "The cases are stored. Notify IT." in page
    assert "Copy message to IT" in page
    assert "Handle now" not in page  # who may not press it does not see it
    alive()
    assert "background job" not in client.get(PAGE).content.decode()
    Heartbeat.objects.all().delete()
    Connection.objects.update(switch="off")
    assert "background job" not in client.get(PAGE).content.decode()


def test_silence_is_told_with_what_can_be_done(world: World) -> None:
    alive()
    now = timezone.now()
    for days in range(20, 30):
        make_event(world, now - timedelta(days=days))
    silence = silent(world.connection, now)[0]
    assert silence.insurer == world.nord
    page = client_of(superuser=True).get(PAGE).content.decode()
    assert f"Nothing has been received from {world.nord.name} for {silence.days} working days." in page
    assert "See what you can do" in page
    assert reverse("admin:scalepoint_crm_insurancecompany_change", args=[world.nord.pk]) in page


# ---- Buttons -------------------------------------------------------------------------------------------------------
def test_handle_now_does_what_the_background_job_would(world: World) -> None:
    receive(world, assignment(), merged(assignment(2), {"policyHolder": {"name": "Jens Eksempel"}}))
    client = client_of("view_overview", "retry_event")
    assert "Handle now" in client.get(PAGE).content.decode()
    response = client.post(f"{PAGE}handle/", follow=True)
    assert "2 events were handled." in response.content.decode()
    assert Task.objects.count() == 2
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}


def test_on_hold_and_on_again_with_history(world: World) -> None:
    client = client_of("view_overview", "change_connection")
    url = f"{PAGE}{world.connection.pk}/switch/"
    assert "Pause" in client.get(PAGE).content.decode()
    for wanted in ("paused", "on"):
        before = Connection.history.count()
        assert client.post(url, {"to": wanted}).status_code == 302
        assert Connection.objects.get().switch == wanted
        assert Connection.history.count() == before + 1
        newest = Connection.history.latest()
        assert (newest.switch, newest.history_user) == (wanted, ole())
    assert Connection.objects.get().secret == SECRET
    before = Connection.history.count()
    client.post(url, {"to": "on"})  # pressed twice
    for wrong in ("off", "", "x"):
        assert client.post(url, {"to": wrong}).status_code == 400
    assert (Connection.objects.get().switch, Connection.history.count()) == ("on", before)


def test_who_may_only_look_can_press_nothing(world: World) -> None:
    receive(world, assignment())
    client = client_of("view_overview", "view_connection", "view_case", "view_inboundevent")
    page = client.get(PAGE).content.decode()
    assert "Pause" not in page
    histories = Connection.history.count()
    for url, form in ((f"{PAGE}handle/", {}), (f"{PAGE}{world.connection.pk}/switch/", {"to": "paused"})):
        assert client.post(url, form).status_code == 403
    assert Connection.objects.get().switch == "on"
    assert Connection.history.count() == histories
    assert InboundEvent.objects.get().status == "pending"
    assert Task.objects.count() == 0


def test_the_buttons_need_the_page_too_and_only_take_posts(world: World) -> None:
    client = client_of("change_connection", "retry_event")
    receive(world, assignment())
    addresses = (f"{PAGE}handle/", f"{PAGE}{world.connection.pk}/switch/")
    assert client.get(PAGE).status_code == 403
    for url in addresses:
        assert client.post(url, {"to": "paused"}).status_code == 403
        assert client.get(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ole())
    ole().user_permissions.add(Permission.objects.get(codename="view_overview"))
    for url in addresses:
        assert strict.post(url, {"to": "paused"}).status_code == 403
    assert (Connection.objects.get().switch, InboundEvent.objects.get().status) == ("on", "pending")


def test_the_page_has_no_form_that_would_show_the_connection(world: World) -> None:
    client = client_of("view_overview")
    for rest in (
        f"{world.connection.pk}/change/",
        f"{world.connection.pk}/history/",
        "add/",
        f"{world.connection.pk}/",
    ):
        response = client.get(f"{PAGE}{rest}")
        assert response.status_code == 404, rest
        assert SECRET not in response.content.decode()
    assert SECRET not in client.get(PAGE).content.decode()
