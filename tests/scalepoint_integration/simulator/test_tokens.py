"""Access tokens: given for what Scalepoint's own libraries send, and for nothing else."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization

from tests.scalepoint_integration.simulator.conftest import (
    CLIENT,
    assertion_form,
    bearer,
    call,
    claims,
    make_key,
    post_form,
    post_json,
    secret_form,
    sign,
)

FILES = "/ecx/host/api/integration/v1/file/submitForCase"
EVENTS = "/api/events/v1/dk/external/firm/receive"


def ask(server, form, **headers):
    return post_form(f"{server.url}/connect/token", form, **headers)


def refused(server, answer) -> str:
    assert (answer.status, answer.json) == (400, {"error": "invalid_client"})
    return server.scalepoint.received("token")[-1]["reason"]


def test_an_assertion_is_good_for_a_token(simulator, key):
    answer = ask(simulator, assertion_form(sign(key, claims(simulator))))
    assert answer.status == 200
    assert set(answer.json) == {"access_token", "token_type", "expires_in"}
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 1800)
    told = simulator.scalepoint.received("token")[-1]
    assert (told["client_id"], told["scope"], told["reason"]) == (CLIENT, "events", "")
    assert answer.json["access_token"] not in json.dumps(told)


def test_what_the_two_libraries_do_differently_is_all_good(simulator, key):
    url = f"{simulator.url}/connect/token"
    now = int(time.time())
    for said, head in (
        (claims(simulator, aud=[url], exp=now + 10), {"kid": key.x5t}),
        (claims(simulator, aud=url, exp=now + 60), {"kid": "ABCDEF0123"}),
        (claims(simulator), {}),
    ):
        assert ask(simulator, assertion_form(sign(key, said, **head))).status == 200
    form = assertion_form(sign(key, claims(simulator)))
    del form["scope"]
    assert ask(simulator, form).status == 200


WRONG_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"aud": "http://127.0.0.1:1/connect/token"}, "aud"),
    ({"aud": []}, "aud"),
    ({"aud": ["{url}", "http://another.example"]}, "aud"),
    ({"iss": "another"}, "unknown client"),
    ({"sub": "another"}, "sub is not iss"),
    ({"exp": -1}, "exp is past"),
    ({"exp": 3600}, "too far"),
    ({"iat": -3600, "exp": 3600}, "too far"),
    ({"iat": 60, "exp": 90}, "to come"),
    ({"nbf": 60, "exp": 90}, "to come"),
    ({"exp": "tomorrow"}, "no number"),
    ({"exp": True}, "no number"),
    ({"jti": " "}, "jti"),
    ({"jti": 7}, "jti"),
    *(({name: None}, "") for name in ("iss", "sub", "aud", "jti", "iat", "nbf", "exp")),
]


@pytest.mark.parametrize(("changes", "why"), WRONG_CLAIMS)
def test_a_wrong_claim_is_refused(simulator, key, changes, why):
    url, now = f"{simulator.url}/connect/token", int(time.time())

    def meant(value: Any) -> Any:
        if isinstance(value, list):
            return [each.format(url=url) for each in value]
        return now + value if type(value) is int and value != 7 else value

    said = claims(simulator, **{name: meant(value) for name, value in changes.items()})
    # PyJWT would not write an issuer or an id of another type: signed by hand.
    token = jwt.PyJWS().encode(json.dumps(said).encode(), key.private, "RS256", {"x5t": key.x5t})
    assert why in refused(simulator, ask(simulator, assertion_form(token)))


def test_a_wrong_signature_is_refused(simulator, key, other_key):
    public = key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    said = claims(simulator)
    head = part({"alg": "HS256", "typ": "JWT", "x5t": key.x5t})
    mac = hmac.digest(public, f"{head}.{part(said)}".encode(), "sha256")
    with_public_key = f"{head}.{part(said)}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    good = sign(key, said)
    first, _, last = good.split(".")
    pss = jwt.encode(said, key.private, "PS256", {"x5t": key.x5t})
    for assertion, why in (
        (jwt.encode(said, None, "none", {"x5t": key.x5t}), "alg 'none'"),
        (with_public_key, "alg 'HS256'"),
        (pss, "alg 'PS256'"),
        (jwt.encode(said, key.private, "RS512", {"x5t": key.x5t}), "alg 'RS512'"),
        (sign(key, said, typ="at+jwt"), "typ 'at+jwt'"),
        (sign(other_key, said), "no registered certificate"),
        (jwt.encode(said, other_key.private, "RS256", {"x5t": key.x5t}), "the signature"),
        (jwt.encode(said, key.private, "RS256"), "no registered certificate"),
        (sign(key, said, x5t=f"{key.x5t}="), "no registered certificate"),
        (f"{first}.{part(claims(simulator, jti='x'))}.{last}", "the signature"),
        (f"{first}..{last}", "not a JWT"),
        ("no jwt", "not a JWT"),
    ):
        assert why in refused(simulator, ask(simulator, assertion_form(assertion))), assertion
    assert ask(simulator, assertion_form(good)).status == 200, "none of these has used up its jti"


def test_an_assertion_is_good_once(simulator, key):
    form = assertion_form(sign(key, claims(simulator)))
    assert ask(simulator, form).status == 200
    assert refused(simulator, ask(simulator, form)) == "jti was seen before"


def test_a_wrong_form_is_refused(simulator, key):
    def form(**changes: str) -> dict[str, str]:
        made = assertion_form(sign(key, claims(simulator))) | changes
        return {name: value for name, value in made.items() if value != "-"}

    for wrong, why in (
        (form(client_id=CLIENT), "the fields are"),
        (form(client_secret="x"), "the fields are"),
        (form(resource="x"), "the fields are"),
        (form(client_assertion_type="-"), "the fields are"),
        (form(client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), "another"),
        (form(grant_type="password"), "grant_type"),
        (form(grant_type="-"), "the fields are"),
        (form(scope="everything"), "a scope"),
        (form(scope=""), "a scope"),
        (form(scope="events  case:delete"), "a scope"),
        ([*form().items(), ("scope", "case:delete")], "twice"),
        (secret_form(secret="wrong"), "another secret"),
        (secret_form() | {"client_id": "nobody"}, "unknown client"),
    ):
        assert why in refused(simulator, ask(simulator, wrong))
    as_json = post_json(f"{simulator.url}/connect/token", form())
    assert "Content-Type" in refused(simulator, as_json)
    basic = ask(simulator, secret_form(), Authorization="Basic Zmlybjp4")
    assert "Authorization" in refused(simulator, basic)


def test_the_lifetime_can_be_set_and_is_kept(simulator):
    simulator.scalepoint.behave(token_lifetime=0.3, expires_in_text=True, hold=0.01)
    answer = ask(simulator, secret_form())
    assert answer.json["expires_in"] == "0.3"
    proof = f"Bearer {answer.json['access_token']}"
    assert call(simulator.url + EVENTS, Authorization=proof).status == 200
    time.sleep(0.35)
    assert call(simulator.url + EVENTS, Authorization=proof).status == 401
    assert simulator.scalepoint.received("receive")[-1]["reason"] == "the token has expired"
    simulator.scalepoint.behave(token_lifetime=3600)
    assert ask(simulator, secret_form()).json["expires_in"] == "3600"


def test_a_token_is_checked(simulator):
    simulator.scalepoint.behave(hold=0.01)
    good = bearer(simulator)
    wrong = (
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        good.lower(),
        good.replace(" ", "  "),
        f"{good} ",
        f"Basic {good[7:]}",
    )
    # http.client and the server both strip spaces at the end of a header.
    for proof in (each for each in wrong if each != f"{good} "):
        answer = call(simulator.url + EVENTS, **({"Authorization": proof} if proof else {}))
        assert answer.status == 401, proof
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert call(simulator.url + EVENTS, Authorization=good).status == 200
    assert post_json(simulator.url + FILES, {}, Authorization=good).status == 403
    assert simulator.scalepoint.revoke_tokens() == 1
    assert call(simulator.url + EVENTS, Authorization=good).status == 401


def test_several_certificates_at_once(simulator, key, other_key):
    simulator.scalepoint.register_client(CLIENT, [key.certificate, other_key.certificate])
    for each in (key, other_key):
        assert ask(simulator, assertion_form(sign(each, claims(simulator)))).status == 200
    simulator.scalepoint.register_client(CLIENT, [other_key.certificate], scopes=["events"])
    assert ask(simulator, assertion_form(sign(key, claims(simulator)))).status == 400
    wide = assertion_form(sign(other_key, claims(simulator)), "case:delete")
    assert ask(simulator, wide).status == 400


def test_the_audience_behind_a_proxy(simulator, key):
    simulator.scalepoint.behave(token_url="https://accounts.example/connect/token")
    assert ask(simulator, assertion_form(sign(key, claims(simulator)))).status == 400
    said = claims(simulator, aud="https://accounts.example/connect/token")
    assert ask(simulator, assertion_form(sign(key, said))).status == 200


def test_certificates_that_scalepoint_would_not_take(simulator):
    for text, why in (
        ("no base64 !", "not the base64"),
        (base64.b64encode(b"no certificate").decode(), "not the base64"),
        (make_key(3072).certificate, "2048"),
        (make_key(algorithm=hashes.SHA512()).certificate, "SHA-256"),
    ):
        with pytest.raises(ValueError, match=why):
            simulator.scalepoint.register_client("x", [text])
    with pytest.raises(ValueError, match="certificate or a secret"):
        simulator.scalepoint.register_client("x")
