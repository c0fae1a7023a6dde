"""Posting cases: to an endpoint that says what each test needs."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scalepoint_integration.simulator.cases import make_cases
from scalepoint_integration.simulator.sender import send

INSURERS = [{"name": "N", "alias": "n", "sub_alias": "", "token": "secret-token"}]
Rule = Callable[[str, int], int]


class Endpoint(ThreadingHTTPServer):
    """Answers with ``rule(case number, how often it came)``; 0 is no answer at all."""

    daemon_threads = True

    def __init__(self, rule: Rule) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rule, self.numbers, self.heads, self.lock = rule, [], [], threading.Lock()
        self.busy = self.busiest = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/scalepoint/v1/2332/"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        with self.server.lock:
            self.server.busy += 1
            self.server.busiest = max(self.server.busy, self.server.busiest)
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["case"]["number"]
        time.sleep(0.01)
        with self.server.lock:
            self.server.busy -= 1
            self.server.numbers.append(number)
            self.server.heads.append((self.path, dict(self.headers)))
            status = self.server.rule(number, self.server.numbers.count(number))
        if status:
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Callable[[Rule], Endpoint]]:
    made: list[Endpoint] = []

    def make(rule: Rule) -> Endpoint:
        made.append(Endpoint(rule))
        return made[-1]

    yield make
    for each in made:
        each.shutdown()
        each.server_close()


@pytest.fixture(scope="module")
def cases():
    return list(make_cases(12, 1, INSURERS, "http://127.0.0.1:9/images"))


def test_every_case_is_posted_once_with_its_token(endpoint, cases):
    site = endpoint(lambda number, times: 202)
    outcome = send(cases, site.url)
    assert (outcome.posted, outcome.accepted, outcome.deliveries, outcome.errors) == (12, 12, 12, [])
    assert Counter(site.numbers) == {each.case_number: 1 for each in cases}
    path, head = site.heads[0]
    assert path == "/api/scalepoint/v1/2332/"
    assert head["Authorization"] == "Bearer secret-token"
    assert head["Content-Type"] == "application/json; charset=utf-8"
    assert 1 < site.busiest <= 4


@pytest.mark.parametrize("trouble", [0, 429, 500, 503])
def test_what_may_pass_is_tried_again(endpoint, cases, trouble):
    site = endpoint(lambda number, times: 202 if times > 2 else trouble)
    assert send(cases, site.url, threads=12).accepted == 12
    assert set(Counter(site.numbers).values()) == {3}


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413])
def test_any_other_answer_is_final(endpoint, cases, status):
    site = endpoint(lambda number, times: 202 if number != cases[3].case_number else status)
    outcome = send(cases, site.url)
    assert (outcome.posted, outcome.accepted) == (12, 11)
    assert outcome.errors == [f"{cases[3].case_number}: answered {status}"]
    assert len(site.numbers) == 12


def test_it_gives_up_after_a_while(endpoint, cases):
    began = time.monotonic()
    outcome = send(cases[:2], endpoint(lambda number, times: 503).url, seconds=0.5)
    assert time.monotonic() - began < 3
    assert outcome.accepted == 0
    assert outcome.errors == [f"{each.case_number}: answered 503" for each in cases[:2]]


def test_nobody_listens(endpoint, cases):
    site = endpoint(lambda number, times: 202)
    site.shutdown()
    site.server_close()
    outcome = send(cases[:1], site.url, seconds=0.3)
    assert outcome.errors == [f"{cases[0].case_number}: no answer (ConnectionRefusedError)"]


def test_doubles_and_another_order(endpoint, cases):
    site = endpoint(lambda number, times: 202)
    outcome = send(cases, site.url, copies=3, shuffle=7, threads=1)
    assert (outcome.posted, outcome.accepted, outcome.deliveries) == (12, 12, 36)
    assert set(Counter(site.numbers).values()) == {3}
    assert site.numbers != sorted(site.numbers)
    first = site.numbers.copy()
    site.numbers.clear()
    send(cases, site.url, copies=3, shuffle=7, threads=1)
    assert site.numbers == first


def test_it_can_be_stopped(endpoint, cases):
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    began = time.monotonic()
    outcome = send(cases, endpoint(lambda number, times: 503).url, stopping=stopping)
    assert time.monotonic() - began < 3
    assert outcome.accepted == 0
