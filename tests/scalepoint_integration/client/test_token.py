"""How we prove ourselves, and how seldom."""

import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.cache import cache
from django.db import connection as database
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from scalepoint_integration.client import token
from scalepoint_integration.client.keys import certificate_for_scalepoint, make_key
from scalepoint_integration.models import ClientKey, Connection
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.client.conftest import BEARER, CLIENT_ID, each_in_turn, give_tokens, json_response


def claims_of(request: Request, key: ClientKey) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(key.certificate.encode())
    audience = request.base_url
    found: dict[str, Any] = jwt.decode(
        request.form["client_assertion"],
        certificate.public_key(),
        ["RS256"],
        audience=audience,  # type: ignore[arg-type]
    )
    return found


def test_a_key_is_what_scalepoint_asks_for(connection: Connection) -> None:
    key = make_key(connection)
    der = base64.b64decode(certificate_for_scalepoint(key), validate=True)
    certificate = x509.load_der_x509_certificate(der)
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha256"
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)
    assert timedelta(days=2 * 365) < certificate.not_valid_after_utc - timezone.now() < timedelta(days=5 * 365)
    assert certificate.not_valid_before_utc < timezone.now()
    assert certificate.not_valid_after_utc == key.expires_at
    sha1 = hashlib.sha1(certificate.public_bytes(Encoding.DER)).digest()
    assert key.thumbprint == base64.urlsafe_b64encode(sha1).decode().rstrip("=")
    assert not key.registered
    with database.cursor() as cursor:
        cursor.execute("SELECT private_key FROM scalepoint_integration_clientkey")
        assert "PRIVATE KEY" not in cursor.fetchone()[0]


def test_the_assertion(connection: Connection, key: ClientKey, tokens: list[Request]) -> None:
    before = int(time.time())
    assert token.get(connection, "events") == BEARER
    cache.clear()
    token.get(connection, "platform-case:read")
    request = tokens[0]
    assert request.content_type == "application/x-www-form-urlencoded"
    assert {name: value for name, value in request.form.items() if name != "client_assertion"} == {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "scope": "events",
    }
    assert jwt.get_unverified_header(request.form["client_assertion"]) == {
        "typ": "JWT",
        "alg": "RS256",
        "x5t": key.thumbprint,
        "kid": key.thumbprint,
    }
    claims = claims_of(request, key)
    assert set(claims) == {"iss", "sub", "aud", "jti", "iat", "nbf", "exp"}
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert claims["aud"] == connection.token_url
    assert claims["iat"] == claims["nbf"]
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] == claims["iat"] + 60
    assert claims_of(tokens[1], key)["jti"] != claims["jti"]
    assert tokens[1].form["scope"] == "platform-case:read"


def test_the_newest_registered_key_that_is_valid(connection: Connection, key: ClientKey, tokens: list[Request]) -> None:
    newest, unknown, ended = (make_key(connection) for _each in range(3))
    ClientKey.objects.filter(pk__in=(newest.pk, ended.pk)).update(registered=True)
    ClientKey.objects.filter(pk=ended.pk).update(expires_at=timezone.now() - timedelta(days=1))
    token.get(connection, "events")
    claims_of(tokens[0], newest)
    assert unknown.thumbprint != newest.thumbprint


def test_a_client_secret(connection: Connection, httpserver: HTTPServer) -> None:
    seen = give_tokens(httpserver)
    make_key(connection)  # not known to Scalepoint
    connection.client_secret = "invented client secret"
    connection.save()
    token.get(connection, "events")
    assert dict(seen[0].form) == {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": "invented client secret",
        "scope": "events",
    }
    assert "Authorization" not in seen[0].headers


@pytest.mark.parametrize("gap", ["key", "client_id", "address"])
def test_nothing_to_log_in_with(connection: Connection, tokens: list[Request], gap: str) -> None:
    if gap == "key":
        ClientKey.objects.update(registered=False)
    elif gap == "client_id":
        connection.client_id = ""
    else:
        connection.token_url = "http://127.0.0.1:1/connect/token"
    with pytest.raises(PermanentError) as failure:
        token.get(connection, "events")
    assert failure.value.code == "SP-409"
    assert not tokens


def test_a_token_is_kept_and_encrypted(connection: Connection, tokens: list[Request]) -> None:
    assert [token.get(connection, "events") for _each in range(3)] == [BEARER] * 3
    assert token.get(connection, "platform-case:read") == BEARER + "2"
    assert token.get(connection, "events") == BEARER
    assert len(tokens) == 2
    stored = cache.get(token._name(connection, "events"))
    assert stored.startswith("f1:")
    assert BEARER not in stored
    connection.client_id = "another"
    assert token.get(connection, "events") == BEARER + "3"


