"""The inbox: tabs with counts, filters, search, columns, saved views, and what may be done to many cases at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm.models import Customer, Team
from scalepoint_integration.admin import caselist
from scalepoint_integration.models import Case, ImagePull, InboundEvent, OfficeNote, SavedView
from tasks.models import Task
from tests.support.office import client_of, make
from tests.support.world import World, assignment, handle, merged

LIST = "admin:scalepoint_integration_case_changelist"
# A list of 30 cases: session, user, rights, page, count, images, tasks, tab counts, saved views, choices of filters.
QUERIES = 14


@pytest.fixture
def office(world: World) -> Client:
    return client_of("view_case", "change_case", "retry_event", "export_cases")


def ole() -> Any:
    return get_user_model().objects.get(username="ole")


def numbers(client: Client, **query: str) -> list[str]:
    """The case numbers of the list, newest first."""
    response = client.get(reverse(LIST), query)
    assert response.status_code == 200, response.headers
    return [case.number for case in response.context["cl"].result_list]


def text(client: Client, **query: str) -> str:
    return client.get(reverse(LIST), query).content.decode()


def act(client: Client, action: str, *cases: Case, **given: Any) -> Any:
    chosen = {"action": action, "_selected_action": [case.pk for case in cases]}
    return client.post(reverse(LIST), chosen | given, follow=True)


@pytest.fixture
def cases(world: World) -> dict[str, Case]:
    """One case of each sort."""
    today = timezone.localdate()
    return {
        "usual": make(world, "usual", deadline=today),
        "new": make(world, "new", status="new", responsible=None),
        "stuck": make(
            world, "stuck", status="needs_action", problem_code="SP-203", problem_facts={"reason": "28112233"}
        ),
        "late": make(world, "late", deadline=today - timedelta(days=1)),
        "closed": make(
            world,
            "closed",
            status="closed",
            responsible=None,
            deadline=today - timedelta(days=9),
            lifecycle={"closed": {"at": "2031-01-01T00:00:00+00:00", "reason": "NotCovered"}},
        ),
        "trial": make(world, "trial", status="new", responsible=None, is_test=True),
    }


# ---- Tabs ----------------------------------------------------------------------------------------------------------
def test_every_tab_shows_as_many_cases_as_it_counts(office: Client, cases: dict[str, Case]) -> None:
    Case.objects.filter(number="usual").update(responsible=ole())
    expected = {
        "new": ["new"],
        "mine": ["usual"],
        "unassigned": ["new"],
        "needs_action": ["stuck"],
        "overdue": ["late"],
        "all": ["trial", "closed", "late", "stuck", "new", "usual"],
    }
    for tab, found in expected.items():
        assert numbers(office, tab=tab) == found, tab
    shown = {key: count for key, _label, count, _here in office.get(reverse(LIST)).context["tabs"]}
    assert shown == {"new": "1", "mine": "1", "unassigned": "1", "needs_action": "1", "overdue": "1", "all": ""}
    assert numbers(office) == expected["all"]
    assert numbers(office, tab="new", test="yes") == ["trial"]
    assert numbers(office, tab="unheard of") == []


def test_the_tabs_count_in_one_query_and_no_further_than_the_cap(
    world: World, monkeypatch: pytest.MonkeyPatch, cases: dict[str, Case]
) -> None:
    monkeypatch.setattr(caselist, "CAP", 3)
    with CaptureQueriesContext(
        database,
    ) as queries:
        counts = caselist.tab_counts(world.default_values.responsible)
    assert len(queries) == 1
    assert "LIMIT 3" in queries[0]["sql"]
    assert all(count.endswith("+") for count in counts.values())


def test_the_list_takes_the_recorded_number_of_queries_however_many_rows(office: Client, world: World) -> None:
    handle(world, assignment(1))
    taken = []
    for _round in range(2):
        with CaptureQueriesContext(database) as queries:
            office.get(reverse(LIST))
        taken.append(len(queries))
        handle(world, *(assignment(number) for number in range(2, 31)))
    assert taken == [QUERIES, QUERIES]
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    # The images of one page, and the tabs over a capped number of rows: nothing counts the table.
    assert len(counts) == 2
    assert "LIMIT 10000" in counts[-1]


# ---- Rows ----------------------------------------------------------------------------------------------------------
def test_a_row_says_what_is_wrong_and_where_to_solve_it(office: Client, cases: dict[str, Case]) -> None:
    page = text(office, tab="needs_action")
    assert "Several customers match (28112233)" in page
    solve = reverse("admin:scalepoint_integration_case_change", args=[cases["stuck"].pk])
    assert f'<a href="{solve}">Choose customer</a>' in page
    assert "SP-203" not in page


def test_a_row_shows_what_the_office_looks_for(office: Client, world: World) -> None:
    handle(world, assignment(1))
    ImagePull.objects.update(status="done")
    yesterday = timezone.localdate() - timedelta(days=1)
    Case.objects.update(deadline=yesterday, is_test=True, responsible=world.default_values.responsible)
    page = text(office)
    case = Case.objects.get()
    facts = case.known
    for shown in (case.number, facts.holder_name, facts.damage_address.street, facts.damage_type, "Nord Forsikring"):
        assert shown in page
    for word in ("mette", "⏰</span> Overdue", "TEST", "Unread", "📷</span> 1", "just now", f'href="{facts.url}"'):
        assert word in page, word
    Case.objects.update(unread=False, is_test=False, deadline=None)
    page = text(office)
    for word in ('class="sp-unread"', "⏰", "⚑"):
        assert word not in page


@pytest.mark.parametrize("tab", [tab for tab in caselist.TABS if tab != "all"])
def test_an_empty_tab_says_what_that_means(office: Client, world: World, tab: str) -> None:
    assert "No cases have been received yet" in text(office, tab=tab)
    make(world, "done", status="closed")
    assert str(caselist._EMPTY[tab]) in text(office, tab=tab)
    page = text(office, tab=tab, q="nobody of that name")
    assert "No cases match the filter." in page
    assert "1 case without the filter." in page
    assert f'href="?tab={tab}">Clear the filter' in page


# ---- Filters and search --------------------------------------------------------------------------------------------
def test_the_filters(office: Client, world: World, cases: dict[str, Case]) -> None:
    team = Team.objects.create(name="Tag")
    Case.objects.filter(number="usual").update(team=team, insurer=world.syd)
    Case.objects.filter(number="late").update(created_at=timezone.now() - timedelta(days=40))
    fire = {"damage_type": {"value": "Brand", "at": "2031-05-06T00:00:00+00:00"}}
    storm = {"damage_category": {"value": "Storm", "at": "2031-05-06T00:00:00+00:00"}}
    Case.objects.filter(number="new").update(facts=fire)
    Case.objects.filter(number="stuck").update(facts=storm)
    event = handle(world, {"eventType": "unheard_of"})[0]
    InboundEvent.objects.filter(pk=event.pk).update(status="failed", case=cases["stuck"])
    service = cases["closed"].services.create(service_id="s1")
    ImagePull.objects.create(service=service, key="k", status="done")
    ImagePull.objects.create(service=cases["late"].services.create(service_id="s2"), key="k", status="failed")
    everything = ["trial", "closed", "late", "stuck", "new", "usual"]

    def without(*names: str) -> list[str]:
        return [name for name in everything if name not in names]

    found = {
        ("status", "closed"): ["closed"],
        ("status", "open"): without("closed"),
        ("insurer", str(world.syd.pk)): ["usual"],
        ("insurer", "none"): [],
        ("responsible", "none"): ["trial", "closed", "new"],
        ("team", str(team.pk)): ["usual"],
        ("team", "none"): without("usual"),
        ("damage", "Brand"): ["new"],
        ("damage", "Storm"): ["stuck"],
        ("period", "today"): without("late"),
        ("period", "30"): without("late"),
        ("period", "90"): everything,
        ("images", "yes"): ["closed"],
        ("images", "no"): without("closed"),
        ("test", "yes"): ["trial"],
        ("test", "no"): without("trial"),
        ("failed", "yes"): ["stuck"],
        ("reason", "NotCovered"): ["closed"],
        ("reason", "None"): [],
        ("reason", "ours"): [],
        ("status", "'; drop"): [],
        ("team", "x"): [],
    }
    for (name, value), expected in found.items():
        assert numbers(office, **{name: value}) == expected, (name, value)
    page = text(office)
    assert "Brand" in page
    assert "Storm" in page


def test_search_finds_every_word_and_every_number(office: Client, world: World) -> None:
    handle(world, assignment(1), assignment(2))
    make(world, "other")
    case = Case.objects.get(number="20310506-07")
    facts = case.known
    Customer.objects.filter(pk=case.customer_id).update(customer_number="K-4711")
    service = case.services.get()
    Task.objects.filter(pk=service.task_id).update(title="Tagrende og nedløb", requisition_number="R-99")
    OfficeNote.objects.create(case=case, text="Kunden ringer selv på fredag")
    only = [case.number]
    first_word = facts.holder_name.split()[0]
    assert case.number in numbers(office, q=first_word.upper())
    for query in (
        "20310506-07",
        f"{first_word} 20310506-07",
        case.case_id.upper(),
        service.service_id,
        service.reference,
        "R-99",
        "nedløb",
        "K-4711",
        "ringer selv",
    ):
        assert numbers(office, q=query) == only, query
    assert numbers(office, q=f"{first_word} nowhere") == []
    assert numbers(office, q="%") == []


# ---- What a reader keeps -------------------------------------------------------------------------------------------
def test_the_reader_chooses_columns(office: Client, cases: dict[str, Case]) -> None:
    columns = reverse("admin:scalepoint_integration_case_columns")
    assert "column-holder_name" in text(office)
    assert "column-team" not in text(office)
    response = office.post(columns, {"column": ["team", "due", "nonsense"], "query": "tab=new&p=3"})
    assert response.headers["Location"] == f"{reverse(LIST)}?tab=new"
    page = text(office)
    assert "column-team" in page
    assert "column-reference" in page
    assert "column-holder_name" not in page
    assert "column-holder_name" in text(client_of("view_case", name="another"))
    office.post(columns, {"reset": "1"})
    assert "column-holder_name" in text(office)
    assert office.get(columns).status_code == 405
    assert client_of(name="nobody").post(columns, {"column": ["team"]}).status_code == 403


def test_a_view_is_saved_opened_and_deleted_by_its_owner_alone(office: Client, cases: dict[str, Case]) -> None:
    save = reverse("admin:scalepoint_integration_case_views")
    office.post(save, {"name": " Mine sene ", "query": "tab=overdue&q=la&p=2"})
    view = SavedView.objects.get()
    assert (view.user, view.name, view.query) == (ole(), "Mine sene", "tab=overdue&q=la")
    assert '<a href="?tab=overdue&amp;q=la">Mine sene</a>' in text(office)
    assert numbers(office, tab="overdue", q="la") == ["late"]
    office.post(save, {"name": "Mine sene", "query": "tab=new"})
    view.refresh_from_db()
    assert view.query == "tab=new"
    for bad in ({"name": " ", "query": "tab=new"}, {"name": "long", "query": "q=" + "x" * 1000}):
        office.post(save, bad)
    assert SavedView.objects.count() == 1

    another = client_of("view_case", name="another")
    delete = reverse("admin:scalepoint_integration_case_view_delete", args=[view.pk])
    assert "Mine sene" not in text(another)
    assert another.post(delete).status_code == 404
    assert office.get(delete).status_code == 405
    assert SavedView.objects.count() == 1
    office.post(delete)
    assert SavedView.objects.count() == 0
    nobody = client_of(name="nobody")
    assert nobody.post(save, {"name": "x", "query": ""}).status_code == 403
    assert SavedView.objects.count() == 0


def test_nobody_saves_views_without_end(office: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caselist, "MOST_VIEWS", 2)
    save = reverse("admin:scalepoint_integration_case_views")
    for name in ("a", "b", "c", "a"):
        response = office.post(save, {"name": name, "query": f"q={name}2"}, follow=True)
        assert response.status_code == 200
    assert [(view.name, view.query) for view in SavedView.objects.all()] == [("a", "q=a2"), ("b", "q=b2")]


# ---- Actions -------------------------------------------------------------------------------------------------------
def test_who_may_only_look_changes_nothing(cases: dict[str, Case]) -> None:
    client = client_of("view_case")
    before = list(Case.objects.order_by("pk").values())
    history = Case.history.count()
    given = {"apply": "1", "responsible": ole().pk, "reason": "because"}
    for action in ("take", "assign", "make_task", "link_task", "mark_read", "mark_unread", "retry", "close"):
        assert act(client, action, *cases.values(), **given).status_code == 200
    for action in ("export_xlsx", "export_csv"):
        response = act(client, action, *cases.values())
        assert response.headers["Content-Type"].startswith("text/html"), action
    assert list(Case.objects.order_by("pk").values()) == before
    assert Case.history.count() == history
    page = text(client)
    assert "Take the selected cases" not in page
    assert "Export" not in page


def test_taking_makes_me_responsible(office: Client, cases: dict[str, Case]) -> None:
    page = act(office, "take", cases["new"], cases["stuck"])
    assert "You are now responsible for 2 cases." in page.content.decode()
    assert set(Case.objects.filter(responsible=ole()).values_list("number", flat=True)) == {"new", "stuck"}
    assert Case.objects.filter(taken_at__isnull=False).count() == 2
    assert Case.history.filter(history_user=ole()).count() == 2


def test_assigning_asks_for_whom_first(office: Client, world: World, cases: dict[str, Case]) -> None:
    team = Team.objects.create(name="Tag")
    chosen = (cases["new"], cases["stuck"])
    page = act(office, "assign", *chosen)
    assert [case.number for case in page.context["cases"]] == ["stuck", "new"]
    assert Case.objects.filter(team=team).count() == 0
    assert "Choose a responsible user or a team." in act(office, "assign", *chosen, apply="1").content.decode()
    both = act(office, "assign", *chosen, apply="1", responsible=ole().pk, nobody="on").content.decode()
    assert "not both" in both
    gone = get_user_model().objects.create_user("gone", is_staff=True, is_active=False)
    assert "Select a valid choice" in act(office, "assign", *chosen, apply="1", responsible=gone.pk).content.decode()
    assert Case.history.filter(history_user=ole()).count() == 0

    act(office, "assign", *chosen, apply="1", team=team.pk)
    assert set(Case.objects.filter(team=team).values_list("number", flat=True)) == {"new", "stuck"}
    cases["stuck"].refresh_from_db()
    assert cases["stuck"].responsible == world.default_values.responsible  # empty left it alone
    act(office, "assign", *chosen, apply="1", nobody="on")
    assert Case.objects.filter(team=team, responsible=None).count() == 2


def test_closing_needs_a_reason(office: Client, cases: dict[str, Case]) -> None:
    assert act(office, "close", cases["late"]).context["form"].is_bound is False
    act(office, "close", cases["late"], apply="1", reason=" ")
    assert Case.objects.filter(status="closed").count() == 1
    page = act(office, "close", cases["late"], apply="1", reason="Kunden fortrød")
    assert "1 case was closed." in page.content.decode()
    cases["late"].refresh_from_db()
    assert cases["late"].status == "closed"


def test_marking(office: Client, cases: dict[str, Case]) -> None:
    act(office, "mark_read", cases["new"], cases["late"])
    assert set(Case.objects.filter(unread=False).values_list("number", flat=True)) == {"new", "late"}
    act(office, "mark_unread", cases["new"])
    assert set(Case.objects.filter(unread=False).values_list("number", flat=True)) == {"late"}


def test_linking_leads_to_the_page_of_one_case(office: Client, cases: dict[str, Case]) -> None:
    chosen = {"action": "link_task", "_selected_action": [cases["new"].pk]}
    response = office.post(reverse(LIST), chosen)
    page = reverse("admin:scalepoint_integration_case_change", args=[cases["new"].pk])
    assert response.headers["Location"] == f"{page}#link-task"
    assert "Choose only one case" in act(office, "link_task", cases["new"], cases["late"]).content.decode()


def test_too_many_at_once_are_refused(office: Client, cases: dict[str, Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caselist, "AT_ONCE", 1)
    for action in ("take", "assign", "close", "make_task"):
        page = act(office, action, cases["new"], cases["stuck"], apply="1", reason="x", nobody="on")
        assert "Nothing was changed: more than 1 cases were selected." in page.content.decode(), action
    assert Case.objects.filter(responsible=ole()).count() == 0
    assert Case.objects.filter(status="closed").count() == 1


def test_what_was_typed_is_text_everywhere(office: Client, world: World) -> None:
    evil = "<script>alert(1)</script>"
    case = make(world, evil, case_id="evil", is_test=True)
    SavedView.objects.create(user=ole(), name=evil, query=f"q={evil}")
    for page in (text(office), text(office, q=evil), act(office, "assign", case).content.decode()):
        assert "<script>alert" not in page


def test_events_that_failed_are_retried(office: Client, world: World) -> None:
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    handle(world, merged(assignment(1), {"policyHolder": {"phoneNumber": None}}))
    assert numbers(office, failed="yes") == ["20310506-07"]
    world.default_values.phone_as_customer_number = False
    world.default_values.save()
    page = act(office, "retry", Case.objects.get())
    assert "1 event is being retried." in page.content.decode()
    assert InboundEvent.objects.get().status == "done"
    assert Task.objects.count() == 1


def test_the_task_is_made_or_it_is_said_why_not(office: Client, world: World) -> None:
    handle(world, assignment(1))
    Task.objects.all().delete()
    made, lone = Case.objects.get(), make(world, "lone")
    page = act(office, "make_task", made, lone)
    said = [str(message) for message in page.context["messages"]]
    assert said == ["lone: The task could not be created; the list shows why.", "1 case now has its task."]
    assert Task.objects.count() == 1
    assert list(made.services.filter(task=None)) == []
