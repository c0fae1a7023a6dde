"""``POST /connect/token``: client_credentials, proven by private_key_jwt or by a secret.

What is checked is what Scalepoint's own client libraries send. Whatever is wrong is answered 400 invalid_client, and
``received("token")`` says why.
"""

import secrets
import time
from hmac import compare_digest
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import jwt

from scalepoint_integration.simulator.api import Answer, Call, Refused, is_number, is_text
from scalepoint_integration.simulator.state import Client, Token

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_WITH_ASSERTION = {"grant_type", "client_assertion_type", "client_assertion"}
_WITH_SECRET = {"grant_type", "client_id", "client_secret"}
_CLAIMS = ("iss", "sub", "aud", "jti", "iat", "nbf", "exp")
# How far another clock may be ahead. None is granted for the end: an assertion lives seconds.
_SKEW = 5.0


def give_token(call: Call) -> Answer:
    form = _form(call)
    if form["grant_type"] != "client_credentials":
        _refuse(f"grant_type is {form['grant_type']!r}")
    client = _by_assertion(call, form) if "client_assertion" in form else _by_secret(call, form)
    scopes = frozenset(form["scope"].split(" ")) if "scope" in form else client.scopes
    call.told |= {"client_id": client.client_id, "scope": form.get("scope", "")}
    if not scopes <= client.scopes:
        _refuse("a scope that the client does not have")
    state, value = call.state, secrets.token_urlsafe(32)
    lifetime = state.behaviour.token_lifetime
    with state.changing():
        state.tokens[value] = Token(client.client_id, scopes, time.time() + lifetime)
    seconds = int(lifetime) if lifetime == int(lifetime) else lifetime
    expires_in = str(seconds) if state.behaviour.expires_in_text else seconds
    return Answer(200, {"access_token": value, "token_type": "Bearer", "expires_in": expires_in})


def _form(call: Call) -> dict[str, str]:
    if call.kind() != "application/x-www-form-urlencoded":
        _refuse("Content-Type is not application/x-www-form-urlencoded")
    if call.header("Authorization"):
        _refuse("an Authorization header: the proof belongs into the form")
    try:
        pairs = parse_qsl(call.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        _refuse("not a form")
    form = dict(pairs)
    if len(form) < len(pairs):
        _refuse("a field comes twice")
    if set(form) - {"scope"} not in (_WITH_ASSERTION, _WITH_SECRET):
        _refuse(f"the fields are {', '.join(sorted(form))}")
    return form


def _by_secret(call: Call, form: dict[str, str]) -> Client:
    client = call.state.clients.get(form["client_id"])
    if not client or not client.secret:
        _refuse("an unknown client, or one without a secret")
    if not compare_digest(client.secret.encode(), form["client_secret"].encode()):
        _refuse("another secret")
    return client


def _by_assertion(call: Call, form: dict[str, str]) -> Client:
    if form["client_assertion_type"] != ASSERTION_TYPE:
        _refuse("another client_assertion_type")
    assertion = form["client_assertion"]
    try:
        head = jwt.get_unverified_header(assertion)
        said = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        _refuse(f"not a JWT: {error}")
    call.told["claims"] = said
    if (head.get("alg"), head.get("typ")) != ("RS256", "JWT"):
        _refuse(f"alg {head.get('alg')!r}, typ {head.get('typ')!r}")
    client = call.state.clients.get(str(said.get("iss")))
    if not client:
        _refuse("an unknown client")
    # kid is not looked at: Scalepoint's two libraries write it in different ways.
    key = client.keys.get(str(head.get("x5t")))
    if not key:
        _refuse("x5t is of no registered certificate")
    try:
        # The signature alone; the claims are checked below, where PyJWT would be more generous.
        jwt.PyJWS().decode(assertion, key, algorithms=["RS256"])
    except jwt.InvalidTokenError as error:
        _refuse(f"the signature: {error}")
    _check_claims(call, client, said)
    return client


def _check_claims(call: Call, client: Client, said: dict[str, Any]) -> None:
    state, now = call.state, time.time()
    missing = [name for name in _CLAIMS if name not in said]
    if missing:
        _refuse(f"without {', '.join(missing)}")
    if said["sub"] != client.client_id:
        _refuse("sub is not iss")
    if said["aud"] not in (state.token_url, [state.token_url]):
        _refuse("aud is not the token address")
    if not all(is_number(said[name]) for name in ("iat", "nbf", "exp")):
        _refuse("a time that is no number")
    if said["exp"] <= now:
        _refuse("exp is past")
    if max(said["iat"], said["nbf"]) > now + _SKEW:
        _refuse("iat or nbf is to come")
    longest = state.behaviour.assertion_seconds
    if said["exp"] - said["iat"] > longest or said["exp"] > now + longest + _SKEW:
        _refuse("exp is too far away")
    if not is_text(said["jti"]):
        _refuse("jti is not a text")
    with state.changing():
        # Past their end they are refused anyway.
        state.assertions = {name: end for name, end in state.assertions.items() if end > now}
        if (client.client_id, said["jti"]) in state.assertions:
            _refuse("jti was seen before")
        state.assertions[client.client_id, said["jti"]] = said["exp"]


def _refuse(reason: str) -> NoReturn:
    raise Refused(400, reason, {"error": "invalid_client"})
