"""What is sent to Scalepoint: checked, kept, and of effect once; and going wrong on demand."""

import http.client
import json
import time

import pytest

from tests.scalepoint_integration.simulator.conftest import bearer, call, post_json

SEND = "/api/events/v1/dk/external/firm/send"
FILE = "/ecx/host/api/integration/v1/file/submitForCase"
DAMAGE_FILE = "/ecx/host/api/integration/v1/file/submitForDamageNotification"
EXPENSE = "/ecx/host/api/integration/v2/expense/submit"
GUID = "3b0c1f5e-5d0f-4a7e-9f10-2a5a0c7f0009"
HEADER = {"payloadVersion": "1.0.0", "correlationId": GUID, "timestamp": "2031-06-12T08:00:00+02:00"}
NUMBER = {"eventType": "case_created", **HEADER, "case": {"token": f"b.{GUID}", "number": "EX-1"}}
PAYMENT = {"eventType": "payment_status_updated", **HEADER, "payment": {"uuid": GUID, "status": "processed"}}
A_FILE = {
    "securityToken": GUID,
    "timestamp": "2031-06-12",
    "payload": {"id": GUID, "insuranceCompanyAlias": "nord-eksempel", "userEmail": "bo@firma.example"},
}
AN_EXPENSE = {
    "meta": {"timestamp": "2031-06-20T10:00:00Z"},
    "data": {
        "claim": {"id": GUID, "tenant": "nord-eksempel"},
        "expense": {
            "number": "FAKTURA-1",
            "date": "2031-06-20T10:00:00Z",
            "dueDate": "2031-07-20T10:00:00Z",
            "expenseType": "Invoice",
            "invoiceType": "ExternalSupplier",
            "isDraft": False,
            "issuer": {"name": "Eksempel Tømrer ApS"},
            "payer": {"name": "Eksempel Forsikring"},
            "items": [{"title": "Tagsten"}],
        },
    },
}
EXPENSE_HEADERS = {"Accept": "application/json", "Accept_Charset": "utf-8"}


def without(body, path: str):
    """A copy of a body without one of its fields."""
    copy = json.loads(json.dumps(body))
    *way, last = path.split(".")
    inner = copy
    for name in way:
        inner = inner[name]
    del inner[last]
    return copy


@pytest.fixture
def send(simulator):
    proof = bearer(simulator)
    simulator.scalepoint.know_case(f"B.{GUID.upper()}")

    def send_(event, kind="", **headers):
        named = {"Event_Type": kind or event.get("eventType", ""), "Authorization": proof, **headers}
        return post_json(f"{simulator.url}{SEND}", event, **named)

    return send_


def effect(simulator) -> str:
    return simulator.scalepoint.received("send")[-1]["effect"]


def test_the_number_is_set_once(simulator, send):
    assert send(NUMBER).status == 202
    assert effect(simulator) == "the number is set"
    assert simulator.scalepoint.case(f"b.{GUID}")["number"] == "EX-1"
    other = NUMBER | {"case": {"token": f"b.{GUID}", "number": "EX-2"}}
    assert send(other).status == 202
    assert effect(simulator) == "the case has a number"
    assert simulator.scalepoint.case(f"b.{GUID}")["number"] == "EX-1"
    assert [each["event"] for each in simulator.scalepoint.received("send")] == [NUMBER, other]


def test_a_case_that_came_with_a_number_keeps_it(simulator, send):
    simulator.scalepoint.queue_events([NUMBER | {"case": {"token": "ic.1", "number": "THEIRS"}}])
    assert send(NUMBER | {"case": {"token": "IC.1", "number": "OURS"}}).status == 202
    assert simulator.scalepoint.case("ic.1")["number"] == "THEIRS"


def test_a_payment(simulator, send):
    assert send(PAYMENT).status == 400
    assert simulator.scalepoint.received("send")[-1]["reason"] == "an unknown payment"
    simulator.scalepoint.know({"payments": [{"uuid": GUID}]})
    assert simulator.scalepoint.payment(GUID) == ""
    assert send(PAYMENT).status == 202
    assert simulator.scalepoint.payment(GUID) == "processed"
    assert send(without(PAYMENT, "payment.status")).status == 400
    assert send(without(PAYMENT, "payment.uuid")).status == 400


