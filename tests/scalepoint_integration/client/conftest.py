"""Scalepoint as real HTTP servers on loopback; the keys and the cache are real too."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from scalepoint_integration.client import token
from scalepoint_integration.client.keys import make_key
from scalepoint_integration.models import ClientKey, Connection
from tests.support.world import World

CLIENT_ID = "invented-client"
BEARER = "invented.access-token"


@pytest.fixture
def origin(httpserver: HTTPServer, settings: Settings) -> str:
    """The address of the server, which the settings trust without https."""
    httpserver.clear()
    url = httpserver.url_for("").rstrip("/")
    settings.SCALEPOINT = {"CLIENT_TRUSTED_ORIGINS": [url]}
    return url


@pytest.fixture
def connection(world: World, origin: str) -> Connection:
    cache.clear()
    token._loaded.clear()
    row = world.connection
    row.client_id, row.tenant, row.country = CLIENT_ID, "mytenant", "dk"
    row.token_url, row.api_url, row.ecx_url = f"{origin}/connect/token", origin, f"{origin}/"
    row.save()
    return row


@pytest.fixture
def key(connection: Connection) -> ClientKey:
    made = make_key(connection)
    made.registered = True
    made.save()
    return made


@pytest.fixture
def tokens(httpserver: HTTPServer, key: ClientKey) -> list[Request]:
    """A token address that gives out BEARER, BEARER2, ...; the requests that it got."""
    return give_tokens(httpserver)


def give_tokens(httpserver: HTTPServer, **answer: Any) -> list[Request]:
    seen: list[Request] = []

    def give(request: Request) -> Response:
        request.get_data(parse_form_data=True)
        seen.append(request)
        number = str(len(seen)) if len(seen) > 1 else ""
        return json_response({"access_token": BEARER + number, "token_type": "Bearer", "expires_in": 1800, **answer})

    httpserver.expect_request("/connect/token", method="POST").respond_with_handler(give)
    return seen


def json_response(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")


def each_in_turn(*answers: Any) -> Callable[[Request], Response]:
    """A handler that gives these answers one after another, the last for ever: Response, or a status."""
    left = list(answers)

    def give(request: Request) -> Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer if isinstance(answer, Response) else Response(status=answer)

    return give


def calls(server: HTTPServer) -> list[Request]:
    """What came, but for the token address."""
    return [request for request, _answer in server.log if request.path != "/connect/token"]
