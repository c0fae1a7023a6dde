"""The token address over real sockets: who gets an access token, and how long it is worth something."""

import base64
import http.client
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.core.cache import cache
from django.core.signing import TimestampSigner
from django.utils import timezone

from crm.models import SecurityToken
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Connection, InboundEvent, Refusal
from scalepoint_integration.receiving import issued
from tests.support.live import PATH, Site
from tests.support.world import CONTRACT, NORD_TOKEN, SECRET, SYD_TOKEN, World, assignment

TOKEN_PATH = PATH + "token"
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}
PROOF = {"client_id": "invented-user", "client_secret": NORD_TOKEN}


def ask(
    web: Site, form: Any, path: str = TOKEN_PATH, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=15)
    try:
        link.request(method, path, body, {"Content-Type": FORM, **headers})
        answer = link.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}, answer.headers
    finally:
        link.close()


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def token(web: Site, **form: str) -> str:
    status, answer, _headers = ask(web, {**GRANT, **PROOF, **form})
    assert status == 200, answer
    return str(answer["access_token"])


def test_a_token_is_given_and_opens_the_door(web: Site, served: World) -> None:
    status, answer, headers = ask(web, {**GRANT, **PROOF})
    assert status == 200
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert headers["Cache-Control"] == "no-store"
    assert headers["Pragma"] == "no-cache"
    assert headers["Content-Type"] == "application/json"
    assert NORD_TOKEN not in answer["access_token"]
    assert web.post(assignment(), token=answer["access_token"])[0] == 202
    assert InboundEvent.objects.get().insurer == served.nord


