"""The token address: Scalepoint proves who it is with a client id and a secret, and gets an access token (RFC 6749)."""

from urllib.parse import parse_qsl, unquote_plus

from django.http import HttpResponse, JsonResponse
from rest_framework.request import Request

from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.receiving import body as bodies
from scalepoint_integration.receiving import issued, refusals
from scalepoint_integration.receiving.deadline import deadline
from scalepoint_integration.receiving.endpoint import Endpoint, Seen
from scalepoint_integration.receiving.proof import Unproven, basic_pair, prove_client
from scalepoint_integration.receiving.refusals import Refused

_MAX_BYTES = 64 * 1024


class BadRequest(Refused):
    """400, with the name that the standard has for it."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(400, errors.UNREADABLE, detail)
        self.error = error


class TokenView(Endpoint):
    """POST with grant_type=client_credentials. The client id is the Scalepoint user name or the contract's number; the
    secret is an insurance company's security token or the connection's own; both in the form or as HTTP Basic."""

    keeps_bodies = False  # the secret stands in them, perhaps percent-encoded

    def work(self, request: Request, contract_number: str, seen: Seen) -> HttpResponse:
        seen.body = bodies.read_bytes(request.META, _MAX_BYTES)
        form = _form(request, seen.body)
        pairs = [*_from_basic(request.META.get("HTTP_AUTHORIZATION", ""))]
        pairs.append((form.get("client_id", ""), form.get("client_secret", "")))
        # The proof first: a stranger learns nothing from what else is wrong.
        with deadline(conf().database_seconds):
            seen.sender = prove_client(contract_number, pairs)
        if "" in form:
            raise BadRequest("invalid_request", "not a form, or a field twice")
        if "grant_type" not in form:
            raise BadRequest("invalid_request", "no grant_type")
        if form["grant_type"] != "client_credentials":
            raise BadRequest("unsupported_grant_type", "another grant_type")
        token = issued.issue(seen.sender.connection_id, seen.sender.token_id, seen.sender.digest)
        lifetime = conf().issued_token_seconds
        answer = JsonResponse({"access_token": token, "token_type": "Bearer", "expires_in": lifetime})
        answer["Pragma"] = "no-cache"
        return answer

    def answer(self, refused: Refused, incident: str) -> HttpResponse:
        """What the standard has a name for, in the standard's shape; the rest as at the other address."""
        answer = refusals.answer(refused, incident)
        if isinstance(refused, BadRequest):
            return JsonResponse({"error": refused.error, "incident": incident}, status=400)
        if isinstance(refused, Unproven) and refused.status == 401:
            told = JsonResponse({"error": "invalid_client", "incident": incident}, status=401)
            told["WWW-Authenticate"] = 'Basic realm="scalepoint"'
            return told
        return answer


def _form(request: Request, body: bytes) -> dict[str, str]:
    """The fields of the form. Under the name "" stands that it is none, or has one of its fields twice."""
    try:
        media_type, _options = bodies.media_type_of(request.META)
        if media_type != "application/x-www-form-urlencoded":
            return {"": ""}
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100, errors="strict")
    except (Refused, ValueError):
        return {"": ""}
    form = dict(reversed(pairs))
    form.pop("", None)
    return form if len(form) == len(pairs) else {**form, "": ""}


def _from_basic(header: str) -> list[tuple[str, str]]:
    """Client id and secret: as they stand, and as the standard wants them, percent-encoded before the base64."""
    pair = basic_pair(header)
    return [pair, (unquote_plus(pair[0]), unquote_plus(pair[1]))] if pair else []
