"""The endpoint over real sockets: what is answered, what is stored, what is not."""

import base64
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from crm.models import SecurityToken
from scalepoint_integration.models import InboundEvent, Refusal
from tests.support.live import PATH, Site
from tests.support.world import NORD_TOKEN, SECRET, SYD_TOKEN, World, assignment, merged

EVENT = assignment()
BODY = json.dumps(EVENT).encode()


def raw(web: Site, request: bytes, *, half_close: bool = False) -> tuple[int, bytes]:
    """Send bytes as they are; the status and the whole answer."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=15) as link:
        link.sendall(request)
        if half_close:
            link.shutdown(socket.SHUT_WR)
        answer = b""
        while part := link.recv(65536):
            answer = (answer + part).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            head, _, rest = answer.partition(b"\r\n\r\n")
            if b"content-length: %d\r\n" % len(rest) in head.lower() + b"\r\n":
                break
    return int(answer.split(b" ", 2)[1]), answer


def head(*lines: str, version: str = "1.1", method: str = "POST", path: str = PATH) -> bytes:
    auth = f"Authorization: Bearer {NORD_TOKEN}"
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", auth, *lines, "", ""]).encode()


def chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def stored() -> int:
    return InboundEvent.objects.count()


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "request_bytes",
    [
        head(JSON, f"Content-Length: {len(BODY)}") + BODY,
        head(JSON, "Transfer-Encoding: chunked") + chunked(BODY),
        head(JSON, "Transfer-Encoding: chunked") + chunked(BODY, 7),
        head(JSON, "Transfer-Encoding: chunked", "Trailer: X-Check")
        + chunked(BODY).removesuffix(b"\r\n")
        + b"X-Check: 1\r\n\r\n",
        head(JSON, "Connection: close", f"Content-Length: {len(BODY)}", version="1.0") + BODY,
        head("content-type: application/json; charset=utf-8", f"content-length: {len(BODY)}") + BODY,
        head(JSON, "Expect: 100-continue", f"Content-Length: {len(BODY)}") + BODY,
        head(f"Content-Length: {len(BODY)}") + BODY,
        head(JSON, f"Content-Length: {len(BODY)}", path=PATH + "repair/service/requested") + BODY,
        head(JSON, f"Content-Length: {len(BODY)}", path=PATH.rstrip("/")) + BODY,
        head(JSON, f"Content-Length: {len(BODY) + 3}") + b"\xef\xbb\xbf" + BODY,
    ],
    ids=[
        "length",
        "chunked",
        "small-chunks",
        "trailer",
        "http1.0",
        "lower",
        "expect",
        "no-type",
        "path",
        "slash",
        "bom",
    ],
)
def test_lawful_framings_are_accepted(web: Site, served: World, request_bytes: bytes) -> None:
    status, answer = raw(web, request_bytes)
    assert status == 202, answer
    assert [event.case_number for event in InboundEvent.objects.all()] == ["20310506-07"]


def test_the_answer_says_what_became_of_each_event(web: Site, served: World) -> None:
    other = assignment(2)
    status, answer = web.post([EVENT, other, EVENT])
    ids = dict(InboundEvent.objects.values_list("case_number", "pk"))
    assert (status, answer) == (
        202,
        {
            "accepted": 2,
            "duplicates": 1,
            "events": [
                {"id": ids["20310506-07"], "eventType": "repair_service_requested", "status": "accepted"},
                {"id": ids["20310506-00002"], "eventType": "repair_service_requested", "status": "accepted"},
                {"id": ids["20310506-07"], "eventType": "repair_service_requested", "status": "duplicate"},
            ],
        },
    )
    assert web.post(other)[1]["duplicates"] == 1
    assert stored() == 2


@pytest.mark.parametrize(
    "again",
    [
        dict(reversed(EVENT.items())),
        [EVENT],
        {"data": [EVENT], "meta": {}, "links": {"next": "https://scalepoint.example/?lastEventId=_1"}},
        {
            "id": "_1",
            "type": "repair_service_requested",
            "timestamp": "2031-05-06T07:00:00.123456789Z",
            "attributes": EVENT,
        },
        {"type": "repair_service_requested", "timestamp": "2031-05-06T07:00:00Z", "attributes": EVENT},
        {"data": [{"id": "_1", "type": "x", "attributes": EVENT}]},
        {
            "id": "_1",
            "type": "repair_service_requested",
            "attributes": {k: v for k, v in EVENT.items() if k != "eventType"},
        },
        {**EVENT, "securityToken": NORD_TOKEN},
    ],
    ids=["key-order", "list", "data", "wrapped", "wrapped-without-id", "batch", "type-outside", "with-token"],
)
def test_the_same_event_in_another_wrapping_is_one_event(web: Site, served: World, again: Any) -> None:
    assert web.post(EVENT)[1]["accepted"] == 1
    status, answer = web.post(again)
    assert (status, answer["accepted"], answer["duplicates"]) == (202, 0, 1)
    assert stored() == 1


def test_the_same_ids_with_other_content_is_another_event(web: Site, served: World) -> None:
    web.post(EVENT)
    assert web.post(merged(EVENT, {"case": {"damageType": "Loft"}}))[1]["accepted"] == 1
    assert stored() == 2


def test_twenty_copies_at_once_are_one_row(web: Site, served: World) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _each: web.post(EVENT), range(20)))
    assert [status for status, _answer in answers] == [202] * 20
    assert sum(answer["accepted"] for _status, answer in answers) == 1
    assert sum(answer["duplicates"] for _status, answer in answers) == 19
    assert stored() == 1


@pytest.mark.parametrize("event_type", ["claim_updated", "never_heard_of", "Ukendt"])
def test_an_unknown_type_or_version_is_stored(web: Site, served: World, event_type: str) -> None:
    status, answer = web.post({"eventType": event_type, "payloadVersion": "99.0.0"})
    assert (status, answer["accepted"]) == (202, 1)
    assert stored() == 1


# ---- Who may post -------------------------------------------------------------------------------------------------


def basic(user_name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user_name}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "insurer"),
    [
        (f"Bearer {NORD_TOKEN}", "nordins"),
        (f"bearer  {NORD_TOKEN} ", "nordins"),
        (f"Bearer {SYD_TOKEN}", "sydins"),
        (f"Bearer {SECRET}", None),
        (basic("invented-user", NORD_TOKEN), "nordins"),
        (basic("invented-user", SECRET), None),
    ],
)
def test_each_way_of_proof(web: Site, served: World, authorization: str, insurer: str | None) -> None:
    status, _answer = web.post(EVENT, token=None, Authorization=authorization)
    assert status == 202
    event = InboundEvent.objects.get()
    assert (event.insurer.alias if event.insurer else None) == insurer


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {NORD_TOKEN[:-1]}",
        f"Bearer {NORD_TOKEN}x",
        f"Bearer {NORD_TOKEN.upper()}",
        f"Bearer {NORD_TOKEN} {NORD_TOKEN}",
        "Bearer æøå-ÿ",
        f"Token {NORD_TOKEN}",
        NORD_TOKEN,
        basic("somebody-else", NORD_TOKEN),
        basic("", NORD_TOKEN),
        basic("invented-user", ""),
        basic("invented-user", "wrong"),
        "Basic not-base64!",
        "Basic /////w==",
        "Bearer " + "a" * 8000,
    ],
)
def test_a_wrong_proof_stores_nothing(web: Site, served: World, authorization: str | None) -> None:
    lines = [] if authorization is None else [f"Authorization: {authorization}"]
    start = [f"POST {PATH} HTTP/1.1", "Host: localhost", JSON, f"Content-Length: {len(BODY)}", *lines, "", ""]
    status, answer = raw(web, "\r\n".join(start).encode() + BODY)
    assert status == 401
    assert b"www-authenticate: bearer" in answer.lower()
    assert NORD_TOKEN.encode() not in answer
    assert stored() == 0
    refusal = Refusal.objects.get()
    assert (refusal.http_status, refusal.code, refusal.body) == (401, "SP-101", None)
    assert refusal.connection == served.connection
    assert refusal.size == len(BODY)


@pytest.mark.parametrize(
    "query", [f"?securityToken={NORD_TOKEN}", f"?token={NORD_TOKEN}", f"?access_token={NORD_TOKEN}"]
)
def test_a_token_in_the_address_proves_nothing(web: Site, served: World, query: str) -> None:
    assert web.post(EVENT, token=None, path=PATH + query)[0] == 401
    assert stored() == 0


def test_a_token_in_the_body_counts_only_where_it_is_switched_on(web: Site, served: World) -> None:
    with_token = {**EVENT, "securityToken": NORD_TOKEN}
    assert web.post(with_token, token=None)[0] == 401
    assert stored() == 0
    served.connection.allow_body_token = True
    served.connection.save()
    assert web.post({**EVENT, "token": NORD_TOKEN}, token=None)[0] == 401
    assert web.post({**EVENT, "securityToken": NORD_TOKEN[:-1]}, token=None)[0] == 401
    assert web.post({**EVENT, "securityToken": [NORD_TOKEN]}, token=None)[0] == 401
    assert web.post(b"not json", token=None)[0] == 401
    assert stored() == 0
    assert web.post(with_token, token=None)[0] == 202
    assert web.post(with_token, token="wrong in the header")[1]["duplicates"] == 1
    assert InboundEvent.objects.get().insurer == served.nord


@pytest.mark.parametrize("switch", ["allow_bearer", "allow_basic"])
def test_a_way_of_proof_that_is_switched_off_proves_nothing(web: Site, served: World, switch: str) -> None:
    setattr(served.connection, switch, False)
    served.connection.save()
    header = {"allow_bearer": f"Bearer {NORD_TOKEN}", "allow_basic": basic("invented-user", NORD_TOKEN)}
    assert web.post(EVENT, token=None, Authorization=header[switch])[0] == 401
    assert stored() == 0


def test_tokens_change_without_a_gap(web: Site, served: World) -> None:
    now = timezone.now()
    SecurityToken.objects.create(company=served.nord, token="invented-token-not-yet-03", valid_from=now + timedelta(1))
    new = SecurityToken.objects.create(company=served.nord, token="invented-token-of-nord-new-04")
    assert web.post(EVENT, token="invented-token-not-yet-03")[1]["error"]["code"] == "SP-102"
    assert web.post(EVENT, token="invented-token-of-nord-new-04")[0] == 202
    assert web.post(assignment(2), token=NORD_TOKEN)[0] == 202
    old = SecurityToken.objects.exclude(pk=new.pk).get(last4=NORD_TOKEN[-4:], company=served.nord)
    assert old.last_used_at is not None
    SecurityToken.objects.filter(pk=old.pk).update(expires_at=now)
    status, answer = web.post(assignment(3), token=NORD_TOKEN)
    assert (status, answer["error"]["code"]) == (401, "SP-102")
    assert stored() == 2


def test_switched_off_is_told_to_a_proven_sender_alone(web: Site, served: World) -> None:
    served.connection.switch = "off"
    served.connection.save()
    assert web.post(EVENT, token="wrong")[1]["error"]["code"] == "SP-101"
    status, answer = web.post(EVENT)
    assert (status, answer["error"]["code"]) == (403, "SP-103")
    assert stored() == 0


def test_on_hold_stores(web: Site, served: World) -> None:
    served.connection.switch = "paused"
    served.connection.save()
    assert web.post(EVENT)[0] == 202
    assert stored() == 1


@pytest.mark.parametrize("contract", ["9999", "233", "2332x", "%00", "%C3%A6", "'", "a" * 3000])
def test_no_such_contract(web: Site, served: World, contract: str) -> None:
    status, answer = web.post(EVENT, path=f"/api/scalepoint/v1/{contract}/")
    assert (status, answer["error"]["code"]) == (404, "SP-117")
    assert stored() == 0


# ---- What is no event ---------------------------------------------------------------------------------------------

DEEP = b'{"eventType":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"not json",
        b'{"eventType": "x"',
        b'{"eventType": "x"} {"eventType": "y"}',
        b'{"eventType": "x", "eventType": "y"}',
        b'{"eventType": "x", "a": {"b": 1, "b": 1}}',
        b'{"eventType": "x", "a": NaN}',
        b'{"eventType": "x", "a": -Infinity}',
        b'{"eventType": "x", "a": 1e400}',
        b'{"eventType": "x", "a": -1e400}',
        b'{"eventType": "x", "a": ' + b"9" * 5000 + b"}",
        b'{"eventType": "x", "a": 01}',
        b'{"eventType": "x", "a": "\t"}',
        b"{'eventType': 'x'}",
        b'{"eventType": "x", "a": "\xff"}',
        b'{"eventType": "x", "a": "\xed\xa0\x80"}',
        '{"eventType": "x"}'.encode("utf-16"),
        DEEP,
        b'{"eventType":"x","a":' + b"[" * 101 + b"]" * 101 + b"}",
        b"null",
        b"1",
        b'"eventType"',
        b"[]",
        b"{}",
        b"[[]]",
        b'{"data": []}',
        b'{"data": [1]}',
        b'{"eventType": ""}',
        b'{"eventType": null}',
        b'{"eventType": {"x": 1}}',
        b'{"type": "x"}',
        b'{"attributes": {}}',
        b'[{"eventType": "x"}, {"no": "type"}]',
        b"[" + b",".join(b'{"eventType": "x%d"}' % n for n in range(1001)) + b"]",
    ],
    ids=range(35),
)
def test_what_is_no_event_is_refused_without_an_echo(web: Site, served: World, body: bytes) -> None:
    status, answer = web.post(body)
    assert status == 400, answer
    assert answer["error"]["code"] == "SP-104"
    assert set(answer["error"]) == {"code", "message", "incident"}
    assert "eventType" not in json.dumps(answer)
    assert stored() == 0
    refusal = Refusal.objects.get()
    assert (refusal.http_status, refusal.size) == (400, len(body))
    assert refusal.incident == answer["error"]["incident"]
    assert (refusal.content() or b"") == body[: 64 * 1024]


def test_depth_a_hundred_is_accepted(web: Site, served: World) -> None:
    assert web.post(b'{"eventType":"x","a":' + b"[" * 99 + b"]" * 99 + b"}")[0] == 202
    assert stored() == 1


def test_a_thousand_events_at_once_are_accepted(web: Site, served: World) -> None:
    status, answer = web.post([{"eventType": "x", "n": n} for n in range(1000)])
    assert (status, answer["accepted"]) == (202, 1000)
    assert stored() == 1000


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\\u0000b", "a\ufffdb"), ("a\\ud800b", "a\ufffdb"), ("\\udfff", "\ufffd"), ("\\ud83d\\ude00", "\U0001f600")],
)
def test_odd_characters_are_cleaned_and_cost_no_case(web: Site, served: World, text: str, kept: str) -> None:
    body = b'{"eventType": "repair_service_requested", "case": {"number": "%s"}}' % text.encode()
    assert web.post(body)[0] == 202
    assert InboundEvent.objects.get().case_number == kept


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59-11:00", "x"]
)
def test_odd_dates_are_no_dates(web: Site, served: World, moment: str) -> None:
    assert web.post({**EVENT, "timestamp": moment})[0] == 202
    assert InboundEvent.objects.get().occurred_at is None


# ---- Forms, kinds and sizes ---------------------------------------------------------------------------------------


def multipart(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, str]:
    body = b""
    for name, file_name, content in parts:
        named = f'; filename="{file_name}"' if file_name else ""
        body += f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    return body + b"--b--\r\n", "multipart/form-data; boundary=b"


@pytest.mark.parametrize("field", ["payload", "event", "data"])
def test_a_form_with_images(web: Site, served: World, field: str) -> None:
    body, kind = multipart(
        (field, None, BODY), ("image1", "tag.jpg", b"\xff\xd8picture"), ("image2", "æ.png", b"\x89PNG")
    )
    assert web.post(body, Content_Type=kind)[0] == 202
    images = json.loads(InboundEvent.objects.get().content() or b"")["images"]
    assert [image.get("fileName") for image in images] == ["tag.jpg", "tag.jpg", "æ.png"]
    assert [base64.b64decode(image["content"]) for image in images[1:]] == [b"\xff\xd8picture", b"\x89PNG"]


def test_a_form_without_files(web: Site, served: World) -> None:
    kind = "application/x-www-form-urlencoded"
    assert web.post(urlencode({"payload": BODY}).encode(), Content_Type=kind)[0] == 202
    assert web.post(EVENT)[1]["duplicates"] == 1
    served.connection.allow_body_token = True
    served.connection.save()
    form = urlencode({"payload": json.dumps(assignment(2)), "securityToken": NORD_TOKEN}).encode()
    assert web.post(form, token=None, Content_Type=kind)[0] == 202
    assert stored() == 2


@pytest.mark.parametrize(
    "body",
    [
        multipart(("other", None, BODY))[0],
        multipart(("payload", None, b"not json"))[0],
        b"--b\r\nnonsense",
        b"",
        BODY,
    ],
    ids=["no-field", "no-json", "broken", "empty", "no-form"],
)
def test_a_broken_form(web: Site, served: World, body: bytes) -> None:
    status, answer = web.post(body, Content_Type="multipart/form-data; boundary=b")
    assert (status, answer["error"]["code"]) == (400, "SP-104")
    assert stored() == 0


@pytest.mark.parametrize(
    "header",
    [
        {"Content_Type": "text/html"},
        {"Content_Type": "application/xml"},
        {"Content_Type": "application/json; charset=utf-16"},
        {"Content_Type": "application/json; charset=zlib"},
        {"Content_Type": "application/json", "Content_Encoding": "gzip"},
        {"Content_Type": "application/json", "Content_Encoding": "br, identity"},
        {"Content_Type": ";;;"},
    ],
)
def test_unknown_kinds_are_refused(web: Site, served: World, header: dict[str, str]) -> None:
    status, answer = web.post(EVENT, **header)
    assert (status, answer["error"]["code"]) == (415, "SP-114")
    assert stored() == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_wrong_methods(web: Site, served: World, method: str) -> None:
    status, answer = raw(web, head(JSON, f"Content-Length: {len(BODY)}", method=method) + BODY)
    assert status == 405
    assert b"allow: get, head, post" in answer.lower()
    assert stored() == 0


@pytest.mark.parametrize("path", [PATH, "/api/scalepoint/v1/9999/", PATH + "any/thing"])
def test_a_probe_learns_nothing(web: Site, served: World, path: str) -> None:
    status, answer = raw(web, head(method="GET", path=path))
    assert status == 200
    assert answer.endswith(b"\r\n\r\n")


MIB = 1024 * 1024


@pytest.mark.parametrize("frame", ["length", "chunked"])
def test_over_long_bodies_are_refused(web: Site, served: World, frame: str) -> None:
    body = json.dumps({**EVENT, "filler": "x" * (10 * MIB)}).encode()
    lengths = {
        "length": head(JSON, f"Content-Length: {len(body)}") + body,
        "chunked": head(JSON, "Transfer-Encoding: chunked") + chunked(body, 65536),
    }
    assert raw(web, lengths[frame])[0] == 413
    assert stored() == 0
    assert Refusal.objects.get().code == "SP-113"


def test_the_limit_is_wider_with_images(web: Site, served: World) -> None:
    image = {"fileName": "stor.jpg", "content": base64.b64encode(b"x" * (11 * MIB)).decode()}
    assert web.post({**EVENT, "images": [image]})[0] == 202
    assert web.post({**EVENT, "images": [image] * 3})[0] == 413
    assert stored() == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        head(JSON, f"Content-Length: {len(BODY) + 100}") + BODY,
        head(JSON, "Transfer-Encoding: chunked") + chunked(BODY)[:-9],
        head(JSON, "Transfer-Encoding: chunked") + b"zz\r\n" + BODY,
        head(JSON, "Content-Length: x") + BODY,
        head(JSON, "Content-Length: -1") + BODY,
        head(JSON, "Content-Length: 10", "Content-Length: 20") + BODY,
    ],
    ids=["short", "half-chunk", "bad-chunk", "no-number", "negative", "two-lengths"],
)
def test_a_body_that_breaks_off_is_no_event(web: Site, served: World, request_bytes: bytes) -> None:
    with suppress(OSError, IndexError):  # the server may also hang up without a word
        status, _answer = raw(web, request_bytes, half_close=True)
        assert status == 400
    assert web.post(assignment(2))[0] == 202  # and it still serves
    assert stored() == 1


# ---- Secrets and refusals -----------------------------------------------------------------------------------------


def test_nothing_secret_is_stored(web: Site, served: World) -> None:
    event = {
        **EVENT,
        "securityToken": NORD_TOKEN,
        "Security_Token": "another-secret-thing",
        "password": "another-secret-thing",
        "note": f"my token is {NORD_TOKEN}!",
        "deep": [{"accessToken": "another-secret-thing", NORD_TOKEN: NORD_TOKEN}],
    }
    assert web.post(event)[0] == 202
    body = InboundEvent.objects.get().content() or b""
    assert NORD_TOKEN.encode() not in body
    assert b"another-secret-thing" not in body
    assert "my token is •••!".encode() in body
    assert b"b.7b0c1f5e" in body  # the case's token is no secret
    broken = b'{"securityToken": "another-secret-thing", "note": "' + NORD_TOKEN.encode() + b'"'
    assert web.post(broken)[0] == 400
    form, kind = multipart(("securityToken", None, b"another-secret-thing"), ("x", None, b"y"))
    assert web.post(form, Content_Type=kind)[0] == 400
    for refusal in Refusal.objects.all():
        assert NORD_TOKEN.encode() not in (refusal.content() or b"")
        assert b"another-secret-thing" not in (refusal.content() or b"")
    assert NORD_TOKEN not in web.log("web").read_text()


def test_the_list_of_refusals_is_bounded(web: Site, served: World) -> None:
    Refusal.objects.bulk_create(
        Refusal(connection=served.connection, http_status=401, code="SP-101", incident="old") for _each in range(250)
    )
    web.post(EVENT, token="a wrong token 8f3c")
    assert Refusal.objects.count() == 200
    newest = Refusal.objects.order_by("-pk")[0]
    assert (newest.token_last4, newest.body, newest.remote_address) == ("8f3c", None, "127.0.0.1")


def test_too_many_wrong_tries_and_a_right_one(web: Site, served: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: web.post(EVENT, token=f"wrong {n}")[0], range(320)))
    assert set(answers) == {401, 429}
    assert answers.count(401) <= 300
    assert Refusal.objects.count() == 200
    assert web.post(EVENT)[0] == 202  # who proves himself is never held back
    assert stored() == 1
