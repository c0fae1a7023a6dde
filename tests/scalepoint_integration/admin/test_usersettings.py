"""My settings, and the list of who has no Scalepoint user name."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from scalepoint_integration.models import UserSettings

pytestmark = pytest.mark.django_db
NAME = "admin:scalepoint_integration_usersettings_"


def client_of(*permissions: str, name: str = "ole") -> Client:
    user = get_user_model().objects.create_user(name, f"{name}@kontor.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_everybody_sets_what_they_are_told() -> None:
    client = client_of("view_case")
    page = client.get(reverse(f"{NAME}mine")).content.decode()
    assert page.count("checked") == 5
    assert "ole@kontor.example" in page
    client.post(reverse(f"{NAME}mine"), {"scalepoint_user_name": "ole-hos-scalepoint", "tell_new_case": "on"})
    row = UserSettings.objects.get()
    assert (row.user.get_username(), row.scalepoint_user_name) == ("ole", "ole-hos-scalepoint")
    assert (row.tell_new_case, row.tell_message, row.tell_failures) == (True, False, False)
    client.post(reverse(f"{NAME}mine"), {"scalepoint_user_name": "another"})
    assert UserSettings.objects.get().scalepoint_user_name == "another"


def test_an_administrator_sees_who_lacks_a_name_and_adds_it() -> None:
    client = client_of("change_usersettings")
    mette = get_user_model().objects.create_user("mette", is_staff=True)
    get_user_model().objects.create_user("customer-of-the-shop", is_staff=False)
    UserSettings.objects.create(user=mette, scalepoint_user_name="mette-1")
    page = client.get(reverse(f"{NAME}changelist")).content.decode()
    assert "1 person has no Scalepoint user name." in page
    assert "mette-1" in page
    assert "customer-of-the-shop" not in page
    client.post(reverse(f"{NAME}person", args=[mette.pk]), {"scalepoint_user_name": "mette-2"})
    assert UserSettings.objects.get().scalepoint_user_name == "mette-2"


def test_the_list_takes_the_same_queries_for_many(django_assert_max_num_queries: object) -> None:
    client = client_of("change_usersettings")
    for number in range(40):
        get_user_model().objects.create_user(f"user{number}", is_staff=True)
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert client.get(reverse(f"{NAME}changelist")).status_code == 200


def test_who_may_not() -> None:
    other = get_user_model().objects.create_user("mette", is_staff=True)
    client = client_of("view_case")
    assert client.get(reverse(f"{NAME}changelist")).status_code == 403
    assert client.get(reverse(f"{NAME}person", args=[other.pk])).status_code == 403
    assert client.post(reverse(f"{NAME}person", args=[other.pk]), {"scalepoint_user_name": "x"}).status_code == 403
    nobody = client_of(name="nobody")
    assert nobody.post(reverse(f"{NAME}mine"), {"scalepoint_user_name": "x"}).status_code == 403
    assert not UserSettings.objects.exists()
