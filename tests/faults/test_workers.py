"""Workers that die, hang, race and stand still: no case is lost, doubled or half-made."""

import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import OwnSite, freeze, kill, thaw
from tests.support.live import eventually
from tests.support.world import assignment

pytestmark = pytest.mark.faults

CASES = 1000
EVENTS = "scalepoint_integration_inboundevent"


def post_all(site: OwnSite, count: int) -> None:
    """Post cases as Scalepoint would: what is not answered with 202 is sent again."""

    def post(number: int) -> None:
        for _try in range(50):
            try:
                if site.post(assignment(number))[0] == 202:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.1)
        raise AssertionError(f"case {number} was never accepted")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(1, count + 1)))


def further(posting: "Future[None]", site: OwnSite, tasks: int) -> bool:
    return posting.done() or site.tasks() > tasks


def until_all_is_handled(site: OwnSite) -> None:
    """A loaded machine may take as long as it takes; what must not be is that nothing moves."""
    while waiting := site.waiting():
        eventually(
            partial(fewer, site, waiting), 45, lambda: f"{site.waiting()} wait and nothing moves\n{site.tails()}"
        )


def fewer(site: OwnSite, waiting: int) -> bool:
    return site.waiting() < waiting


def nothing_lost_or_doubled(site: OwnSite, count: int) -> None:
    assert site.tasks() == count
    assert site.ask("SELECT count(DISTINCT scalepoint_id) FROM scalepoint_tasks_task") == count
    assert site.count("scalepoint_integration_case", "status = 'in_progress'") == count
    assert site.count("scalepoint_crm_customer") == count
    assert site.count("scalepoint_tasks_taskcheckitem") == 3 * count
    assert site.count("scalepoint_integration_imagepull") == count
    assert site.count("scalepoint_integration_inboundevent", "status = 'done'") == count


def test_worker_broker_and_web_killed_in_a_burst(own_site: OwnSite) -> None:
    """kill -9 of everything but the database, again and again, during a burst of a thousand cases."""
    web, beat = own_site.web(2), own_site.beat()
    # Cases have workers of their own, as in production: nothing is there to fetch the images from.
    workers = [own_site.worker(name, "scalepoint") for name in ("one", "two")]
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post_all, own_site, CASES)
        for round_ in range(6):
            eventually(partial(further, posting, own_site, round_ * 100), 60)
            at = round_ % 2
            kill(workers[at])
            workers[at] = own_site.worker(("one", "two")[at], "scalepoint")
            if round_ in (1, 3):
                assert own_site.redis.process
                kill(own_site.redis.process)
                own_site.redis.start()
            if round_ == 2:
                kill(web)
                web = own_site.web(2)
            if round_ == 4:
                kill(beat)
                beat = own_site.beat()
        posting.result(timeout=120)
    until_all_is_handled(own_site)
    nothing_lost_or_doubled(own_site, CASES)


def test_an_event_that_kills_its_worker_is_given_up_and_the_others_go_on(own_site: OwnSite) -> None:
    own_site.web()
    poison = [{"eventType": "kills_its_worker"}, *({"eventType": "counts", "n": n} for n in range(49))]
    assert own_site.post(poison)[1]["accepted"] == 50
    own_site.worker(concurrency=1)
    own_site.beat()
    eventually(lambda: own_site.waiting() == 0, 90)
    assert own_site.count("scalepoint_crm_customer", "name LIKE 'counted %%'") == 49
    assert own_site.count("scalepoint_crm_customer", "name = 'half made'") == 0
    failed = f"SELECT array_agg(event_type || ' ' || attempts) FROM {EVENTS} WHERE status = 'failed'"
    assert own_site.ask(failed) == ["kills_its_worker 4"]
    # The innocent ones were claimed together with the poison once, and never burnt a second attempt with it.
    assert own_site.ask(f"SELECT max(attempts) FROM {EVENTS} WHERE event_type = 'counts'") <= 2


