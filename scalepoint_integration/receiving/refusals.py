"""Saying no: the answer, and the bounded list where the office can see it."""

import logging
from secrets import token_hex

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.utils import translation

from crm.encryption import encrypt_bytes
from crm.masks import redact_body
from scalepoint_integration.conf import conf
from scalepoint_integration.errors import Error, describe
from scalepoint_integration.models import Refusal

logger = logging.getLogger(__name__)

_KEPT_BODY_BYTES = 64 * 1024


class Refused(Exception):
    """An answer that is not 202. ``detail`` is technical, for us alone, and never holds what was sent."""

    def __init__(self, status: int, error: Error, detail: str = "", size: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.size = status, error.code, detail, size


def too_many(contract_number: str, address: str) -> bool:
    """Count a refused try; whether it was one too many. A cache that is away counts nothing: better a few answers
    more than a sender locked out."""
    key = f"scalepoint:refused:{contract_number[:50]!a}:{address}".replace(" ", "_")
    try:
        cache.add(key, 0, timeout=60)
        return int(cache.incr(key)) > conf().max_refused_per_minute
    except Exception:
        return False


def answer(refused: Refused, incident: str) -> JsonResponse:
    """The answer's shape is the wire contract's. In English: the reader is a developer at the sender's."""
    with translation.override("en"):
        problem = describe(refused.code, {"last4": "…"})
    body = {"error": {"code": refused.code, "message": problem.what, "incident": incident}}
    response = JsonResponse(body, status=refused.status)
    if refused.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="scalepoint", Basic realm="scalepoint"'
    if refused.status == 405:
        response["Allow"] = "GET, HEAD, POST"
    if refused.status == 429:
        response["Retry-After"] = "60"
    if refused.status == 503:
        response["Retry-After"] = "30"
    return response


def note(
    refused: Refused,
    incident: str,
    connection_id: int | None,
    address: str,
    size: int | None,
    token_last4: str = "",
    body: bytes | None = None,
    secrets: tuple[str, ...] = (),
) -> None:
    """Put it in the list of refused tries, and the oldest out. ``body`` only where the sender was known. A list that
    can't be written costs nobody an answer."""
    try:
        Refusal.objects.create(
            connection_id=connection_id,
            http_status=refused.status,
            code=refused.code,
            detail=refused.detail[:200],
            incident=incident,
            remote_address=address[:64],
            size=size,
            token_last4=token_last4,
            body=encrypt_bytes(_start_of(body, secrets)) if body is not None else None,
        )
        whose = Q(connection_id=connection_id) if connection_id else Q(connection=None)
        same = Refusal.objects.filter(whose).order_by("-pk")
        overdue = same.values_list("pk", flat=True)[conf().refusal_rows : conf().refusal_rows + 1]
        for pk in overdue:
            same.filter(pk__lte=pk).delete()
    except DatabaseError as error:
        logger.warning("A refused try (%s, incident %s) could not be noted: %s", refused.code, incident, error)


def new_incident() -> str:
    return token_hex(6)


def address_of(request: HttpRequest) -> str:
    """The sender's address: the connection's, or as many places from the right as we have proxies."""
    hops = conf().proxy_hops
    forwarded = [part.strip() for part in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    if hops and len(forwarded) >= hops and forwarded[-hops]:
        return forwarded[-hops][:64]
    return str(request.META.get("REMOTE_ADDR", ""))[:64]


def _start_of(body: bytes, secrets: tuple[str, ...]) -> bytes:
    """The start of a body that could not be read. What the first cut leaves of a secret, the second takes away."""
    return redact_body(body[: _KEPT_BODY_BYTES * 2], secrets)[:_KEPT_BODY_BYTES]
