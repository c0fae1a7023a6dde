"""A broker or a database that is gone, frozen, full or locked: the sender gets the right answer in time."""

import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

import psycopg
import pytest
import redis

from tests.faults.conftest import OwnSite, freeze, kill, thaw
from tests.support.live import eventually
from tests.support.world import assignment

pytestmark = pytest.mark.faults

_EVENTS = "scalepoint_integration_inboundevent"


def timed(site: OwnSite, number: int) -> tuple[int, Any, float]:
    begun = time.monotonic()
    status, answer = site.post(assignment(number), timeout=30)
    return status, answer, time.monotonic() - begun


@pytest.mark.parametrize("fault", ["gone", "frozen"])
def test_a_case_is_accepted_at_once_without_a_broker_and_arrives_later(own_site: OwnSite, fault: str) -> None:
    own_site.web()
    own_site.worker()
    own_site.beat()
    assert timed(own_site, 1)[0] == 202
    eventually(lambda: own_site.tasks() == 1, 30)
    broker = own_site.redis.process
    assert broker
    kill(broker) if fault == "gone" else freeze(broker)
    answers = [timed(own_site, number) for number in range(2, 12)]
    assert [status for status, _answer, _seconds in answers] == [202] * 10
    assert max(seconds for _status, _answer, seconds in answers) < 0.5
    own_site.redis.start() if fault == "gone" else thaw(broker)
    eventually(lambda: own_site.tasks() == 11, 60, own_site.waiting)


def test_a_broker_that_forgot_everything_costs_nothing(own_site: OwnSite) -> None:
    own_site.web()
    for number in range(1, 11):
        assert own_site.post(assignment(number))[0] == 202
    redis.Redis.from_url(own_site.redis.url).flushall()
    own_site.worker()
    own_site.beat()
    eventually(lambda: own_site.tasks() == 10, 60)


def refused_in_time(site: OwnSite, number: int) -> None:
    status, answer, seconds = timed(site, number)
    assert (status, answer["error"]["code"]) == (503, "SP-116")
    assert seconds < 10


def test_a_database_that_is_gone(own_site: OwnSite) -> None:
    own_site.web()
    assert timed(own_site, 1)[0] == 202
    database = own_site.postgres.process
    assert database
    kill(database)
    refused_in_time(own_site, 2)
    own_site.postgres.start()
    # And the first answer after it is back is no error: a connection is asked before it is used.
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, *_rest in pool.map(lambda n: timed(own_site, n), range(3, 23))} == {202}
    assert own_site.count("scalepoint_integration_inboundevent") == 21


def test_a_database_that_is_frozen(own_site: OwnSite) -> None:
    own_site.web()
    assert timed(own_site, 1)[0] == 202
    database = own_site.postgres.process
    assert database
    freeze(database)
    with ThreadPoolExecutor(4) as pool:  # on connections that are open, and on new ones
        list(pool.map(lambda number: refused_in_time(own_site, number), range(2, 6)))
    thaw(database)
    assert timed(own_site, 9)[0] == 202
    # What was sent into the frozen server may have been stored: in doubt, and harmless to send again.
    assert {timed(own_site, number)[0] for number in range(2, 6)} == {202}
    assert own_site.count("scalepoint_integration_inboundevent") == 6


def test_a_table_that_is_locked(own_site: OwnSite) -> None:
    own_site.web()
    with psycopg.connect(own_site.postgres.url) as link:
        link.execute("LOCK TABLE scalepoint_integration_inboundevent")
        refused_in_time(own_site, 1)
    assert timed(own_site, 1)[0] == 202
    assert own_site.count("scalepoint_integration_inboundevent") == 1


def test_a_database_that_only_reads(own_site: OwnSite) -> None:
    with psycopg.connect(own_site.postgres.url, autocommit=True) as link:
        link.execute("ALTER DATABASE scalepoint SET default_transaction_read_only = on")
    own_site.web()
    refused_in_time(own_site, 1)


def test_a_database_without_free_connections(own_site: OwnSite) -> None:
    own_site.web()
    links = []
    try:
        with pytest.raises(psycopg.OperationalError):
            while True:
                links.append(psycopg.connect(own_site.postgres.url))
        refused_in_time(own_site, 1)
    finally:
        for link in links:
            link.close()
    assert timed(own_site, 1)[0] == 202


def test_a_database_that_is_full(own_site: OwnSite) -> None:
    """No file may grow beyond a limit: what a full disk looks like to PostgreSQL."""
    own_site.postgres.stop()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24 * 1024 * 1024, hard))
    try:
        own_site.postgres.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    own_site.web()
    big = [{**assignment(number), "filler": os.urandom(1_000_000).hex()} for number in range(1, 20)]
    answers = [own_site.post(event)[0] for event in big]
    accepted = answers.count(202)
    assert answers == [202] * accepted + [503] * (19 - accepted)
    assert 5 < accepted < 19
    assert own_site.post(big[0])[1]["duplicates"] == 1
    # What still has room goes through.
    assert own_site.post({"eventType": "counts", "n": 1})[0] == 202
    assert own_site.count(_EVENTS) == accepted + 1


def test_no_accepted_event_is_lost_when_the_web_process_is_killed_under_load(own_site: OwnSite) -> None:
    web = own_site.web(2)
    accepted: set[int] = set()
    doubtful: set[int] = set()

    def send(numbers: range) -> None:
        for number in numbers:
            try:
                status, _answer = own_site.post({"eventType": "counts", "case": {"number": str(number)}}, timeout=5)
                (accepted if status == 202 else doubtful).add(number)
            except (OSError, HTTPException):
                doubtful.add(number)

    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(send, range(start, start + 250)) for start in range(0, 1000, 250)]
        for _round in range(3):
            eventually(lambda: len(accepted) > 50 or all(each.done() for each in sending), 30)
            os.killpg(web.pid, signal.SIGKILL)
            web = own_site.web(2)
        for each in sending:
            each.result(60)
    stored = own_site.ask("SELECT array_agg(case_number::int) FROM " + _EVENTS)
    assert len(stored) == len(set(stored))
    assert accepted <= set(stored) <= accepted | doubtful
