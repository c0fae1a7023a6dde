"""The page "Send a test case"."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from scalepoint_integration.models import Case, Connection, InboundEvent
from scalepoint_integration.test_cases.send import send
from tests.support.world import NORD_TOKEN, World, make_world

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "admin:scalepoint_integration_testcase_"


@pytest.fixture
def here() -> World:
    return make_world(phone_as_customer_number=True)


def client_of(*permissions: str) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_sending_shows_each_step_with_a_way_to_it(here: World) -> None:
    client = client_of("send_test", "view_case")
    page = client.get(reverse(f"{NAME}changelist")).content.decode()
    assert "You have not sent a test case yet" in page
    answer = client.post(reverse(f"{NAME}send"), {"example": "fire", "insurer": here.nord.pk, "keep": "1"}, follow=True)
    page = answer.content.decode()
    case = Case.objects.get()
    assert (case.is_test, case.test_kept) == (True, True)
    assert reverse("admin:scalepoint_integration_case_change", args=[case.pk]) in page
    assert "TEST-0001" in page
    assert "meant to fail" not in page
    client.post(reverse(f"{NAME}send"), {"example": "twins", "insurer": here.nord.pk})
    assert "This example is meant to fail" in client.get(reverse(f"{NAME}changelist")).content.decode()


def test_the_content_is_shown_without_sending_and_without_the_token(here: World) -> None:
    client = client_of("send_test")
    shown = client.post(reverse(f"{NAME}send"), {"example": "water", "insurer": here.nord.pk, "show": "1"})
    page = shown.content.decode()
    assert "repair_service_requested" in page
    assert "curl -X POST" in page
    assert NORD_TOKEN not in page
    assert not InboundEvent.objects.exists()


def test_all_are_deleted_after_a_question(here: World) -> None:
    send(here.connection, here.nord, "fire")
    client = client_of("send_test", "delete_test_data")
    assert "1 test case is deleted" in client.get(reverse(f"{NAME}delete_all")).content.decode()
    assert Case.objects.count() == 1
    client.post(reverse(f"{NAME}delete_all"))
    assert Case.objects.count() == 0


def test_who_may_not(here: World) -> None:
    send(here.connection, here.nord, "fire")
    events = InboundEvent.objects.count()
    looker = client_of("view_case", "view_inboundevent", "view_connection")
    assert looker.get(reverse(f"{NAME}changelist")).status_code == 403
    assert looker.post(reverse(f"{NAME}send"), {"example": "fire", "insurer": here.nord.pk}).status_code == 403
    assert looker.post(reverse(f"{NAME}delete_all")).status_code == 403
    get_user_model().objects.get(username="ole").user_permissions.set(
        Permission.objects.filter(codename__in=["send_test"])
    )
    assert looker.post(reverse(f"{NAME}delete_all")).status_code == 403
    assert looker.get(reverse(f"{NAME}send")).status_code == 405
    assert (InboundEvent.objects.count(), Case.objects.count()) == (events, 1)


def test_without_a_connection_it_says_what_to_do() -> None:
    client = client_of("send_test")
    page = client.get(reverse(f"{NAME}changelist")).content.decode()
    assert "needs a connection and an insurance company" in page
    client.post(reverse(f"{NAME}send"), {"example": "fire"})
    assert not Connection.objects.exists()
    assert not InboundEvent.objects.exists()
