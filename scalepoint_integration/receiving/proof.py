"""Who may post. One statement looks up the contract and whatever the proof could belong to; no proof is cached, so a
token that was switched off is refused from the next request on.

Everything that was presented is digested with our key before it is compared, so that comparing takes the same time
whatever it was, and a wrong token costs the same as a contract that does not exist.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection as database
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from crm.encryption import digests
from crm.masks import last4
from crm.models import SecurityToken
from scalepoint_integration import errors
from scalepoint_integration.errors import Error
from scalepoint_integration.models import Connection
from scalepoint_integration.receiving import issued
from scalepoint_integration.receiving.refusals import Refused

_LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(slots=True)
class Sender:
    """Who sent a request. ``insurer_id`` is None where the connection's own secret was the proof. ``token_id`` and
    ``digest`` are of the proof itself, for an access token that is bound to it."""

    connection_id: int
    insurer_id: int | None = None
    secret: str = field(default="", repr=False)
    token_id: int | None = None
    digest: str = field(default="", repr=False)
    # What lies behind Django's idea of a user, so that throttles and permissions of DRF find one.
    is_authenticated: bool = True

    @property
    def pk(self) -> str:
        return f"scalepoint-{self.connection_id}"


@dataclass(slots=True)
class _Claimed:
    """Something presented as proof."""

    secret: str = field(repr=False)
    kind: str  # bearer, issued, basic, body or client
    user_name: str = ""

    @property
    def token_id(self) -> int | None:
        """The row that an access token of ours says it was issued for; 0: the connection's own secret."""
        return issued.issued_for(self.secret) if self.kind == "issued" else None


class Unproven(Refused):
    """401, 403 or 404, with what may be kept of the proof."""

    def __init__(
        self, status: int, error: Error, detail: str, connection_id: int | None = None, last4: str = ""
    ) -> None:
        super().__init__(status, error, detail)
        self.connection_id, self.last4 = connection_id, last4


