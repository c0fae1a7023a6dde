"""Corners of the endpoint that no socket reaches, or only a broken server or a strange proxy."""

import io
import json
import time
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from pytest_django import Settings

from scalepoint_integration import errors
from scalepoint_integration.models import InboundEvent, Refusal
from scalepoint_integration.receiving import body, refusals
from scalepoint_integration.receiving.deadline import deadline
from scalepoint_integration.receiving.refusals import Refused
from tests.support.live import PATH
from tests.support.world import NORD_TOKEN, World, assignment


def post(**headers: Any) -> Any:
    sent = {"HTTP_AUTHORIZATION": f"Bearer {NORD_TOKEN}", **headers}
    return Client().post(PATH, json.dumps(assignment()), content_type="application/json", **sent)


@pytest.mark.django_db(transaction=True)
def test_a_query_that_outlasts_the_deadline_is_cut_off() -> None:
    begun = time.monotonic()
    with pytest.raises(OperationalError), deadline(0.3), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")
    assert time.monotonic() - begun < 5
    connection.close()
    with deadline(5), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    time.sleep(0.6)  # a deadline that was kept must not cut anything later
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_the_senders_address_behind_proxies(settings: Settings, hops: int, forwarded: str, address: str) -> None:
    settings.SCALEPOINT = {"PROXY_HOPS": hops}
    assert refusals.address_of(RequestFactory().post(PATH, HTTP_X_FORWARDED_FOR=forwarded)) == address


def test_a_cache_that_is_away_holds_nobody_back(world: World, settings: Settings) -> None:
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": cache}
    assert post(HTTP_AUTHORIZATION="Bearer wrong").status_code == 401
    assert post().status_code == 202


@pytest.mark.django_db(transaction=True)
def test_a_list_of_refusals_that_can_not_be_written_costs_no_answer() -> None:
    refused = Refused(401, errors.UNKNOWN_TOKEN, "wrong proof")
    refusals.note(refused, "i", None, "x", size=2**70)  # raises nothing
    assert Refusal.objects.count() == 0
    refusals.note(refused, "i", None, "x", size=None)
    assert Refusal.objects.count() == 1


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "x"}, 400),
        ({"CONTENT_LENGTH": "-5"}, 400),
        ({"CONTENT_LENGTH": "٣"}, 400),
        ({"CONTENT_LENGTH": "9"}, 400),
        ({"CONTENT_LENGTH": "4"}, None),
        # A server that says neither how long it is nor that it ends: nothing can be read safely.
        ({}, None),
    ],
)
def test_lengths_that_no_good_server_lets_through(environ: dict[str, str], status: int | None) -> None:
    request = {"wsgi.input": io.BytesIO(b"body"), **environ}
    if status is None:
        assert body.read_bytes(request, 100) == (b"body" if environ else b"")
    else:
        with pytest.raises(Refused) as refused:
            body.read_bytes(request, 100)
        assert refused.value.status == status


def test_a_stream_that_breaks_is_a_broken_body() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise RuntimeError("an error of the server's own")

    with pytest.raises(Refused) as refused:
        body.read_bytes({"wsgi.input": Broken(), "wsgi.input_terminated": True}, 100)
    assert (refused.value.status, refused.value.code) == (400, "SP-104")


def test_the_json_part_of_a_form_may_have_a_file_name(world: World) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="payload"; filename="event.json"\r\n\r\n'
    sent = part + json.dumps(assignment()).encode() + b"\r\n--b--\r\n"
    response = Client().post(
        PATH, sent, content_type="multipart/form-data; boundary=b", HTTP_AUTHORIZATION=f"Bearer {NORD_TOKEN}"
    )
    assert response.status_code == 202
    assert b'"content"' not in (InboundEvent.objects.get().content() or b"")


def test_a_host_with_login_required_everywhere_and_atomic_requests(world: World, settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    settings.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
    }
    assert Client().get(PATH).status_code == 200
    assert [post().status_code for _each in range(3)] == [202] * 3
    assert Client(enforce_csrf_checks=True).post(PATH, {}, content_type="application/json").status_code == 401


def test_without_encryption_a_site_in_production_takes_nothing(world: World, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^api/scalepoint/"]
    response = post()
    assert (response.status_code, response.json()["error"]["code"]) == (403, "SP-120")
    assert InboundEvent.objects.count() == 0
    sent = {"HTTP_AUTHORIZATION": f"Bearer {NORD_TOKEN}", "secure": True}
    assert Client().post(PATH, json.dumps(assignment()), content_type="application/json", **sent).status_code == 202


def test_an_unknown_sender_of_a_body_that_can_not_be_taken_is_counted(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"MAX_REFUSED_PER_MINUTE": 2}
    cache.clear()
    world.connection.allow_body_token = True
    world.connection.save()
    answers = [Client().post(PATH, "x", content_type="text/html").status_code for _each in range(4)]
    assert answers == [415, 415, 429, 429]
    assert set(Refusal.objects.values_list("body", "connection")) == {(None, None)}


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_answer_to_a_machine_is_in_english(world: World, settings: Settings, language: str) -> None:
    settings.LANGUAGE_CODE = language
    answer = post(HTTP_AUTHORIZATION="Bearer wrong", HTTP_ACCEPT_LANGUAGE=language).json()
    assert answer["error"]["message"] == "Unknown security token (ends with …)"
