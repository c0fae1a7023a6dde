"""Screen 4: one row per insurance company with when it last worked; its tokens are changed without a gap."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from crm.models import InsuranceCompany, SecurityToken
from scalepoint_integration.models import Case, InboundEvent, Refusal
from scalepoint_integration.office.figures import figures_of
from tests.support.forms import form
from tests.support.world import NORD_TOKEN, World, assignment, handle, merged

LIST = reverse("admin:scalepoint_crm_insurancecompany_changelist")
NEW = "invented-token-of-nord-9999"
# Login 2, count 1, rows 1, tokens 1, figures 3, refusals 1, is there any 1.
QUERIES = 10


def page(world: World, name: str = "change", *more: int) -> str:
    return reverse(f"admin:scalepoint_crm_insurancecompany_{name}", args=[world.nord.pk, *more])


def client_of(*permissions: str, superuser: bool = False) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def office(db: None) -> Client:
    return client_of(superuser=True)


def test_the_figures_leave_tests_and_old_ones_out(world: World) -> None:
    handle(world, assignment(1), assignment(2), merged(assignment(3), {"case": {"id": None, "number": None}}))
    handle(world, assignment(4))
    Case.objects.filter(number="20310506-00004").update(is_test=True)
    Case.objects.filter(number="20310506-00002").update(created_at=timezone.now() - timedelta(days=31))
    InboundEvent.objects.filter(case__number="20310506-07").update(status="failed", error_code="SP-900")
    InboundEvent.objects.filter(case__number="20310506-00004").update(status="failed", error_code="SP-900")
    found = figures_of([world.nord.pk, world.syd.pk], timezone.now())
    newest = InboundEvent.objects.order_by("-pk")[0].received_at
    assert found[world.nord.pk].latest == newest
    assert (found[world.nord.pk].errors, found[world.nord.pk].cases) == (1, 2)
    assert (found[world.syd.pk].latest, found[world.syd.pk].errors, found[world.syd.pk].cases) == (None, 0, 0)
    later = figures_of([world.nord.pk], timezone.now() + timedelta(days=8))
    assert later[world.nord.pk].errors == 0


def test_the_list_takes_the_recorded_number_of_queries(
    world: World, office: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        company = InsuranceCompany.objects.create(name=f"C{number}", alias=f"c{number}")
        SecurityToken.objects.create(company=company, token=f"{NEW}{number}")
    handle(world, assignment())
    with django_assert_num_queries(QUERIES):
        text = office.get(LIST).content.decode()
    assert "Ready" in text and "Never" in text and "••••0001" in text and NORD_TOKEN not in text


def test_the_list_says_what_was_refused_today_and_what_is_missing(world: World, office: Client) -> None:
    assert "unknown token" not in office.get(LIST).content.decode()
    for number in range(4):
        Refusal.objects.create(
            connection=world.connection, http_status=401, code="SP-101", incident=f"i{number}", token_last4="zz99"
        )
    Refusal.objects.create(connection=world.connection, http_status=401, code="SP-101", incident="none")
    SecurityToken.objects.filter(company=world.syd).update(expires_at=timezone.now())
    response = office.get(LIST)
    text = response.content.decode()
    assert "4 requests with an unknown token were refused today." in text and "Token is missing" in text
    refused = office.get(response.context["unknown"]["address"])
    assert refused.status_code == 200 and refused.context["cl"].result_count == 5
    InsuranceCompany.objects.all().delete()
    assert "You have no insurance companies yet." in office.get(LIST).content.decode()


def test_the_page_shows_what_is_inherited_and_what_came(world: World, office: Client) -> None:
    handle(world, assignment())
    text = office.get(page(world)).content.decode()
    assert (
        "Leave empty to use the default value: mette" in text
        and "Leave empty to use the default value: Service" in text
        and "Leave empty to use the default value: Skade" in text
    )
    assert "Latest 10 events" in text and "20310506-07" in text and NORD_TOKEN not in text
    for address in (f"?insurer__id__exact={world.nord.pk}",):
        assert text.count(address) == 2
    cases = reverse("admin:scalepoint_integration_case_changelist") + f"?insurer__id__exact={world.nord.pk}"
    events = reverse("admin:scalepoint_integration_inboundevent_changelist") + f"?insurer__id__exact={world.nord.pk}"
    assert office.get(cases).context["cl"].result_count == office.get(events).context["cl"].result_count == 1
    assert 'class="deletelink"' not in text and office.post(page(world, "delete"), {"post": "yes"}).status_code == 403
    assert InsuranceCompany.objects.filter(pk=world.nord.pk).exists()
    other = reverse("admin:scalepoint_crm_insurancecompany_change", args=[world.syd.pk])
    assert 'class="deletelink"' in office.get(other).content.decode()


def test_the_kinds_of_events_are_ticked_in_words(world: World, office: Client) -> None:
    data = form(office.get(page(world)))
    data |= {"event_types": ["repair_service_requested", "message_received"]}  # type: ignore[dict-item]
    assert office.post(page(world), data).status_code == 302
    world.nord.refresh_from_db()
    assert world.nord.event_types == ["repair_service_requested", "message_received"]
    [event] = handle(world, {"eventType": "task_created", "case": {"number": "1"}})
    assert (event.status, event.error_code, Case.objects.count()) == ("ignored", "SP-106", 0)


def test_a_token_is_changed_without_a_gap(world: World, office: Client) -> None:
    day = timezone.localdate() + timedelta(days=14)
    start = form(office.get(page(world, "rotate")))
    assert start["old_until"] == day.strftime("%d.%m.%Y")
    response = office.post(page(world, "rotate"), start | {"new_token": f" {NEW} ", "label": "ny"}, follow=True)
    new, old = SecurityToken.objects.filter(company=world.nord).order_by("-pk")
    assert (new.token, new.label, new.expires_at, old.token) == (NEW, "ny", None, NORD_TOKEN)
    assert old.expires_at is not None and timezone.localdate(old.expires_at) == day + timedelta(days=1)
    live = SecurityToken.objects.live(timezone.now()).filter(company=world.nord)
    assert live.count() == 2
    assert list(SecurityToken.objects.live(old.expires_at).filter(company=world.nord)) == [new]
    assert (
        new.history.latest().history_user
        == old.history.latest().history_user
        == get_user_model().objects.get(username="ole")
    )
    for text in (response.content.decode(), LogEntry.objects.get().change_message):
        assert "9999" in text and NEW not in text
    assert not {"token", "digest"} & {field.name for field in new.history.model._meta.fields}


def test_a_token_that_is_made_is_shown_once(world: World, office: Client) -> None:
    start = form(office.get(page(world, "rotate")))
    response = office.post(page(world, "rotate"), start | {"make": "on"}, follow=True)
    made = SecurityToken.objects.filter(company=world.nord).order_by("-pk")[0].token
    assert len(made) >= 43 and response.content.decode().count(made) == 1
    assert made not in office.get(page(world)).content.decode() + LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"new_token": "invented-token-of-syd-0002"}, "This token is already used by Syd Forsikring (eksempel)."),
        ({}, "Enter the new token, or have one generated"),
        ({"new_token": NEW, "make": "on"}, "Enter the new token, or have one generated"),
        ({"new_token": NEW, "old_until": "01.01.2020"}, "This date is in the past."),
    ],
)
def test_what_does_not_hold_changes_no_token(world: World, office: Client, said: dict[str, str], error: str) -> None:
    before = list(SecurityToken.objects.order_by("pk").values())
    response = office.post(page(world, "rotate"), form(office.get(page(world, "rotate"))) | said)
    text = response.content.decode()
    assert response.status_code == 200 and error in text
    assert said.get("new_token", "never") not in text
    assert list(SecurityToken.objects.order_by("pk").values()) == before
    assert LogEntry.objects.count() == 0


def test_a_token_is_switched_off_after_asking(world: World, office: Client) -> None:
    token = SecurityToken.objects.get(company=world.nord)
    off = page(world, "token_off", token.pk)
    assert off in office.get(page(world)).content.decode()
    assert "will be refused from now on" in office.get(off).content.decode()
    assert SecurityToken.objects.live(timezone.now()).count() == 2
    assert office.post(off).status_code == 302
    assert [row.company for row in SecurityToken.objects.live(timezone.now())] == [world.syd]
    foreign = page(world, "token_off", SecurityToken.objects.get(company=world.syd).pk)
    assert office.post(foreign).status_code == 404
    assert SecurityToken.objects.live(timezone.now()).count() == 1


def test_tokens_are_for_those_who_may_manage_them(world: World, office: Client) -> None:
    token = SecurityToken.objects.get(company=world.nord)
    data = form(office.get(page(world))) | {"tokens-0-label": "changed", "tokens-2-0-new_token": NEW}
    rotate = form(office.get(page(world, "rotate"))) | {"new_token": NEW}
    get_user_model().objects.filter(username="ole").delete()
    before = list(SecurityToken.objects.order_by("pk").values())
    changer = client_of("view_insurancecompany", "change_insurancecompany", "change_securitytoken", "add_securitytoken")
    text = changer.get(page(world)).content.decode()
    assert "••••0001" in text and "new_token" not in text and page(world, "rotate") not in text
    assert page(world, "token_off", token.pk) not in text
    assert changer.post(page(world), data).status_code == 302
    for address in (page(world, "rotate"), page(world, "token_off", token.pk)):
        assert changer.get(address).status_code == 403
        assert changer.post(address, rotate).status_code == 403
    assert list(SecurityToken.objects.order_by("pk").values()) == before
    get_user_model().objects.filter(username="ole").delete()
    looker = client_of("view_insurancecompany", "manage_tokens")
    assert looker.get(page(world, "rotate")).status_code == 200