def test_messages_and_the_end_of_a_case(simulator, send):
    hello = {"eventType": "create_message", **HEADER, "case": {"token": f"b.{GUID}"}, "message": "Vi kommer tirsdag."}
    assert send(hello).status == 202
    assert send(without(hello, "message")).status == 400
    assert send(hello | {"case": {"token": "b.unknown"}}).status == 400
    simulator.scalepoint.behave(unknown_reference=0, success=200)
    assert send(hello | {"case": {"token": "b.unknown"}}).status == 200
    assert effect(simulator) == "none: an unknown case"
    assert send(hello | {"eventType": "case_number_failed"}).status == 200
    assert simulator.scalepoint.case(f"b.{GUID}") == {
        "number": "",
        "closed": True,
        "messages": ["Vi kommer tirsdag.", "Vi kommer tirsdag."],
    }


@pytest.mark.parametrize("path", ["eventType", "payloadVersion", "correlationId", "timestamp", "case.token", "case"])
def test_a_sending_without_what_is_needed(send, path):
    assert send(without(NUMBER, path), "case_created").status == 400


def test_a_sending_that_is_no_good(simulator, send):
    assert send(NUMBER, "case_updated").status == 400
    assert send(NUMBER | {"timestamp": "2031-06-12T08:00:00"}).status == 400  # whose time?
    assert send(NUMBER, Content_Type="text/plain").status == 415
    assert send(NUMBER, Authorization="Bearer x").status == 401
    assert send(NUMBER, Authorization=bearer(simulator, "case:delete")).status == 403
    named = {"Event_Type": "case_created", "Content_Type": "application/json", "Authorization": bearer(simulator)}
    for body in (b"", b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'"\xff"', b"[" * 100_000):
        assert call(f"{simulator.url}{SEND}", "POST", body, **named).status == 400, body[:20]
    assert simulator.scalepoint.case(f"b.{GUID}")["number"] == ""
    fraud = {"eventType": "fraud_status", "payloadVersion": "1.0.0", "timestamp": HEADER["timestamp"]}
    assert send(fraud).status == 202


def test_an_unknown_outcome(simulator, send):
    simulator.scalepoint.fail("send", "drop")
    with pytest.raises(http.client.RemoteDisconnected):
        send(NUMBER)
    told = simulator.scalepoint.received("send")[-1]
    assert (told["trouble"], told["status"], told["effect"]) == ("drop", 0, "the number is set")
    assert simulator.scalepoint.case(f"b.{GUID}")["number"] == "EX-1"
    assert send(NUMBER).status == 202  # and the same again is harmless
    assert effect(simulator) == "none: it was sent before"
    assert [each["repeat"] for each in simulator.scalepoint.received("send")] == [False, True]


def test_a_repeat_has_no_effect_and_is_told(simulator, send):
    hello = {"eventType": "create_message", **HEADER, "case": {"token": f"b.{GUID}"}, "message": "Vi kommer tirsdag."}
    backwards = dict(reversed(hello.items()))
    assert [send(each).status for each in (hello, hello, backwards)] == [202] * 3
    assert [each["repeat"] for each in simulator.scalepoint.received("send")] == [False, True, True]
    assert simulator.scalepoint.case(f"b.{GUID}")["messages"] == ["Vi kommer tirsdag."]
    # Under the same correlation id something else may be said: the documents have one for all events of a case.
    assert send(hello | {"message": "Vi kommer onsdag."}).status == 202
    assert len(simulator.scalepoint.case(f"b.{GUID}")["messages"]) == 2
    # What was refused, or lost before it had an effect, was not sent: the second try is the first that counts.
    simulator.scalepoint.fail("send", 503)
    payment = PAYMENT | {"correlationId": GUID[::-1]}
    assert [send(payment).status for _ in range(2)] == [503, 400]
    simulator.scalepoint.know({"payments": [{"uuid": GUID}]})
    assert send(payment).status == 202
    assert simulator.scalepoint.received("send")[-1]["repeat"] is False


def test_other_troubles(simulator, send):
    simulator.scalepoint.behave(retry_after="7")
    simulator.scalepoint.fail("send", 503)
    simulator.scalepoint.fail("send", 429)
    simulator.scalepoint.fail("send", 500, times=2)
    simulator.scalepoint.fail("send", "lost")
    busy, many = send(NUMBER), send(NUMBER)
    assert (busy.status, busy.headers["Retry-After"]) == (503, "7")
    assert (many.status, many.headers["Retry-After"]) == (429, "7")
    assert [send(NUMBER).status for _ in range(2)] == [500, 500]
    with pytest.raises(http.client.RemoteDisconnected):
        send(NUMBER)
    assert simulator.scalepoint.case(f"b.{GUID}")["number"] == "", "nothing was done so far"
    simulator.scalepoint.fail("send", "slow", seconds=0.4)
    simulator.scalepoint.fail("send", "garbage")
    began = time.monotonic()
    assert send(NUMBER).status == 202
    assert time.monotonic() - began >= 0.4
    page = send(NUMBER)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html")
    assert send(NUMBER).status == 202
    for place, what in (("nowhere", 503), ("send", "explode"), ("send", 99), ("send", True)):
        with pytest.raises(ValueError, match="Unknown"):
            simulator.scalepoint.fail(place, what)


