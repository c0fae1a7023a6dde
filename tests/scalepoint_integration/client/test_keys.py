"""Keys on the page of a connection: made and given out by those who may, and the private half by nobody."""

import base64
import logging
from typing import Any

import pytest
from cryptography import x509
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from scalepoint_integration.client.keys import make_key
from scalepoint_integration.models import ClientKey, Connection
from tests.support.world import World

NAME = "admin:scalepoint_integration_connection_"


def client_of(*permissions: str) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def url(page: str, *args: Any) -> str:
    return reverse(NAME + page, args=args)


def test_a_key_is_made_with_one_button(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of("view_connection", "change_connection", "manage_keys")
    pk = world.connection.pk
    page = client.get(url("change", pk)).content.decode()
    assert f'formaction="{url("new_key", pk)}"' in page
    response = client.post(url("new_key", pk), follow=True)
    key = ClientKey.objects.get()
    assert (key.connection, key.registered) == (world.connection, False)
    page = response.content.decode()
    assert key.thumbprint in page
    assert url("certificate", pk, key.pk) in page
    answer = client.get(url("certificate", pk, key.pk))
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert "no-store" in answer["Cache-Control"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(answer.content, validate=True))
    assert certificate.subject.rfc4514_string() == "CN=scalepoint 2332"
    secrets = key.private_key.splitlines()[10:-1]  # the lines before hold the modulus, which the certificate shows too
    history = client.get(url("history", pk)).content.decode()
    assert key.thumbprint in history
    shown = page + answer.content.decode() + history + caplog.text + str(list(LogEntry.objects.values()))
    assert [line for line in secrets if line in shown] == []


def test_a_key_is_ticked_and_deleted(world: World) -> None:
    client = client_of("view_connection", "change_connection", "manage_keys")
    key = make_key(world.connection)
    form = client.get(url("change", world.connection.pk)).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    sent |= {"keys-TOTAL_FORMS": 1, "keys-INITIAL_FORMS": 1}
    sent |= {"keys-0-id": key.pk, "keys-0-connection": world.connection.pk, "keys-0-registered": "on"}
    assert client.post(url("change", world.connection.pk), {**sent, "keys-0-private_key": "x"}).status_code == 302
    after = ClientKey.objects.get()
    assert after.registered
    assert after.private_key == key.private_key
    assert client.post(url("change", world.connection.pk), {**sent, "keys-0-DELETE": "on"}).status_code == 302
    assert not ClientKey.objects.exists()


def test_who_may_not(world: World) -> None:
    key = make_key(world.connection)
    pk = world.connection.pk
    client = client_of("view_connection", "change_connection", "view_clientkey", "change_clientkey")
    page = client.get(url("change", pk)).content.decode()
    assert key.thumbprint not in page
    assert "formaction" not in page
    assert client.post(url("new_key", pk)).status_code == 403
    assert client.get(url("certificate", pk, key.pk)).status_code == 403
    assert ClientKey.objects.count() == 1
    get_user_model().objects.get(username="ole").user_permissions.set(Permission.objects.filter(codename="manage_keys"))
    assert client.post(url("new_key", pk)).status_code == 403
    assert Client().post(url("new_key", pk)).status_code == 302
    assert ClientKey.objects.count() == 1


def test_odd_ways_to_the_addresses(world: World) -> None:
    client = client_of("view_connection", "manage_keys")
    other = Connection.objects.create(contract_number="4711")
    key = make_key(other)
    pk = world.connection.pk
    assert client.get(url("new_key", pk)).status_code == 405
    assert client.post(url("new_key", 999999)).status_code == 404
    assert client.get(url("certificate", pk, key.pk)).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="ole"))
    assert strict.post(url("new_key", pk)).status_code == 403
    assert ClientKey.objects.count() == 1
    client_secret = client.get(url("change", pk)).content.decode()
    assert "PRIVATE KEY" not in client_secret
