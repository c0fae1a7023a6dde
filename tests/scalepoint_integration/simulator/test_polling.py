"""Long-polling: held until there is something, nothing lost between two calls, nobody let in without a token."""

import threading
import time
from datetime import datetime

import pytest

from scalepoint_integration.simulator.server import start
from tests.scalepoint_integration.simulator.conftest import bearer, call

PATH = "/api/events/v1/dk/external/firm/receive"


@pytest.fixture
def poll(simulator):
    proof = bearer(simulator)

    def poll_(cursor: str = "", url: str = ""):
        return call(url or f"{simulator.url}{PATH}{cursor and f'?lastEventId={cursor}'}", Authorization=proof)

    return poll_


def event(number: int) -> dict[str, object]:
    case = {"token": f"ic.{number}"}
    header = {"payloadVersion": "1.0.0", "correlationId": "c", "timestamp": "2031-06-12T08:00:00.1234567+02:00"}
    return {"eventType": "case_created", **header, "case": case}


def test_the_documented_shape(simulator, poll):
    assert simulator.scalepoint.queue_events([event(1), event(2)]) == ["_500124", "_500125"]
    answer = poll()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    said = answer.json
    assert set(said) == {"links", "meta", "data"}
    assert said["meta"] == {}
    assert said["links"] == {"next": f"{simulator.url}{PATH}?lastEventId=_500125"}
    assert [each["id"] for each in said["data"]] == ["_500124", "_500125"]
    first = said["data"][0]
    assert set(first) == {"id", "type", "timestamp", "attributes"}
    assert (first["type"], first["attributes"]) == ("case_created", event(1))
    assert datetime.fromisoformat(first["timestamp"]).tzinfo
    assert len(first["timestamp"]) == len("2031-03-02T08:15:30.123456789Z")


def test_it_is_held_and_wakes_at_once(simulator, poll):
    simulator.scalepoint.behave(hold=10)
    ids = simulator.scalepoint.queue_events([event(1)])
    answers: list[tuple[float, list[str]]] = []

    def wait() -> None:
        said = poll(ids[-1]).json
        answers.append((time.monotonic(), [each["id"] for each in said["data"]]))

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for each in waiting:
        each.start()
    assert simulator.scalepoint.wait_holding(2) == 2
    time.sleep(0.3)  # really held: that nothing comes takes time to see
    assert simulator.scalepoint.holding == 2
    assert answers == []
    queued = time.monotonic()
    simulator.scalepoint.queue_events([event(2)])
    for each in waiting:
        each.join()
    assert [found for _, found in answers] == [["_500125"], ["_500125"]]
    assert max(moment for moment, _ in answers) - queued < 0.5
    assert simulator.scalepoint.holding == 0


def test_after_a_while_it_answers_with_nothing(simulator, poll):
    simulator.scalepoint.behave(hold=0.3)
    simulator.scalepoint.queue_events([event(1)])
    began = time.monotonic()
    said = poll("_500124").json
    assert 0.3 <= time.monotonic() - began < 2
    assert said["data"] == []
    assert said["links"]["next"].endswith("?lastEventId=_500124")
    for status in (204, 504):
        simulator.scalepoint.behave(poll_timeout_status=status)
        assert poll("_500124").status == status


def test_following_links_next_loses_nothing_and_repeats_nothing(simulator, poll):
    simulator.scalepoint.behave(hold=0.5, batch=7)
    stop = threading.Event()
    count = 0

    def write() -> None:
        nonlocal count
        while not stop.is_set():
            count += 3
            simulator.scalepoint.queue_events([event(number) for number in range(count - 3, count)])
            stop.wait(0.003)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []
    url = ""
    while True:
        said = poll(url=url).json
        assert len(said["data"]) <= 7
        url = said["links"]["next"]
        seen += [each["attributes"]["case"]["token"] for each in said["data"]]
        if len(seen) > 150:
            stop.set()
            writer.join()
        if stop.is_set() and not said["data"]:
            break
    assert seen == [f"ic.{number}" for number in range(count)]


def test_an_unknown_cursor(simulator, poll):
    simulator.scalepoint.behave(hold=0.01)
    simulator.scalepoint.queue_events([event(number) for number in range(4)])
    for cursor in ("_500128", "_1", "500124", "_", "x", "_500124x", "_²"):
        assert poll(cursor.replace("²", "%C2%B2")).status == 400, cursor
    for query in (
        "?lastEventId=",
        "?lastEventId=_500124&lastEventId=_500125",
        "?from=_500124",
        "?lastEventId=_500124&a=1",
    ):
        assert poll(url=f"{simulator.url}{PATH}{query}").status == 400, query
    simulator.scalepoint.forget_events(before="_500126")
    assert poll("_500124").status == 400
    assert [each["id"] for each in poll("_500125").json["data"]] == ["_500126", "_500127"]
    assert [each["id"] for each in poll().json["data"]] == ["_500126", "_500127"]
    simulator.scalepoint.behave(unknown_cursor=410)
    assert poll("_1").status == 410
    simulator.scalepoint.behave(unknown_cursor=0)
    assert len(poll("_1").json["data"]) == 2


def test_the_first_call_can_begin_now(simulator, poll):
    simulator.scalepoint.behave(first_call="now", hold=0.01)
    simulator.scalepoint.queue_events([event(1)])
    said = poll().json
    assert said["data"] == []
    simulator.scalepoint.queue_events([event(2)])
    assert [each["id"] for each in poll(url=said["links"]["next"]).json["data"]] == ["_500125"]


def test_who_may_poll(simulator, poll):
    simulator.scalepoint.behave(hold=0.01, tenant="another", next_base="https://elsewhere.example")
    assert poll().status == 404
    simulator.scalepoint.behave(tenant="firm")
    assert poll().json["links"]["next"].startswith("https://elsewhere.example/api/events/")
    files = bearer(simulator, "platform-service-provider:write")
    assert call(f"{simulator.url}{PATH}", Authorization=files).status == 403
    assert call(f"{simulator.url}{PATH}").status == 401
    assert call(f"{simulator.url}{PATH.replace('dk', 'DK')}").status == 404


def test_a_held_poll_does_not_hold_up_the_end(key):
    with start() as server:
        server.scalepoint.register_client("firm-eksempel", [], "a secret of the client")
        proof = bearer(server)
        held = threading.Thread(target=lambda: call(f"{server.url}{PATH}", Authorization=proof))
        held.start()
        while not server.scalepoint.holding:
            time.sleep(0.01)
        began = time.monotonic()
    held.join(5)
    assert not held.is_alive()
    assert time.monotonic() - began < 2
