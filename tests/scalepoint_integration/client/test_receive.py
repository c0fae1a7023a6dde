"""Fetching events: what is news, where to go on, and where the access token never goes."""

from typing import Any

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from scalepoint_integration import client
from scalepoint_integration.models import Connection
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.client.conftest import calls, each_in_turn, json_response

EVENTS = "/api/events/v1/dk/external/mytenant"
pytestmark = pytest.mark.usefixtures("tokens")


def wrapped(number: int) -> dict[str, Any]:
    return {"id": f"_{number}", "type": "case_created", "attributes": {"eventType": "case_created", "n": number}}


def test_events_and_where_to_go_on(connection: Connection, httpserver: HTTPServer, origin: str) -> None:
    following = f"{origin}{EVENTS}/receive?lastEventId=_8"
    page = {"links": {"next": following}, "meta": {}, "data": [wrapped(7), wrapped(8)]}
    httpserver.expect_request(f"{EVENTS}/receive", query_string={"lastEventId": "_6"}).respond_with_json(page)
    httpserver.expect_request(f"{EVENTS}/receive", query_string={"lastEventId": "_8"}).respond_with_json({"data": []})
    batch = client.receive(connection, after="_6")
    assert batch == client.Batch([wrapped(7), wrapped(8)], "_8", following)
    assert client.receive(connection, batch.cursor, batch.next_url) == client.Batch([], "_8", following)


def test_the_first_call_names_no_event(connection: Connection, httpserver: HTTPServer) -> None:
    httpserver.expect_request(f"{EVENTS}/receive").respond_with_json({"data": [{"id": 5}]})
    assert client.receive(connection) == client.Batch([{"id": 5}], "5", "")
    assert calls(httpserver)[0].query_string == b""


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=204),
        Response(""),
        Response("  \r\n"),
        json_response({"data": []}),
        json_response({"data": None, "links": {}}),
        json_response({"links": {"next": "https://elsewhere.example/?lastEventId=_9"}, "data": []}),
    ],
)
def test_no_news(connection: Connection, httpserver: HTTPServer, answer: Response) -> None:
    httpserver.expect_request(f"{EVENTS}/receive").respond_with_handler(each_in_turn(answer))
    assert client.receive(connection, "_6") == client.Batch([], "_6", "")


@pytest.mark.parametrize(
    "body", ["<html>", "[]", "7", "{}", '{"data": {}}', '{"data": "x"}', '{"data": [NaN]}', '{"data": [], "data": []}']
)
def test_what_is_no_batch_is_tried_again(connection: Connection, httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request(f"{EVENTS}/receive").respond_with_data(body)
    with pytest.raises(RetryableError) as failure:
        client.receive(connection, "_6")
    assert failure.value.code == "SP-401"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_cursor_that_scalepoint_forgot(connection: Connection, httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request(f"{EVENTS}/receive").respond_with_handler(each_in_turn(status))
    with pytest.raises(PermanentError) as failure:
        client.receive(connection, "_6")
    assert failure.value.code == "SP-404"
    with pytest.raises(PermanentError) as failure:
        client.receive(connection)
    assert failure.value.code == "SP-405"


@pytest.mark.parametrize("link", [None, "https://elsewhere.example/?lastEventId=_9"])
def test_the_cursor_without_ids(connection: Connection, httpserver: HTTPServer, link: str | None) -> None:
    page = {"links": {"next": link}, "data": [{"eventType": "x"}]}
    httpserver.expect_request(f"{EVENTS}/receive").respond_with_json(page)
    if link:
        assert client.receive(connection, "_6").cursor == "_9"
    else:
        with pytest.raises(PermanentError):
            client.receive(connection, "_6")


@pytest.mark.parametrize(
    "shape",
    [
        "{canary}/api/receive?lastEventId=_9",
        "http://127.0.0.1:{port}/?lastEventId=_9",
        "http://user@localhost:{port}/?lastEventId=_9",
        "{origin}@127.0.0.1:{canary_port}/?lastEventId=_9",
        "//127.0.0.1:{canary_port}/?lastEventId=_9",
        "/receive?lastEventId=_9",
        "ftp://127.0.0.1/?lastEventId=_9",
        "{canary}\\@localhost:{port}/?lastEventId=_9",
    ],
)
def test_a_next_address_elsewhere_is_never_called(
    connection: Connection, httpserver: HTTPServer, origin: str, settings: Settings, shape: str
) -> None:
    httpserver.expect_request(f"{EVENTS}/receive", query_string={"lastEventId": "_9"}).respond_with_json({"data": []})
    with HTTPServer(host="127.0.0.1", port=0) as canary:
        there = canary.url_for("").rstrip("/")
        settings.SCALEPOINT = {"CLIENT_TRUSTED_ORIGINS": [origin, there]}  # even then
        url = shape.format(canary=there, canary_port=canary.port, origin=origin, port=httpserver.port)
        assert client.receive(connection, "_6", url).events == []
        assert not canary.log
    assert len(calls(httpserver)) == 1


def test_a_next_address_without_an_id(connection: Connection, httpserver: HTTPServer) -> None:
    httpserver.expect_request(f"{EVENTS}/receive", query_string={"lastEventId": "_6"}).respond_with_json({"data": []})
    assert client.receive(connection, "_6", "https://elsewhere.example/").cursor == "_6"
