"""The history page: who changed what from what to what, in words, and nothing secret."""

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crm.history import entries
from crm.models import SecurityToken, Team
from scalepoint_integration.models import Case, Connection, DefaultValues
from tests.support.office import client_of, make
from tests.support.world import NORD_TOKEN, SECRET, World


def page_of(client: Client, row: Any) -> Any:
    return client.get(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_history", args=[row.pk]))


def change(row: Any, by: Any, because: str = "", **values: Any) -> None:
    row._history_user, row._change_reason = by, because
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def told(row: Any) -> list[list[tuple[str, str, str]]]:
    return [[(each.label, each.old, each.new) for each in entry.changes] for entry in entries(row)]


@pytest.fixture
def case(world: World) -> Case:
    case = make(world, "usual", responsible=None)
    return Case.objects.get(pk=case.pk)


@pytest.fixture
def mette(world: World) -> Any:
    return world.connection.responsible


def test_it_says_who_changed_which_field_from_what_to_what_and_why(case: Case, mette: Any) -> None:
    team = Team.objects.create(name="Tag")
    change(case, mette, status="closed", because="Kunden fortrød")
    change(case, mette, responsible=mette, team=team)
    change(case, None)  # the machine saved it, and nothing changed
    assert told(case) == [
        [("Responsible", "–", "mette"), ("Team", "–", "Tag")],
        [("Status", "In progress", "Closed")],
        [],
    ]
    newest, closed, made = entries(case)
    assert (closed.user, closed.reason, made.did, made.user) == (mette, "Kunden fortrød", "Added", None)
    assert newest.at > closed.at > made.at
    text = page_of(client_of("view_case"), case).content.decode()
    for shown in ("<strong>Status</strong>: from In progress to Closed", "Kunden fortrød", "mette", "The system"):
        assert shown in text


def test_what_was_deleted_since_is_told_by_its_number(case: Case, mette: Any) -> None:
    team = Team.objects.create(name="Tag")
    change(case, mette, team=team)
    change(case, mette, team=None)
    key = team.pk
    team.delete()
    assert told(case)[0] == [("Team", f"no. {key}, deleted", "–")]


def test_the_admins_own_log_is_merged_and_tells_nothing_twice(world: World, case: Case, mette: Any) -> None:
    client = client_of(superuser=True)
    ole = get_user_model().objects.get(username="ole")
    page = reverse("admin:scalepoint_crm_insurancecompany_change", args=[world.nord.pk])
    form = client.get(page).context["adminform"].form
    given = {name: form[name].value() or "" for name in form.fields} | {"name": "Nord (ny)", "active": "on"}
    del given["event_types"]  # a box that is not ticked is not sent
    formsets = client.get(page).context["inline_admin_formsets"]
    for formset in formsets:
        given |= {f"{formset.formset.prefix}-TOTAL_FORMS": 0, f"{formset.formset.prefix}-INITIAL_FORMS": 0}
    assert client.post(page, given).status_code == 302
    assert LogEntry.objects.count() == 1
    newest = entries(world.nord)[0]
    assert [(each.name, each.new) for each in newest.changes] == [("name", "Nord (ny)")]
    assert newest.user == ole
    assert sum(entry.user == ole for entry in entries(world.nord)) == 1

    kind = ContentType.objects.get_for_model(Case)
    LogEntry.objects.create(
        user=ole, content_type=kind, object_id=case.pk, object_repr="x", action_flag=CHANGE, change_message="Rang op"
    )
    assert [entry.message for entry in entries(case) if entry.message] == ["Rang op"]
    assert "Rang op" in page_of(client, case).content.decode()


def test_a_page_that_stands_for_the_connection_shows_its_log_too(world: World, mette: Any) -> None:
    defaults = DefaultValues.objects.get()
    kind = ContentType.objects.get_for_model(DefaultValues, for_concrete_model=False)
    LogEntry.objects.create(
        user=mette, content_type=kind, object_id=defaults.pk, object_repr="x", action_flag=CHANGE, change_message="Nyt"
    )
    change(world.connection, mette, switch="paused", secret="another-invented-secret")
    world.connection.failure_recipients.add(mette)
    for row in (world.connection, defaults):
        found = entries(row)
        assert {entry.message for entry in found} == {"", "Nyt"}
        changes = [(each.label, each.old, each.new) for entry in found for each in entry.changes]
        assert changes == [
            ("Notifications of errors", "–", "mette"),
            ("Switch", "On", "Paused"),
            ("Ends with", "tion", "cret"),
        ]


def test_the_tokens_of_a_company_are_part_of_its_history_and_never_shown(world: World, mette: Any) -> None:
    token = SecurityToken.objects.get(company=world.nord)
    change(token, mette, label="Fra Nord")
    ends = token.last4
    token._history_user = mette
    token.delete()
    found = [entry for entry in entries(world.nord) if entry.part]
    assert [(entry.did, entry.part) for entry in found] == [
        (did, f"Security token ••••{ends}") for did in ("Deleted", "Changed", "Added")
    ]
    assert [(each.label, each.new) for each in found[1].changes] == [("Label", "Fra Nord")]
    client = client_of(superuser=True)
    for row in (world.nord, world.connection):
        text = page_of(client, row).content.decode()
        assert NORD_TOKEN not in text
        assert SECRET not in text


def test_only_who_may_see_the_row_sees_its_history(world: World, case: Case) -> None:
    assert page_of(client_of("view_case"), case).status_code == 200
    client = client_of("view_inboundevent", name="another")
    assert page_of(client, case).status_code == 403
    gone = reverse("admin:scalepoint_integration_case_history", args=[case.pk + 1])
    assert client_of("view_case", name="third").get(gone).status_code == 302


def test_a_model_without_a_history_keeps_djangos_page(world: World) -> None:
    client = client_of(superuser=True)
    page = client.get(reverse("admin:scalepoint_crm_team_history", args=[Team.objects.get().pk]))
    assert page.status_code == 200
    assert "admin/object_history.html" in [template.name for template in page.templates]


def test_a_long_history_is_bounded_and_paged(
    case: Case, mette: Any, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setattr("crm.history.NEWEST", 6)
    monkeypatch.setattr("crm.admin.history.PER_PAGE", 4)
    teams = [Team.objects.create(name=f"Team {number}") for number in range(12)]
    for team in teams[:3]:
        change(case, mette, team=team)
    client = client_of("view_case")
    page_of(client, case)
    with CaptureQueriesContext(database) as few:
        page_of(client, case)
    for team in teams[3:]:
        change(case, mette, team=team)
    with CaptureQueriesContext(database) as many:
        page = page_of(client, case)
    assert len(many) == len(few)
    assert len(entries(case)) == 6
    assert len(page.context["page"]) == 4
    second = client.get(f"{page.request['PATH_INFO']}?p=2")
    assert len(second.context["page"]) == 2
    assert [change.new for entry in second.context["page"] for change in entry.changes] == ["Team 7", "Team 6"]
    assert Connection.history.count() == 1
