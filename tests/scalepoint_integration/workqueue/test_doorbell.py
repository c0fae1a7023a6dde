"""A ring is worth a try and nothing more: it never raises, never waits, and many wishes are one ring."""

import logging
import os
import time
from collections.abc import Iterator

import pytest
import redis
from celery import current_app
from pytest_django import Settings

from scalepoint_integration import jobs, queues
from scalepoint_integration.workqueue import doorbell
from tests.support.live import eventually


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    yield client
    client.flushdb()


def rings(broker: "redis.Redis", queue: str) -> int:
    return int(broker.llen(queue))  # type: ignore[arg-type]


def test_many_wishes_are_one_ring_until_it_is_answered(broker: "redis.Redis") -> None:
    for _each in range(20):
        doorbell.ring(queues.EVENTS)
    eventually(lambda: rings(broker, "scalepoint") == 1, 5)
    for job, queue in ((queues.IMAGES, "images"), (queues.OUTBOUND, "outbound"), (queues.POLL, "poll")):
        doorbell.ring(job)
        eventually(lambda queue=queue: rings(broker, f"scalepoint-{queue}") == 1, 5)
    assert rings(broker, "scalepoint") == 1
    doorbell.answered(queues.EVENTS)
    doorbell.ring(queues.EVENTS)
    eventually(lambda: rings(broker, "scalepoint") == 2, 5)


def test_a_ring_carries_nothing(broker: "redis.Redis") -> None:
    doorbell.ring(queues.EVENTS)
    eventually(lambda: rings(broker, "scalepoint") == 1, 5)
    message = broker.lindex("scalepoint", 0)
    assert b'"argsrepr": "()", "kwargsrepr": "{}"' in message  # type: ignore[operator]


def test_without_a_broker_nothing_is_raised_and_little_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": cache}
    with caplog.at_level(logging.INFO, "scalepoint_integration.workqueue.doorbell"):
        begun = time.monotonic()
        for _each in range(50):
            doorbell.ring(queues.EVENTS)
        assert time.monotonic() - begun < 0.1
        doorbell.answered(queues.EVENTS)  # the cache is away: said, not raised
        eventually(lambda: "next sweep" in caplog.text or "could not be taken back" in caplog.text, 5)
    assert caplog.text.count("No ring for") <= 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", jobs.JOBS)
def test_every_job_runs_on_an_empty_site(name: str) -> None:
    assert current_app.tasks[name] == jobs.JOBS[name]  # by this name it is rung
    jobs.JOBS[name]()