def test_a_worker_that_stood_still_can_not_commit_over_the_new_owner(own_site: OwnSite, tmp_path: Path) -> None:
    own_site.web()
    began, go = tmp_path / "began", tmp_path / "go"
    own_site.post({"eventType": "takes_long", "began": str(began), "go": str(go)})
    slow = own_site.manage("scalepoint_work", "--once")
    eventually(began.exists, 20)
    freeze(slow)
    go.touch()
    time.sleep(4.2)  # a lease is an amount of time: there is nothing else to wait for
    other = own_site.manage("scalepoint_work", "--once")
    assert other.wait(30) == 0
    assert own_site.ask("SELECT array_agg(name) FROM scalepoint_crm_customer") == ["slow 2"]
    thaw(slow)
    assert slow.wait(30) == 0
    assert own_site.ask("SELECT array_agg(name) FROM scalepoint_crm_customer") == ["slow 2"]
    assert own_site.ask("SELECT status || claims FROM scalepoint_integration_inboundevent") == "done2"


def test_a_handler_that_hangs_is_ended_and_the_others_go_on(own_site: OwnSite, tmp_path: Path) -> None:
    own_site.web()
    own_site.worker(concurrency=2)
    own_site.beat()
    hanging = {"eventType": "takes_long", "began": str(tmp_path / "began"), "go": str(tmp_path / "never")}
    own_site.post([hanging, *({"eventType": "counts", "n": n} for n in range(20))])
    eventually(lambda: own_site.count("scalepoint_crm_customer", "name LIKE 'counted %%'") == 20, 60)
    eventually(lambda: own_site.waiting() == 0, 60)
    assert own_site.count("scalepoint_integration_inboundevent", "status = 'failed'") == 1
    assert own_site.count("scalepoint_crm_customer", "name LIKE 'slow%%'") == 0


def test_a_job_that_is_interrupted_in_a_query_spoils_no_other_job(own_site: OwnSite) -> None:
    """Celery's soft time limit is an exception out of any line. Out of a query that is under way it leaves a connection
    that never answers again; whoever keeps it fails at every later job, at once, and so takes all of them."""
    own_site.web()
    post_all(own_site, 5)
    with psycopg.connect(own_site.postgres.url) as other:
        # Read by a drain outside any transaction of its own, which would clean up behind itself.
        other.execute("LOCK TABLE crm_insurancecompany IN ACCESS EXCLUSIVE MODE")
        worker = own_site.worker(concurrency=1)
        own_site.beat()
        eventually(lambda: "Soft time limit" in own_site.log("worker").read_text(), 30)
        other.rollback()
    eventually(lambda: own_site.waiting() == 0, 40, lambda: own_site.log("worker").read_text()[-2000:])
    assert worker.poll() is None
    nothing_lost_or_doubled(own_site, 5)


def test_without_celery_a_command_does_the_work(own_site: OwnSite) -> None:
    own_site.web()
    post_all(own_site, 20)
    assert own_site.manage("scalepoint_work", "--once").wait(60) == 0
    assert own_site.tasks() == 20


def test_two_commands_at_once_share_the_work(own_site: OwnSite) -> None:
    own_site.web()
    post_all(own_site, 200)
    racing = [own_site.manage("scalepoint_work", "--once") for _each in range(3)]
    assert [process.wait(90) for process in racing] == [0, 0, 0]
    eventually(lambda: own_site.manage("scalepoint_work", "--once").wait(60) == 0 and own_site.waiting() == 0, 60)
    nothing_lost_or_doubled(own_site, 200)


def test_cases_of_one_person_at_once_make_one_customer(own_site: OwnSite) -> None:
    own_site.ask(
        "UPDATE scalepoint_integration_defaultvalues SET phone_as_customer_number = true RETURNING connection_id"
    )
    own_site.web()
    for number in range(1, 121):
        event = assignment(number)
        event["policyHolder"]["phoneNumber"] = f"00 11 22 {number % 4:02d}"
        assert own_site.post(event)[0] == 202
    racing = [own_site.manage("scalepoint_work", "--once") for _each in range(3)]
    assert [process.wait(90) for process in racing] == [0, 0, 0]
    eventually(lambda: own_site.manage("scalepoint_work", "--once").wait(60) == 0 and own_site.waiting() == 0, 60)
    assert (own_site.tasks(), own_site.count("scalepoint_crm_customer")) == (120, 4)


def test_a_worker_that_is_asked_to_stop_finishes_what_it_does(own_site: OwnSite) -> None:
    own_site.web()
    worker = own_site.worker()
    post_all(own_site, 60)
    eventually(lambda: own_site.tasks() > 0, 30)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(30) == 0
    own_site.worker("next")
    own_site.beat()
    eventually(lambda: own_site.waiting() == 0, 60)
    nothing_lost_or_doubled(own_site, 60)