@pytest.mark.parametrize("address", [FILE, DAMAGE_FILE])
def test_files(simulator, address):
    proof = {"Authorization": bearer(simulator, "platform-service-provider:write")}
    place = "file" if address == FILE else "damage_file"
    url = f"{simulator.url}{address}"
    body = A_FILE | {"files": [{"fileName": "rapport.pdf"}]}
    assert post_json(url, body, **proof).status == 200
    assert simulator.scalepoint.received(place)[-1]["body"] == body
    required = ("securityToken", "payload", "payload.id", "payload.insuranceCompanyAlias", "payload.userEmail")
    for path in required:
        assert post_json(url, without(A_FILE, path), **proof).status == 400, path
    payload = A_FILE["payload"]
    for wrong in (
        A_FILE | {"securityToken": "no guid"},
        A_FILE | {"timestamp": 7},
        A_FILE | {"payload": payload | {"id": "7"}},
        A_FILE | {"payload": payload | {"userEmail": "bo"}},
        A_FILE | {"payload": payload | {"insuranceCompanyAlias": " "}},
    ):
        assert post_json(url, wrong, **proof).status == 400, wrong
    assert post_json(url, A_FILE, Authorization=bearer(simulator)).status == 403
    assert post_json(url, A_FILE, Content_Type="text/plain", **proof).status == 415
    simulator.scalepoint.close_case(GUID.upper())
    assert post_json(url, A_FILE, **proof).status == (400 if address == FILE else 200)


def test_files_of_a_known_partner(simulator):
    proof = {"Authorization": bearer(simulator, "platform-service-provider:write")}
    url = f"{simulator.url}{FILE}"
    simulator.scalepoint.register_partner("token-1", ["nord-eksempel"], ["bo@firma.example"])
    assert post_json(url, A_FILE, **proof).status == 400
    good = A_FILE | {"securityToken": "token-1"}
    assert post_json(url, good, **proof).status == 200
    for name, value in (("insuranceCompanyAlias", "syd-eksempel"), ("userEmail", "else@firma.example")):
        assert post_json(url, good | {"payload": A_FILE["payload"] | {name: value}}, **proof).status == 400


def test_expenses(simulator):
    url = f"{simulator.url}{EXPENSE}"
    proof = {"Authorization": bearer(simulator, "platform-service-provider:write")} | EXPENSE_HEADERS
    assert post_json(url, AN_EXPENSE, **proof).status == 200
    told = simulator.scalepoint.received("expense")[-1]
    assert (told["body"], told["effect"]) == (AN_EXPENSE, "the expense is kept")
    assert post_json(url, AN_EXPENSE, **proof).status == 200
    assert simulator.scalepoint.received("expense")[-1]["effect"] == "the number was used before"
    required = ["meta", "data.claim.id", "data.claim.tenant"]
    required += [f"data.expense.{name}" for name in AN_EXPENSE["data"]["expense"]]
    for path in required:
        assert post_json(url, without(AN_EXPENSE, path), **proof).status == 400, path
    untitled = json.loads(json.dumps(AN_EXPENSE))
    untitled["data"]["expense"]["items"] = [{"name": "Tagsten"}]
    assert post_json(url, untitled, **proof).status == 400
    assert post_json(url, AN_EXPENSE, **proof | {"Accept": "*/*"}).status == 406
    assert post_json(url, AN_EXPENSE, **{k: v for k, v in proof.items() if k != "Accept_Charset"}).status == 406
    simulator.scalepoint.behave(expense_scope="events")
    assert post_json(url, AN_EXPENSE, **proof).status == 403


def test_a_body_in_chunks(simulator):
    """As senders on .NET write it."""
    proof = bearer(simulator, "platform-service-provider:write")
    link = http.client.HTTPConnection("127.0.0.1", simulator.server_address[1], timeout=5)
    text = json.dumps(A_FILE).encode()
    headers = {"Content-Type": "application/json", "Authorization": proof}
    for _ in range(2):  # on one connection: the first body was read to its end
        link.request("POST", FILE, iter([text[:50], text[50:]]), headers, encode_chunked=True)
        answer = link.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    link.close()
