"""Events out to a site's endpoint: again until they are taken, twice or in another order on demand, with a proof."""

import json
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from scalepoint_integration.simulator.stories import make_stories
from scalepoint_integration.simulator.webhooks import fetched, fixed, push, push_events, push_stories
from tests.scalepoint_integration.simulator.conftest import post_json

BODIES = [{"eventType": "message_received", "number": number, "text": "Åse"} for number in range(12)]
SECRET = "secret-of-the-client"
INSURERS = [
    {"name": "N", "alias": "n", "sub_alias": "", "token": "secret-token-1"},
    {"name": "S", "alias": "s", "sub_alias": "t", "token": "secret-token-2"},
]


class Site(ThreadingHTTPServer):
    """Answers an event with ``rule(event, how often it came)``, 0 is no answer at all; gives out access tokens t1, t2
    ... and takes all that are not in ``refused``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rule: Callable[[Any, int], int] = lambda event, times: 202
        self.events: list[Any] = []
        self.proofs: list[str] = []
        self.heads: list[dict[str, str]] = []
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self.refused: set[str] = set()
        self.token_status, self.expires_in, self.retry_after = 200, 3600.0, "0"
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/scalepoint/v1/2332/"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def client(self) -> dict[str, Any]:
        return {"token_url": f"{self.url}token", "client_id": "invented", "client_secret": SECRET}

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        proof, site = self.headers.get("Authorization", ""), self.server
        if self.path.endswith("/token"):
            with site.lock:
                site.asked.append((parse_qs(body.decode()), proof))
                said = {"access_token": f"t{len(site.asked)}", "expires_in": site.expires_in}
            return self.say(site.token_status, json.dumps(said).encode())
        event = json.loads(body)
        with site.lock:
            site.events.append(event)
            site.proofs.append(proof)
            site.heads.append(dict(self.headers))
            status = (
                401 if proof.removeprefix("Bearer ") in site.refused else site.rule(event, site.events.count(event))
            )
        return self.say(status) if status else None

    def say(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made
        made.shutdown()


def numbers(site: Site) -> list[int]:
    return [each["number"] for each in site.events]


def test_each_is_posted_once_as_it_is_with_its_proof(site):
    outcome = push(BODIES, site.url, fixed("secret-token"))
    assert (outcome.posted, outcome.accepted, outcome.deliveries, outcome.errors) == (12, 12, 12, [])
    assert sorted(numbers(site)) == list(range(12))
    assert all(each in BODIES for each in site.events)
    assert set(site.proofs) == {"Bearer secret-token"}
    assert {each["Content-Type"] for each in site.heads} == {"application/json; charset=utf-8"}


def test_one_proof_for_each(site):
    push(BODIES[:3], site.url, [fixed(f"t-{number}") for number in range(3)], threads=1)
    assert site.proofs == ["Bearer t-0", "Bearer t-1", "Bearer t-2"]


@pytest.mark.parametrize("trouble", [0, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(site, trouble):
    site.rule = lambda event, times: 202 if times > 2 else trouble
    outcome = push(BODIES, site.url, fixed("x"), threads=12)
    assert (outcome.accepted, outcome.deliveries) == (12, 12)
    assert set(Counter(numbers(site)).values()) == {3}


def test_it_waits_as_long_as_it_is_asked_to(site):
    site.retry_after = "1"
    site.rule = lambda event, times: 202 if times > 1 else 503
    began = time.monotonic()
    assert push(BODIES[:1], site.url, fixed("x")).accepted == 1
    assert 1 <= time.monotonic() - began < 4


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_success_is_taken(site, status):
    site.rule = lambda event, times: status
    assert push(BODIES, site.url, fixed("x")).accepted == len(site.events) == 12


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 413])
def test_any_other_answer_is_final_and_told_without_the_token(site, status):
    site.rule = lambda event, times: 202 if event["number"] != 3 else status
    outcome = push(BODIES, site.url, fixed("secret-token"))
    assert (outcome.accepted, outcome.errors) == (11, [f"3: answered {status}"])
    assert len(site.events) == 12


def test_it_gives_up_after_a_while_and_can_be_stopped(site):
    site.rule = lambda event, times: 503
    began = time.monotonic()
    outcome = push(BODIES[:2], site.url, fixed("x"), seconds=0.5)
    assert outcome.errors == ["0: answered 503", "1: answered 503"]
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    assert push(BODIES[:2], site.url, fixed("x"), stopping=stopping).accepted == 0
    assert time.monotonic() - began < 5


def test_doubles_and_another_order(site):
    assert push(BODIES, site.url, fixed("x"), threads=1).accepted == 12
    assert numbers(site) == list(range(12)), "with one thread in their order"
    site.events.clear()
    outcome = push(BODIES, site.url, fixed("x"), copies=3, shuffle=7, threads=1)
    assert (outcome.posted, outcome.accepted, outcome.deliveries) == (12, 12, 36)
    first = numbers(site)
    assert Counter(first) == dict.fromkeys(range(12), 3)
    assert first != sorted(first)
    site.events.clear()
    push(BODIES, site.url, fixed("x"), copies=3, shuffle=7, threads=1)
    assert numbers(site) == first


# ---- Access tokens of the site ------------------------------------------------------------------------------------
def test_an_access_token_is_fetched_once_however_many_ask(site):
    assert push(BODIES, site.url, fetched(**site.client, scope="events")).accepted == 12
    form = {"grant_type": ["client_credentials"], "client_id": ["invented"], "client_secret": [SECRET]}
    assert site.asked == [(form | {"scope": ["events"]}, "")]
    assert set(site.proofs) == {"Bearer t1"}


def test_the_secret_can_go_into_the_header(site):
    client = site.client | {"client_id": "with space+", "basic": True}
    assert push(BODIES[:1], site.url, fetched(**client)).accepted == 1
    pair = b64encode(f"with+space%2B:{SECRET}".encode()).decode()
    assert site.asked == [({"grant_type": ["client_credentials"]}, f"Basic {pair}")]


def test_a_token_that_has_expired_is_fetched_anew(site):
    site.expires_in = 0
    assert push(BODIES[:3], site.url, fetched(**site.client), threads=1).accepted == 3
    assert site.proofs == ["Bearer t1", "Bearer t2", "Bearer t3"]


def test_after_a_401_it_tries_once_with_another_token(site):
    site.refused = {"t1"}
    assert push(BODIES, site.url, fetched(**site.client), threads=1).accepted == 12
    assert site.proofs == ["Bearer t1", *["Bearer t2"] * 12]
    site.refused = {"t3", "t4", "t5"}
    outcome = push(BODIES[:1], site.url, fetched(**site.client), threads=1)
    assert outcome.errors == ["0: answered 401"]
    assert site.proofs[13:] == ["Bearer t3", "Bearer t4"]


def test_a_token_address_that_says_no(site):
    site.token_status = 400
    outcome = push(BODIES[:1], site.url, fetched(**site.client), seconds=0.5)
    assert outcome.errors == ["0: the token address answered 400"]
    assert site.events == []
    assert len(site.asked) > 1, "it may pass"


# ---- Through the simulator ----------------------------------------------------------------------------------------
def test_events_are_wrapped_and_known(site, simulator):
    event = {"eventType": "case_settled", "timestamp": "2031-06-12T08:00:00+02:00", "case": {"token": "ic.1"}}
    event |= {"payments": [{"uuid": "p-1"}]}
    for wrapping, keys in (
        ("flat", set(event)),
        ("with id", {"id", "type", "timestamp", "attributes"}),
        ("without id", {"type", "timestamp", "attributes"}),
    ):
        outcome = push_events(simulator.scalepoint, [event], site.url, "x", wrapping=wrapping)
        assert outcome.accepted == 1
        assert set(site.events[-1]) == keys
        assert site.events[-1].get("attributes", site.events[-1]) == event
    assert simulator.scalepoint.case("ic.1") == {"number": "", "closed": False, "messages": []}
    assert simulator.scalepoint.payment("p-1") == ""
    with pytest.raises(ValueError, match="no wrapping"):
        push_events(simulator.scalepoint, [event], site.url, "x", wrapping="in paper")


def test_stories_come_in_their_order_with_the_token_of_each_insurer(site, simulator):
    stories = list(make_stories(8, 1, INSURERS, f"{simulator.url}/images"))
    outcome = push_stories(simulator.scalepoint, 8, INSURERS, site.url)
    flat = [event for story in stories for event in story.events]
    assert (outcome.posted, outcome.accepted, outcome.errors) == (len(flat), len(flat), [])
    assert [each.get("attributes", each) for each in site.events] == flat
    assert site.proofs == [f"Bearer {story.case.token}" for story in stories for _event in story.events]
    assert set(site.proofs) == {"Bearer secret-token-1", "Bearer secret-token-2"}
    shapes = {("id" in each, "attributes" in each) for each in site.events}
    assert len(shapes) == 3, "all three wrappings"
    for story in stories:
        assert simulator.scalepoint.case(f"b.{story.case.event['case']['id']}")


def test_over_the_control_routes(site, simulator):
    said = {"events": BODIES[:2], "endpoint": site.url, "client": site.client, "copies": 2, "threads": 1}
    outcome = post_json(f"{simulator.url}/control/push", said).json["result"]
    assert outcome == {"posted": 2, "accepted": 2, "deliveries": 4, "errors": []}
    assert numbers(site) == [0, 0, 1, 1]
    assert len(site.asked) == 1
    site.events.clear()
    said = {"count": 2, "insurers": INSURERS, "endpoint": site.url, "wrapping": "flat", "bearer": "one-for-all"}
    outcome = post_json(f"{simulator.url}/control/push_stories", said).json["result"]
    assert outcome["accepted"] == len(site.events) > 20
    assert site.proofs[-1] == "Bearer one-for-all"
    assert all("eventType" in each for each in site.events)
