"""What the simulator knows outlives its process, if it has a file for it; and its control routes."""

import dataclasses
import json
import re
import threading

import pytest

from scalepoint_integration.simulator import control as control_module
from scalepoint_integration.simulator.server import start
from scalepoint_integration.simulator.state import Behaviour, State
from tests.scalepoint_integration.simulator.conftest import (
    CLIENT,
    SECRET,
    assertion_form,
    bearer,
    call,
    claims,
    post_form,
    post_json,
    sign,
)

EVENTS = "/api/events/v1/dk/external/firm/receive"
SEND = "/api/events/v1/dk/external/firm/send"
HEADER = {"payloadVersion": "1.0.0", "correlationId": "c", "timestamp": "2031-06-12T08:00:00+02:00"}
NEW = {"eventType": "case_created", **HEADER, "case": {"token": "IC.1"}, "payments": [{"uuid": "p-1"}]}
NUMBER = {"eventType": "case_created", **HEADER, "case": {"token": "ic.1", "number": "EX-1 \ud800 ø"}}


def test_a_restart_forgets_nothing(tmp_path, key):
    file = tmp_path / "state.json"
    with start(0, file) as before:
        port, known = before.server_address[1], before.scalepoint
        known.register_client(CLIENT, [key.certificate], SECRET, ["events"])
        known.register_partner("invented-token", ["nord-eksempel"], ["bo@firma.example"])
        known.behave(hold=0.01, batch=2, token_lifetime=600)
        known.queue_events([NEW, NEW, NEW])
        known.forget_events(before="_500125")
        known.close_case("ID-1")
        known.set_settlement("REV-1", 410)
        proof = bearer(before)
        used = assertion_form(sign(key, claims(before)))
        assert post_form(f"{before.url}/connect/token", used).status == 200
        named = {"Event_Type": "case_created", "Authorization": proof}
        assert post_json(f"{before.url}{SEND}", NUMBER, **named).status == 202
        came = known.received()
        case = known.case("ic.1")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]

    with start(port, file) as after:
        known = after.scalepoint
        assert known.received() == came
        assert known.case("IC.1") == case
        assert case["number"] == NUMBER["case"]["number"]
        assert known.payment("p-1") == ""
        assert known.known.closed_ids == ["id-1"]
        assert known.known.settlements == {"rev-1": 410}
        assert (known.behaviour.batch, known.behaviour.token_lifetime) == (2, 600)
        assert known.partners == {"invented-token": (frozenset({"nord-eksempel"}), frozenset({"bo@firma.example"}))}
        # The token of before is good, for what it was given for; the assertion of before is used up.
        answer = call(f"{after.url}{EVENTS}", Authorization=proof)
        assert [each["id"] for each in answer.json["data"]] == ["_500125", "_500126"]
        assert call(f"{after.url}{EVENTS}?lastEventId=_500123", Authorization=proof).status == 400
        assert post_form(f"{after.url}/connect/token", used).status == 400
        assert known.received("token")[-1]["reason"] == "jti was seen before"
        # The certificate, too.
        assert post_form(f"{after.url}/connect/token", assertion_form(sign(key, claims(after)))).status == 200
        # What was sent before is a repeat; and ids go on where they stood.
        assert post_json(f"{after.url}{SEND}", NUMBER, **named).status == 202
        assert known.received("send")[-1]["repeat"] is True
        assert known.queue_events([NEW]) == ["_500127"]


def test_what_was_answered_is_in_the_file_before_the_answer(tmp_path):
    """So that a kill -9 right after the answer loses nothing."""
    file = tmp_path / "state.json"
    with start(0, file) as server:
        server.scalepoint.register_client(CLIENT, [], SECRET)
        server.scalepoint.know_case("ic.1")
        proof = bearer(server)
        assert proof.removeprefix("Bearer ") in file.read_text()
        server.scalepoint.fail("send", "slow", seconds=30)
        url, named = f"{server.url}{SEND}", {"Event_Type": "case_created", "Authorization": proof}
        waiting = threading.Thread(target=post_json, args=(url, NUMBER), kwargs=named, daemon=True)
        waiting.start()
        assert len(server.scalepoint.wait_received("send", 1)) == 1
        assert waiting.is_alive()
        copy = State(server.url, _copy(file, tmp_path / "as-after-a-kill.json"))
        assert copy.case("ic.1")["number"] == NUMBER["case"]["number"]
        assert len(copy.received("send")) == 1
    waiting.join(5)