@pytest.mark.parametrize(
    ("form", "authorization", "insurer"),
    [
        (PROOF, "", "nordins"),
        ({**PROOF, "client_id": CONTRACT}, "", "nordins"),
        ({**PROOF, "client_secret": SYD_TOKEN, "scope": "events", "resource": "x"}, "", "sydins"),
        ({**PROOF, "client_secret": SECRET}, "", None),
        ({}, basic("invented-user", NORD_TOKEN), "nordins"),
        ({}, basic(CONTRACT, SECRET), None),
        ({}, basic(quote("invented-user").replace("-", "%2D"), NORD_TOKEN.replace("-", "%2D")), "nordins"),
        ({"client_id": "invented-user"}, basic("invented-user", SYD_TOKEN), "sydins"),
    ],
)
def test_each_way_of_proof(
    web: Site, served: World, form: dict[str, str], authorization: str, insurer: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for path in (TOKEN_PATH, TOKEN_PATH + "/"):
        status, answer, _headers = ask(web, {**GRANT, **form}, path, **headers)
        assert status == 200, answer
    assert web.post(assignment(), token=answer["access_token"])[0] == 202
    event = InboundEvent.objects.get()
    assert (event.insurer.alias if event.insurer else None) == insurer


@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        ({}, ""),
        ({"client_id": "invented-user"}, ""),
        ({"client_id": "invented-user", "client_secret": ""}, ""),
        ({"client_secret": NORD_TOKEN}, ""),
        ({"client_id": "somebody", "client_secret": NORD_TOKEN}, ""),
        ({"client_id": "invented-user", "client_secret": NORD_TOKEN[:-1]}, ""),
        ({"client_id": "ø", "client_secret": "\ud7ff"}, ""),
        ({}, f"Bearer {NORD_TOKEN}"),
        ({}, basic("invented-user", "wrong")),
        ({}, basic("", NORD_TOKEN)),
        ({}, "Basic /////w=="),
    ],
)
def test_who_proves_nothing_gets_nothing(web: Site, served: World, form: dict[str, str], authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    status, answer, got = ask(web, {**GRANT, **form}, **headers)
    assert (status, answer["error"]) == (401, "invalid_client")
    assert got["WWW-Authenticate"].startswith("Basic")
    assert got["Cache-Control"] == "no-store"
    refusal = Refusal.objects.get()
    assert (refusal.http_status, refusal.code, refusal.body) == (401, "SP-101", None)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({**PROOF, "grant_type": "password"}, "unsupported_grant_type"),
        ({**PROOF, "grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({**PROOF, "grant_type": ""}, "unsupported_grant_type"),
        (PROOF, "invalid_request"),
        ([*PROOF.items(), *GRANT.items(), *GRANT.items()], "invalid_request"),
    ],
)
def test_another_grant_is_refused_by_name(web: Site, served: World, form: Any, error: str) -> None:
    status, answer, _headers = ask(web, form)
    assert (status, answer["error"]) == (400, error)
    # Known who it was; but the body holds the secret, so it is not kept.
    assert Refusal.objects.get().body is None


def test_json_is_no_form(web: Site, served: World) -> None:
    status, answer, _headers = ask(web, json.dumps({**GRANT, **PROOF}).encode(), **{"Content-Type": "application/json"})
    assert (status, answer["error"]) == (401, "invalid_client")
    headers = {"Content-Type": "application/json", "Authorization": basic("invented-user", NORD_TOKEN)}
    status, answer, _headers = ask(web, json.dumps(GRANT).encode(), **headers)
    assert (status, answer["error"]) == (400, "invalid_request")


def test_the_rest_is_as_at_the_other_address(web: Site, served: World) -> None:
    for method in ("GET", "HEAD"):
        status, answer, _headers = ask(web, b"", method=method)
        assert (status, answer) == (200, {})
    assert ask(web, {}, method="PUT")[0] == 405
    status, answer, _headers = ask(web, {**GRANT, **PROOF}, path="/api/scalepoint/v1/9999/token")
    assert (status, answer["error"]["code"]) == (404, "SP-117")
    assert ask(web, b"a" * 70_000)[0] == 413
    served.connection.switch = "off"
    served.connection.save()
    status, answer, _headers = ask(web, {**GRANT, **PROOF})
    assert (status, answer["error"]["code"]) == (403, "SP-103")


def test_too_many_refused_tries(web: Site, served: World) -> None:
    cache.set(f"scalepoint:refused:{CONTRACT!a}:127.0.0.1", conf().max_refused_per_minute, 60)
    status, _answer, headers = ask(web, GRANT)
    assert (status, headers["Retry-After"]) == (429, "60")
    assert ask(web, {**GRANT, **PROOF})[0] == 200


# ---- How long it is worth something ---------------------------------------------------------------------------------


def refused(web: Site, value: str, code: str = "SP-101", status: int = 401) -> None:
    got, answer = web.post(assignment(), token=value)
    assert (got, answer["error"]["code"]) == (status, code)
    assert not InboundEvent.objects.exists()


def test_a_token_ends_after_an_hour(web: Site, served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = SecurityToken.objects.get(company=served.nord)
    monkeypatch.setattr(TimestampSigner, "timestamp", lambda _self: _encoded(-3700))
    old = issued.issue(served.connection.pk, row.pk, row.digest)
    monkeypatch.setattr(TimestampSigner, "timestamp", lambda _self: _encoded(-3400))
    good = issued.issue(served.connection.pk, row.pk, row.digest)
    refused(web, old, "SP-130")
    assert web.post(assignment(), token=good)[0] == 202


def _encoded(seconds: int) -> str:
    from django.core.signing import b62_encode

    return b62_encode(int(timezone.now().timestamp()) + seconds)


def test_a_token_that_somebody_changed(web: Site, served: World) -> None:
    good = token(web)
    syd = SecurityToken.objects.get(company=served.syd)
    prefix, number, when, signature = good.split(".")
    assert number == str(SecurityToken.objects.get(company=served.nord).pk)
    for parts in (
        (prefix, str(syd.pk), when, signature),
        (prefix, "0", when, signature),
        (prefix, "999999999999999999", when, signature),
        (prefix, "0" + number, when, signature),
        (prefix, number, when[:-1] + ("a" if when[-1] != "a" else "b"), signature),
        (prefix, number, when, signature[:-1] + ("a" if signature[-1] != "a" else "b")),
        (prefix, number, when, signature.swapcase()),
    ):
        refused(web, ".".join(parts))
    other = issued._signer(served.connection.pk, "another digest").sign(number)
    refused(web, f"sp1.{other}")
    assert web.post(assignment(), token=good)[0] == 202


@pytest.mark.parametrize("secret", [NORD_TOKEN, SECRET])
def test_a_token_of_another_contract(web: Site, served: World, secret: str) -> None:
    Connection.objects.create(contract_number="4711", switch="on", user_name="invented-user", secret=SECRET)
    mine = token(web, client_secret=secret)
    path = "/api/scalepoint/v1/4711/"
    assert web.post(assignment(), token=mine, path=path)[0] == 401
    _status, answer, _headers = ask(web, {**GRANT, **PROOF, "client_secret": secret}, path + "token")
    refused(web, answer["access_token"])
    assert web.post(assignment(), token=answer["access_token"], path=path)[0] == 202


def test_it_ends_with_the_security_token(web: Site, served: World) -> None:
    rows = SecurityToken.objects.filter(company=served.nord)
    mine = token(web)
    rows.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(web, mine, "SP-102")
    rows.update(expires_at=None)
    row = rows.get()
    row.token = "another-invented-token-0003"
    row.save()
    refused(web, mine)
    row.delete()
    refused(web, mine)
    assert ask(web, {**GRANT, **PROOF})[0] == 401


def test_it_ends_with_the_secret_and_the_switches(web: Site, served: World) -> None:
    mine = token(web, client_secret=SECRET)
    for field, value, status, code in (
        ("switch", "off", 403, "SP-103"),
        ("allow_issued_token", False, 401, "SP-101"),
        ("secret", "another-invented-secret", 401, "SP-101"),
        ("secret", "", 401, "SP-101"),
    ):
        connection = Connection.objects.get(pk=served.connection.pk)
        before = getattr(connection, field)
        setattr(connection, field, value)
        connection.save()
        refused(web, mine, code, status)
        setattr(connection, field, before)
        connection.save()
    # The other switch is for security tokens.
    Connection.objects.update(allow_bearer=False)
    assert web.post(assignment(), token=mine)[0] == 202
    Connection.objects.update(allow_issued_token=False)
    assert ask(web, {**GRANT, **PROOF})[0] == 401
