"""The address for events: everything an insurance case is made of comes in here.

A DRF view, as hosts expect, with DRF's parsing, negotiation and rendering left out: they cost more than the work.
"""

import logging
from typing import Any, cast

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection as database
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.payloads.envelope import NoEvent, body_tokens, find_events, read_envelope, with_images
from scalepoint_integration.receiving import body as bodies
from scalepoint_integration.receiving import refusals, store
from scalepoint_integration.receiving.deadline import deadline
from scalepoint_integration.receiving.proof import HeaderProof, Sender, Unproven, body_proof_allowed, prove_by_body
from scalepoint_integration.receiving.refusals import Refused

logger = logging.getLogger(__name__)

# In a request's environment: a test case of our own. No header can set it, those are called HTTP_SOMETHING.
TEST_MARK = "scalepoint.test"


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class Endpoint(APIView):
    """What our addresses have in common: GET and HEAD tell a sender that the address exists and nothing else, and
    every no is answered, and noted, in the same way."""

    # Named one by one: the host's defaults (session login, throttles, versions) are for its own API.
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    parser_classes = []
    renderer_classes = []
    versioning_class = None
    http_method_names = ["get", "head", "post"]
    # Whether what a known sender got wrong is kept, for finding out why.
    keeps_bodies = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Nothing of DRF's: no negotiation, no versions, no throttles; who sent it is asked in post."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response["Cache-Control"] = "no-store"
        return response

    def get(self, request: Request, contract_number: str, rest: str = "") -> HttpResponse:
        return HttpResponse(status=200)

    def post(self, request: Request, contract_number: str, rest: str = "") -> HttpResponse:
        seen = Seen()
        try:
            if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                # Never a redirect: the token has been sent in clear already, and the sender must be set right.
                raise Unproven(403, errors.NOT_ENCRYPTED, "not encrypted")
            return self.work(request, contract_number, seen)
        except Refused as refused:
            return self._refuse(request, contract_number, refused, seen)
        except DatabaseError as error:
            logger.error("The database failed, the sender was asked to come again: %s", type(error).__name__)
            database.close()
            return refusals.answer(Refused(503, errors.DATABASE_AWAY), refusals.new_incident())

    def work(self, request: Request, contract_number: str, seen: "Seen") -> HttpResponse:
        """The good answer; raises Refused."""
        raise NotImplementedError

    def answer(self, refused: Refused, incident: str) -> HttpResponse:
        return refusals.answer(refused, incident)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return refusals.answer(Refused(405, errors.WRONG_METHOD), refusals.new_incident())  # type: ignore[return-value]

    def _refuse(self, request: Request, contract_number: str, refused: Refused, seen: "Seen") -> HttpResponse:
        address, incident = refusals.address_of(request), refusals.new_incident()
        size = refused.size if refused.size is not None else seen.size(request)
        if isinstance(refused, Unproven):
            if seen.body is None:
                bodies.discard(request.META)
            if refusals.too_many(contract_number, address):
                return refusals.answer(Refused(429, errors.TOO_MANY_REFUSED), incident)
            refusals.note(refused, incident, refused.connection_id, address, size, refused.last4)
        elif seen.sender is None:
            # A body that should have proved the sender and could not even be taken: as good as no proof.
            if refusals.too_many(contract_number, address):
                return refusals.answer(Refused(429, errors.TOO_MANY_REFUSED), incident)
            refusals.note(refused, incident, None, address, size)
        else:
            kept = seen.body if self.keeps_bodies else None
            secrets = (seen.sender.secret,)
            refusals.note(refused, incident, seen.sender.connection_id, address, size, body=kept, secrets=secrets)
        return self.answer(refused, incident)


class EventView(Endpoint):
    """POST stores one event, a list, or a long-polling batch, and answers 202 once it is committed. The answers are the
    wire contract's."""

    authentication_classes = [HeaderProof]

    def work(self, request: Request, contract_number: str, seen: "Seen") -> HttpResponse:
        options = conf()
        # The deadline is on the database alone: a sender on a slow line may take its time with the body.
        with deadline(options.database_seconds):
            unproven = _prove_by_header(request, seen)
            if unproven and not (unproven.status == 401 and body_proof_allowed(contract_number)):
                raise unproven
        limit = options.max_body_bytes_with_images if seen.sender else options.max_body_bytes
        seen.body = bodies.read_bytes(request.META, limit)
        media_type, media_options = bodies.media_type_of(request.META)
        bodies.check_size(seen.body, media_type)
        try:
            content = bodies.parse(seen.body, media_type, media_options)
        except Refused as refused:
            # A body that can't be read proves nothing, and an unknown sender is told no more than that.
            raise unproven or refused from refused
        if unproven:
            with deadline(options.database_seconds):
                tokens = [content.token, *body_tokens(content.document)]
                seen.sender = prove_by_body(contract_number, tokens, unproven)
        sender = cast(Sender, seen.sender)
        try:
            found = find_events(content.document, options.max_batch_events)
        except NoEvent as error:
            raise Refused(400, errors.UNREADABLE, str(error)) from error
        if content.images:
            found[0] = (with_images(found[0][0], content.images), found[0][1])
        events = [read_envelope(event, vendor_id, [sender.secret]) for event, vendor_id in found]
        with deadline(options.database_seconds):
            source = InboundEvent.Source.TEST if request.META.get(TEST_MARK) else InboundEvent.Source.PUSH
            receipts = store.receive(sender.connection_id, sender.insurer_id, events, source)
        return _accepted(receipts)


def _prove_by_header(request: Request, seen: "Seen") -> Unproven | None:
    """Why the header proves nothing, or None and the sender is seen."""
    try:
        seen.sender = request.user if isinstance(request.user, Sender) else None
    except Unproven as unproven:
        return unproven
    return None


def _accepted(receipts: list[store.Receipt]) -> JsonResponse:
    duplicates = sum(receipt.duplicate for receipt in receipts)
    events = [
        {
            "id": receipt.id,
            "eventType": receipt.event_type,
            "status": "duplicate" if receipt.duplicate else "accepted",
        }
        for receipt in receipts
    ]
    return JsonResponse(
        {"accepted": len(receipts) - duplicates, "duplicates": duplicates, "events": events}, status=202
    )


class Seen:
    """What was known of a request when it was refused."""

    sender: Sender | None = None
    body: bytes | None = None

    def size(self, request: Request) -> int | None:
        if self.body is not None:
            return len(self.body)
        declared = request.META.get("CONTENT_LENGTH") or ""
        return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else None