class HeaderProof(BaseAuthentication):
    """DRF's authentication, by the Authorization header. Raises Unproven; what follows from that is the view's."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        claimed = _from_header(request.META.get("HTTP_AUTHORIZATION", ""))
        return _prove(request.parser_context["kwargs"]["contract_number"], [claimed] if claimed else []), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def prove_by_body(contract_number: str, tokens: Iterable[str], unproven: Unproven) -> Sender:
    """The sender by a token in the body. Raises Unproven: the one that is given, where there is no token."""
    claims = [_Claimed(token, "body") for token in dict.fromkeys(tokens) if token][:3]
    if not claims:
        raise unproven
    return _prove(contract_number, claims)


def prove_client(contract_number: str, pairs: Iterable[tuple[str, str]]) -> Sender:
    """The sender by client id and client secret, at the token address. Raises Unproven."""
    claims = [_Claimed(secret, "client", name) for name, secret in dict.fromkeys(pairs) if name and secret][:3]
    return _prove(contract_number, claims)


def body_proof_allowed(contract_number: str) -> bool:
    """Whether the body is worth reading for a proof."""
    return Connection.objects.filter(contract_number=contract_number, allow_body_token=True).exists()


def basic_pair(header: str) -> tuple[str, str] | None:
    """User name and secret of HTTP Basic; None for another scheme, and for what is not readable."""
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return name, secret


def _from_header(header: str) -> _Claimed | None:
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return _Claimed(value, "bearer" if issued.issued_for(value) is None else "issued")
    if scheme.lower() == "basic":
        user_name, secret = basic_pair(header) or ("", "")
        return _Claimed(secret, "basic", user_name)
    return _Claimed("", "unknown") if header.strip() else None


def _prove(contract_number: str, claims: list[_Claimed]) -> Sender:
    presented = [digest for claim in claims for digest in (digests(claim.secret) if claim.secret else [])]
    row = _look_up(contract_number, presented, next((claim.token_id for claim in claims), None))
    kept = last4(claims[0].secret) if claims else ""
    if row is None:
        raise Unproven(404, errors.UNKNOWN_CONNECTION, "no such contract", None, kept)
    refused = Unproven(401, errors.UNKNOWN_TOKEN, "no proof" if not claims else "wrong proof", row.connection_id, kept)
    for claim in claims:
        if not claim.secret or not row.allows(claim, contract_number):
            continue
        if _proves(claim, row.secret_digest, row, for_token=False):
            return _switched_on(row, Sender(row.connection_id, None, claim.secret, None, row.secret_digest))
        if row.token_id is not None and _proves(claim, row.token_digest, row, for_token=True):
            if not row.token_live:
                raise Unproven(401, errors.TOKEN_EXPIRED, "expired or switched off", row.connection_id, kept)
            if row.token_unused_lately:
                SecurityToken.objects.filter(pk=row.token_id).update(last_used_at=timezone.now())
            proof = (row.token_id, row.token_digest or "")
            return _switched_on(row, Sender(row.connection_id, row.company_id, claim.secret, *proof))
    raise refused


def _proves(claim: _Claimed, digest: str | None, row: "_Row", for_token: bool) -> bool:
    """Whether it is the secret with that digest, or an access token that was issued for that secret."""
    if claim.kind != "issued":
        return any(_equal(digest, each) for each in digests(claim.secret))
    if not digest or for_token != bool(claim.token_id):
        return False
    try:
        return issued.is_ours(claim.secret, row.connection_id, digest)
    except issued.Ended:
        raise Unproven(
            401, errors.ACCESS_TOKEN_EXPIRED, "issued token has ended", row.connection_id, last4(claim.secret)
        ) from None


def _switched_on(row: "_Row", sender: Sender) -> Sender:
    if row.switch == Connection.Switch.OFF:
        # Only a sender that has proved itself learns that there is something to be switched on.
        raise Unproven(403, errors.CONNECTION_OFF, "switched off", row.connection_id, last4(sender.secret))
    return sender


@dataclass(slots=True)
class _Row:
    connection_id: int
    switch: str
    user_name: str
    secret_digest: str
    allow_bearer: bool
    allow_basic: bool
    allow_body_token: bool
    allow_issued_token: bool
    token_id: int | None
    token_digest: str | None
    company_id: int | None
    token_live: bool
    token_unused_lately: bool

    def allows(self, claim: _Claimed, contract_number: str) -> bool:
        if claim.kind == "client":
            names = (self.user_name, contract_number)
            return self.allow_issued_token and any(_equal(name, claim.user_name) for name in names)
        if claim.kind == "basic":
            return bool(self.allow_basic and self.user_name and _equal(claim.user_name, self.user_name))
        ways = {"bearer": self.allow_bearer, "body": self.allow_body_token, "issued": self.allow_issued_token}
        return bool(ways.get(claim.kind))


_LOOK_UP = """
SELECT c.id, c.switch, c.user_name, c.secret_digest, c.allow_bearer, c.allow_basic, c.allow_body_token,
       c.allow_issued_token,
       t.id, t.digest, t.company_id,
       CASE WHEN t.valid_from <= %s AND (t.expires_at IS NULL OR t.expires_at > %s) THEN 1 ELSE 0 END,
       CASE WHEN t.last_used_at IS NULL OR t.last_used_at < %s THEN 1 ELSE 0 END
FROM {connection} c
LEFT JOIN {token} t ON {which}
WHERE c.contract_number = %s
"""


def _look_up(contract_number: str, presented: list[str], token_id: int | None = None) -> _Row | None:
    """``token_id``: of the row that an access token was issued for; it is not found by its digest."""
    # By hand: through the ORM this query alone costs as much as the whole rest of the request.
    now = timezone.now()
    times = [database.ops.adapt_datetimefield_value(each) for each in (now, now, now - _LAST_USED_EVERY)]
    statement = _LOOK_UP.format(
        connection=Connection._meta.db_table,
        token=SecurityToken._meta.db_table,
        which="t.id = %s" if token_id is not None else f"t.digest IN ({', '.join(['%s'] * max(len(presented), 1))})",
    )
    sought: list[Any] = (presented or [""]) if token_id is None else [token_id]
    with database.cursor() as cursor:
        # NUL can't be stored, so it can't be part of a number either.
        cursor.execute(statement, [*times, *sought, contract_number.replace("\0", "\ufffd")])
        rows = [_Row(*values) for values in cursor.fetchall()]
    return rows[0] if rows else None


def _equal(one: str | None, other: str) -> bool:
    """In constant time, and for any text: compare_digest raises on non-ASCII strings."""
    if not one:
        return False
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
