"""What is sent to Scalepoint, and what its answers mean."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from scalepoint_integration import client
from scalepoint_integration.client import Answer
from scalepoint_integration.client.addresses import addresses_of
from scalepoint_integration.models import Connection
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.client.conftest import BEARER, calls, each_in_turn

EVENTS = "/api/events/v1/dk/external/mytenant"
BODY = {"eventType": "payment_status_updated", "amount": Decimal("0.10"), "securityToken": "invented-token-0009"}
ANY = re.compile(r"^/(api|ecx|webapp)/")
pytestmark = pytest.mark.usefixtures("tokens")


def send(connection: Connection) -> Answer:
    return client.send(connection, "payment_status_updated", BODY)


CALLS: dict[str, Callable[[Connection], Any]] = {
    "send": send,
    "receive": lambda connection: client.receive(connection),
    "settlement": lambda connection: client.settlement(connection, "r 1/2"),
    "submit_file": lambda connection: client.submit_file(connection, BODY),
    "submit_expense": lambda connection: client.submit_expense(connection, BODY),
}


@pytest.mark.parametrize(
    ("call", "method", "path", "scope", "headers"),
    [
        ("send", "POST", f"{EVENTS}/send", "events", {"Event-Type": "payment_status_updated"}),
        ("receive", "GET", f"{EVENTS}/receive", "events", {}),
        (
            "settlement",
            "GET",
            "/webapp/ScalePoint/dk/case/mytenant/revision/r 1/2",
            "platform-case:read",
            {"Accept": "application/vnd.scalepoint.content.settlement.v3+json"},
        ),
        (
            "submit_file",
            "POST",
            "/ecx/host/api/integration/v1/file/submitForCase",
            "platform-service-provider:write",
            {},
        ),
        (
            "submit_expense",
            "POST",
            "/ecx/host/api/integration/v2/expense/submit",
            "platform-service-provider:write",
            {"Accept-Charset": "utf-8", "Accept": "application/json"},
        ),
    ],
)
def test_each_call_as_documented(
    connection: Connection,
    httpserver: HTTPServer,
    tokens: list[Request],
    call: str,
    method: str,
    path: str,
    scope: str,
    headers: dict[str, str],
) -> None:
    httpserver.expect_request(path, method=method).respond_with_data('{"data": []}')
    answer = CALLS[call](connection)
    (request,) = calls(httpserver)
    assert request.headers["Authorization"] == f"Bearer {BEARER}"
    assert {name: request.headers[name] for name in headers} == headers
    assert [each.form["scope"] for each in tokens] == [scope]
    assert "Cookie" not in request.headers
    if method == "POST":
        assert answer == Answer(200, '{"data": []}')
        assert request.content_type == "application/json"
        assert b'"amount":0.10,' in request.get_data()
        assert request.get_json() == {**BODY, "amount": 0.1}
    if call == "settlement":
        assert answer == b'{"data": []}'
        assert str(request.environ["REQUEST_URI"]).endswith("/revision/r%201%2F2")


def test_the_scope_of_expenses_can_be_set(
    connection: Connection, httpserver: HTTPServer, tokens: list[Request], settings: Settings
) -> None:
    settings.SCALEPOINT = {**settings.SCALEPOINT, "EXPENSE_SCOPE": "expense:write"}
    httpserver.expect_request("/ecx/host/api/integration/v2/expense/submit").respond_with_data("")
    client.submit_expense(connection, {})
    assert tokens[0].form["scope"] == "expense:write"


def test_addresses_by_environment() -> None:
    production, sandbox = (addresses_of(Connection(environment=each)) for each in ("production", "sandbox"))
    assert production.token == "https://accounts.scalepoint.com/connect/token"
    assert (production.api, production.ecx) == ("https://www.scalepoint.com", "https://entry.scalepoint.com")
    assert sandbox.token == "https://sandbox-accounts.scalepoint.com/connect/token"
    assert (sandbox.api, sandbox.ecx) == ("https://sandbox.scalepoint.com",) * 2
    own = addresses_of(Connection(api_url="https://project01.scalepoint.com/"))
    assert (own.api, own.token) == ("https://project01.scalepoint.com", production.token)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.scalepoint.com",
        "http://127.0.0.1:1",
        "https://user:word@www.scalepoint.com",
        "https://www.scalepoint.com\\@evil.example",
        "https://[",
        "ftp://www.scalepoint.com",
        "https://www.scalepoint.com:port",
    ],
)
def test_addresses_that_are_never_called(connection: Connection, tokens: list[Request], url: str) -> None:
    connection.api_url = url
    for call in CALLS.values():
        with pytest.raises(PermanentError) as failure:
            call(connection)
        assert failure.value.code == "SP-409"
    assert not tokens


def test_without_a_tenant_nothing_is_called(connection: Connection, tokens: list[Request]) -> None:
    connection.tenant = ""
    with pytest.raises(PermanentError) as failure:
        send(connection)
    assert (failure.value.code, len(tokens)) == ("SP-409", 0)


# ---- Answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((status, "SP-401") for status in (408, 425, 429, 500, 502, 503, 504)),
        (403, "SP-403"),
        *((status, "SP-405") for status in (301, 302, 307, 400, 404, 405, 409, 410, 413, 422)),
    ],
)
def test_what_a_bad_answer_means(
    connection: Connection, httpserver: HTTPServer, call: str, status: int, code: str
) -> None:
    answer = Response("Not like this.\0", status, headers={"Location": "/elsewhere"})
    httpserver.expect_request(ANY).respond_with_handler(each_in_turn(answer))
    with pytest.raises((RetryableError, PermanentError)) as failure:
        CALLS[call](connection)
    assert failure.value.code == code
    assert isinstance(failure.value, RetryableError) == (code == "SP-401")
    assert len(calls(httpserver)) == 1
    if code == "SP-405":
        said = "" if call == "settlement" else "Not like this.\ufffd"
        assert failure.value.facts == {"status": status, "answer": said}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999", 3600),
        ("-1", None),
        ("soon", None),
        ("", None),
        # Far enough that the date of the run does not matter: names with a clock in them differ between processes.
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(
    connection: Connection, httpserver: HTTPServer, said: str, seconds: float | None, status: int
) -> None:
    answer = Response(status=status, headers={"Retry-After": said})
    httpserver.expect_request(f"{EVENTS}/send").respond_with_handler(each_in_turn(answer))
    with pytest.raises(RetryableError) as failure:
        send(connection)
    assert failure.value.seconds == seconds


def test_a_401_is_tried_once_more_with_a_fresh_token(
    connection: Connection, httpserver: HTTPServer, tokens: list[Request]
) -> None:
    httpserver.expect_request(f"{EVENTS}/send").respond_with_handler(each_in_turn(401, 202))
    assert send(connection).status == 202
    assert [request.headers["Authorization"] for request in calls(httpserver)] == [
        f"Bearer {BEARER}",
        f"Bearer {BEARER}2",
    ]
    assert send(connection).status == 202
    assert len(tokens) == 2


def test_a_401_twice_is_a_refused_login(connection: Connection, httpserver: HTTPServer, tokens: list[Request]) -> None:
    httpserver.expect_request(f"{EVENTS}/send").respond_with_handler(each_in_turn(401))
    with pytest.raises(PermanentError) as failure:
        send(connection)
    assert failure.value.code == "SP-402"
    assert (len(calls(httpserver)), len(tokens)) == (2, 2)


def test_no_secret_of_ours_comes_back_with_an_answer(connection: Connection, httpserver: HTTPServer) -> None:
    def echo(request: Request) -> Response:
        status = 400 if b"refuse" in request.get_data() else 200
        return Response(request.headers["Authorization"] + request.get_data(as_text=True) + "x" * 5000, status)

    httpserver.expect_request(f"{EVENTS}/send").respond_with_handler(echo)
    text = send(connection).text
    assert text.startswith('Bearer •••{"amount":0.10')
    assert "invented-token" not in text
    assert len(text) <= 2000
    with pytest.raises(PermanentError) as failure:
        client.send(connection, "x", {**BODY, "what": "refuse"})
    assert BEARER not in str(failure.value.facts)
    assert "invented-token" not in str(failure.value.facts)


def test_a_redirect_shows_the_token_to_nobody(connection: Connection, httpserver: HTTPServer) -> None:
    with HTTPServer(host="127.0.0.1", port=0) as canary:
        canary.expect_request("/").respond_with_data("")
        for status in (301, 302, 303, 307, 308):
            answer = Response(status=status, headers={"Location": canary.url_for("/")})
            httpserver.expect_oneshot_request(f"{EVENTS}/send").respond_with_handler(each_in_turn(answer))
            with pytest.raises(PermanentError):
                send(connection)
        assert not canary.log
    assert len(calls(httpserver)) == 5


def test_the_environment_leads_nowhere_else(
    connection: Connection, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    httpserver.expect_request(f"{EVENTS}/send").respond_with_handler(
        each_in_turn(Response(headers={"Set-Cookie": "a=b"}))
    )
    send(connection)
    send(connection)
    first, second = calls(httpserver)
    assert first.headers["Authorization"] == second.headers["Authorization"] == f"Bearer {BEARER}"
    assert "Cookie" not in second.headers
