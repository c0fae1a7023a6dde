"""The access token for a connection and a scope: cached, encrypted, and fetched once however many ask at once.

We prove ourselves with an assertion that is signed with a registered key (private_key_jwt), or with a client secret
where Scalepoint gave one. Built as Scalepoint's own libraries build it; the client id is not posted beside it.
"""

import hashlib
import logging
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.cache import cache
from django.db.models.functions import Now

from crm.encryption import SecretUnreadable, decrypt, encrypt
from scalepoint_integration import errors
from scalepoint_integration.client.addresses import addresses_of
from scalepoint_integration.client.web import NoAnswer, Reply, ask
from scalepoint_integration.models import ClientKey, Connection
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.workqueue import PermanentError, RetryableError

logger = logging.getLogger(__name__)

_ASSERTION_SECONDS = 60
_MARGIN_SECONDS = 60.0
_MAX_SECONDS = 24 * 3600.0
# How long others wait for the one who fetches, before they fetch for themselves.
_WAIT_SECONDS = 15.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")

_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()
# Reading a key from its PEM takes a hundred times as long as signing with it.
_loaded: dict[str, Any] = {}


def get(connection: Connection, scope: str) -> str:
    """Raises PermanentError SP-402 where Scalepoint refuses our login, SP-409 where there is nothing to log in with,
    RetryableError where it does not answer."""
    name = _name(connection, scope)
    if found := _cached(name):
        return found
    with _alone(name):
        if found := _cached(name):
            return found
        fresh, lifetime = _fetch(connection, scope)
        keep = lifetime - min(_MARGIN_SECONDS, lifetime / 2)
        if keep >= 1:
            with suppress(Exception):  # without a cache every call fetches a token of its own, and works
                cache.set(name, encrypt(fresh), timeout=int(keep))
        return fresh


def drop(connection: Connection, scope: str, refused: str) -> None:
    """Forget a token that was refused; not the one that somebody else has fetched since."""
    name = _name(connection, scope)
    if _cached(name) == refused:
        with suppress(Exception):
            cache.delete(name)


def _name(connection: Connection, scope: str) -> str:
    # Whatever changes who we are or where we log in also changes the name: no old token survives a correction.
    facts = "\n".join((scope, connection.client_id, addresses_of(connection).token))
    return f"scalepoint:access:{connection.pk}:{hashlib.sha256(facts.encode()).hexdigest()}"


def _cached(name: str) -> str:
    try:
        stored = cache.get(name)
        return decrypt(stored) if isinstance(stored, str) else ""
    except SecretUnreadable:
        return ""
    except Exception as error:
        logger.warning("The cache does not answer, an access token is fetched anew: %s", type(error).__name__)
        return ""


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One at a time: in this process by a lock, among processes by a note in the cache. Both are given up after a
    while, and a cache that is away counts as free: two tokens are better than none."""
    with _locks_lock:
        lock = _locks.setdefault(name, threading.Lock())
    mine = lock.acquire(timeout=_WAIT_SECONDS)
    note, me = f"{name}:fetching", uuid.uuid4().hex
    try:
        with suppress(Exception):
            end = time.monotonic() + _WAIT_SECONDS
            while not cache.add(note, me, timeout=int(_WAIT_SECONDS)) and not _cached(name):
                if time.monotonic() > end:
                    break
                time.sleep(0.05)
        yield
    finally:
        with suppress(Exception):
            if cache.get(note) == me:
                cache.delete(note)
        if mine:
            lock.release()


def _fetch(connection: Connection, scope: str) -> tuple[str, float]:
    """A new access token, and for how many seconds it is good (0: unknown)."""
    url = addresses_of(connection).token
    form = {"grant_type": "client_credentials", **_proof(connection, url), "scope": scope}
    try:
        reply = ask("POST", url, headers={"Accept": "application/json"}, data=form)
    except NoAnswer as error:
        # Silence means "no news" to a poll; here it means that there is no token.
        raise RetryableError(str(error), error=errors.SCALEPOINT_AWAY) from error
    if reply.status in (400, 401):
        raise PermanentError(errors.LOGIN_REFUSED, f"{reply.host} answered {reply.status}{_reason(reply)}")
    if reply.status != 200:
        raise RetryableError(f"{reply.host} answered {reply.status}", reply.retry_after, error=errors.SCALEPOINT_AWAY)
    answer = _document(reply)
    token = answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise RetryableError(f"{reply.host} gave no access token", error=errors.SCALEPOINT_AWAY)
    return token, _lifetime(answer.get("expires_in"))


def _proof(connection: Connection, audience: str) -> dict[str, str]:
    if not connection.client_id:
        raise PermanentError(errors.NOT_READY, "no client id")
    keys = ClientKey.objects.filter(connection=connection, registered=True, expires_at__gt=Now())
    key = keys.order_by("-created_at", "-pk").first()
    try:
        if key:
            return {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion(connection.client_id, audience, key),
            }
        if connection.client_secret:
            return {"client_id": connection.client_id, "client_secret": connection.client_secret}
    except SecretUnreadable:
        raise PermanentError(errors.NOT_READY, "the key or the client secret can't be read") from None
    raise PermanentError(errors.NOT_READY, "no key that Scalepoint knows, and no client secret")


def assertion(client_id: str, audience: str, key: ClientKey) -> str:
    """The signed statement of who we are. Good for one use within a minute."""
    if key.thumbprint not in _loaded:
        if len(_loaded) > 50:
            _loaded.clear()
        _loaded[key.thumbprint] = load_pem_private_key(key.private_key.encode(), password=None)
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + _ASSERTION_SECONDS,
    }
    headers = {"x5t": key.thumbprint, "kid": key.thumbprint}
    return jwt.encode(claims, _loaded[key.thumbprint], algorithm="RS256", headers=headers)


def _document(reply: Reply) -> dict[str, Any]:
    try:
        document = strict_json.parse(reply.body)
    except strict_json.BadJson:
        document = None
    return document if isinstance(document, dict) else {}


def _reason(reply: Reply) -> str:
    """The error's name, if it is one: any other text could repeat what we posted."""
    name = _document(reply).get("error")
    return f" {name}" if isinstance(name, str) and re.fullmatch(r"[a-z_]{1,40}", name) else ""


def _lifetime(value: Any) -> float:
    """A number, or a number as text; some servers give the one, some the other."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,12}(\.[0-9]{1,12})?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value <= 0:
        return 0.0
    return min(float(value), _MAX_SECONDS)