@pytest.mark.parametrize(
    ("expires_in", "kept"),
    [(1800, 1740), ("1800", 1740), (1800.5, 1740), (100, 50), (2, 1), (10**11, 86340)]
    + [(each, None) for each in (1, 0, -5, "", "soon", None, True, "-1", [], "1e9")],
)
def test_how_long_it_is_kept(
    connection: Connection,
    key: ClientKey,
    httpserver: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    expires_in: Any,
    kept: int | None,
) -> None:
    times: list[int] = []
    monkeypatch.setattr(cache, "set", _noting(times), raising=False)
    seen = give_tokens(httpserver, expires_in=expires_in)
    token.get(connection, "events")
    assert times == ([] if kept is None else [kept])
    assert len(seen) == 1


def _noting(times: list[int]) -> Any:
    return lambda _name, _value, timeout: times.append(timeout)


def test_without_expires_in_every_call_fetches(connection: Connection, key: ClientKey, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/connect/token").respond_with_json({"access_token": BEARER})
    assert [token.get(connection, "events") for _each in range(2)] == [BEARER] * 2
    assert len(httpserver.log) == 2


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_fetch_one_token(connection: Connection, key: ClientKey, httpserver: HTTPServer) -> None:
    seen = []

    def slowly(request: Request) -> Response:
        seen.append(request)
        time.sleep(0.3)
        return json_response({"access_token": BEARER, "expires_in": 1800})

    httpserver.expect_request("/connect/token").respond_with_handler(slowly)
    start = threading.Barrier(50)

    def one(_number: int) -> str:
        start.wait()
        try:
            return token.get(connection, "events")
        finally:
            database.close()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(one, range(50))) == {BEARER}
    assert len(seen) == 1


@pytest.mark.django_db(transaction=True)
def test_another_process_is_waited_for(connection: Connection, tokens: list[Request]) -> None:
    """The note of another process stands in the cache; its token comes after a while."""
    name = token._name(connection, "events")
    cache.set(f"{name}:fetching", "another process", 10)
    threading.Timer(0.4, lambda: cache.set(name, token.encrypt("of the other"), 60)).start()
    assert token.get(connection, "events") == "of the other"
    assert not tokens
    assert cache.get(f"{name}:fetching") == "another process"


def test_another_process_is_not_waited_for_for_ever(
    connection: Connection, tokens: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "_WAIT_SECONDS", 1)
    cache.set(f"{token._name(connection, 'events')}:fetching", "a dead process", 60)
    assert token.get(connection, "events") == BEARER


def test_without_a_cache_it_works(connection: Connection, tokens: list[Request], settings: Settings) -> None:
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    assert token.get(connection, "events") == BEARER
    assert token.get(connection, "events") == BEARER + "2"


def test_only_the_token_that_was_refused_is_dropped(connection: Connection, tokens: list[Request]) -> None:
    token.get(connection, "events")
    token.drop(connection, "events", "an older one")
    assert token.get(connection, "events") == BEARER
    token.drop(connection, "events", BEARER)
    assert token.get(connection, "events") == BEARER + "2"


def test_a_token_of_other_keys_is_fetched_anew(connection: Connection, tokens: list[Request]) -> None:
    cache.set(token._name(connection, "events"), "f1:gAAAAAnot-ours", 60)
    assert token.get(connection, "events") == BEARER


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_login(connection: Connection, key: ClientKey, httpserver: HTTPServer, status: int) -> None:
    answer = json_response({"error": "invalid_client", "error_description": "secret echoed"}, status)
    httpserver.expect_request("/connect/token").respond_with_handler(each_in_turn(answer))
    with pytest.raises(PermanentError, match="invalid_client") as failure:
        token.get(connection, "events")
    assert failure.value.code == "SP-402"
    assert "echoed" not in str(failure.value)


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=500),
        Response(status=503, headers={"Retry-After": "90"}),
        Response(status=302, headers={"Location": "/elsewhere"}),
        Response(status=404),
        Response("<html>"),
        Response("{}"),
        Response('["access_token"]'),
        Response('{"access_token": 7}'),
        Response('{"access_token": ""}'),
        Response('{"access_token": "a\\r\\nX-Evil: 1"}'),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.get_data(as_text=True)}",
)
def test_whatever_else_is_tried_again(
    connection: Connection, key: ClientKey, httpserver: HTTPServer, answer: Response
) -> None:
    httpserver.expect_request("/connect/token").respond_with_handler(each_in_turn(answer))
    with pytest.raises(RetryableError) as failure:
        token.get(connection, "events")
    assert failure.value.code == "SP-401"
    assert failure.value.seconds == (90 if answer.status_code == 503 else None)
    assert len(httpserver.log) == 1


def test_a_key_is_read_from_its_pem_once(
    connection: Connection, key: ClientKey, tokens: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    load = token.load_pem_private_key
    monkeypatch.setattr(token, "load_pem_private_key", lambda pem, password: (read.append(1), load(pem, password))[1])
    for scope in "abc":
        token.get(connection, scope)
    assert (len(tokens), len(read)) == (3, 1)