def _copy(file, target):
    target.write_bytes(file.read_bytes())
    return target


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with start() as server:
        server.scalepoint.know_case("ic.1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"behaviour": {"unknown": 1}}', "null"])
def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(tmp_path, text):
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(ValueError):
        start(0, file)
    assert file.read_text() == text
    with pytest.raises(OSError):
        start(0, tmp_path / "nowhere" / "state.json")


def test_a_reset_is_kept_too(tmp_path, key):
    file = tmp_path / "state.json"
    state = State(file=file)
    state.register_client(CLIENT, [key.certificate])
    state.queue_events([NEW])
    state.reset()
    again = State(file=file)
    assert again.events == []
    assert list(again.clients) == [CLIENT]
    state.reset(everything=True)
    assert State(file=file).clients == {}


# ---- Control routes -----------------------------------------------------------------------------------------------
def control(server, name, **arguments):
    answer = post_json(f"{server.url}/control/{name}", arguments)
    return answer.status, answer.json.get("result", answer.json.get("error"))


def test_every_route_does_what_its_function_does(simulator, key):
    known = simulator.scalepoint
    assert control(simulator, "register_client", client_id="two", certificates=[key.certificate]) == (200, [key.x5t])
    assert control(simulator, "register_partner", security_token="t", aliases=["a"]) == (200, None)
    assert known.partners == {"t": (frozenset({"a"}), frozenset())}
    assert control(simulator, "queue_events", events=[NEW]) == (200, ["_500124"])
    assert control(simulator, "case", token="ic.1") == (200, {"number": "", "closed": False, "messages": []})
    assert control(simulator, "case", token="ic.2") == (200, None)
    assert control(simulator, "know_case", token="ic.2", number="N") == (200, None)
    assert control(simulator, "case", token="IC.2")[1]["number"] == "N"
    assert control(simulator, "payment", uuid="p-1") == (200, "")
    assert control(simulator, "close_case", case_id="ID") == (200, None)
    assert known.known.closed_ids == ["id"]
    assert control(simulator, "set_settlement", token="REV", answer=404) == (200, None)
    assert known.known.settlements == {"rev": 404}
    assert control(simulator, "forget_events", before="_500125") == (200, None)
    assert known.events == []
    status, behaviour = control(simulator, "behave", hold=0.5, batch=7)
    assert (status, behaviour) == (200, dataclasses.asdict(Behaviour(hold=0.5, batch=7)))
    bearer(simulator)
    assert control(simulator, "revoke_tokens") == (200, 1)
    assert [each["place"] for each in control(simulator, "received")[1]] == ["token"]
    assert control(simulator, "received", place="send") == (200, [])
    assert len(control(simulator, "wait_received", place="token", count=1, seconds=0)[1]) == 1
    assert control(simulator, "wait_holding", count=1, seconds=0) == (200, 0)
    assert control(simulator, "fail", place="receive", what=503) == (200, None)
    proof = bearer(simulator)
    assert call(f"{simulator.url}{EVENTS}", Authorization=proof).status == 503
    insurers = [{"name": "N", "alias": "n", "sub_alias": "", "token": "t"}]
    status, ids = control(simulator, "queue_stories", count=2, insurers=insurers, seed=4)
    assert status == 200
    assert len(ids) == len(known.events) > 20
    assert control(simulator, "reset", everything=True) == (200, None)
    assert (known.clients, known.events, known.partners) == ({}, [], {})
    # push and push_stories: test_webhooks.py. Nothing else can be reached from outside.
    for name in ("stop", "keep", "_save", "changing", "next_trouble", "__init__", "nothing"):
        assert control(simulator, name)[0] == 404, name


def test_the_routes_are_those_that_are_documented():
    documented = re.findall(r"^POST /control/(\w+) ", control_module.__doc__ or "", re.MULTILINE)
    assert sorted(documented) == sorted([*control_module._OF_STATE, *control_module._OUT])


def test_what_can_not_be_done_is_said_and_not_done(simulator):
    for name, arguments in (
        ("behave", {"unknown": 1}),
        ("behave", {"hold": "long"}),
        ("behave", {"batch": True}),
        ("fail", {"place": "nowhere", "what": 503}),
        ("fail", {"place": "send", "what": "explode"}),
        ("register_client", {"client_id": "x", "certificates": ["no certificate"]}),
        ("register_client", {}),
        ("queue_events", {"events": [{"no": "type"}]}),
        ("forget_events", {"before": "soon"}),
        ("case", {"token": 7}),
        ("reset", {"unknown": 1}),
    ):
        status, error = control(simulator, name, **arguments)
        assert status == 400, name
        assert error, name
    assert list(simulator.scalepoint.clients) == [CLIENT]
    assert simulator.scalepoint.behaviour == Behaviour()
    assert simulator.scalepoint.events == []
    assert simulator.scalepoint.next_trouble("send") is None


def test_a_page_in_a_browser_can_not_steer_it(simulator):
    url = f"{simulator.url}/control/know_case"
    body = json.dumps({"token": "ic.9"}).encode()
    assert call(url, "POST", body, Content_Type="text/plain").status == 403
    assert call(url, "POST", body, Content_Type="application/json", Host="evil.example").status == 403
    assert call(url, "POST", b"{", Content_Type="application/json").status == 400
    assert call(url, "POST", b"[]", Content_Type="application/json").status == 400
    assert call(url).status == 404
    assert simulator.scalepoint.case("ic.9") is None
