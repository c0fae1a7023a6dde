"""A ring is worth a try and nothing more: it never raises, never waits, and many wishes are one ring."""

import logging
import os
import time
from collections.abc import Iterator

import pytest
import redis
from pytest_django import Settings

from scalepoint_integration import jobs
from scalepoint_integration.workqueue import doorbell
from tests.live import eventually


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
        doorbell.ring("drain")
    eventually(lambda: rings(broker, "scalepoint") == 1, 5)
    for job, queue in {"drain_images": "images", "drain_outbound": "outbound", "poll": "poll"}.items():
        doorbell.ring(job)
        eventually(lambda queue=queue: rings(broker, f"scalepoint-{queue}") == 1, 5)
    assert rings(broker, "scalepoint") == 1
    doorbell.answered("drain")
    doorbell.ring("drain")
    eventually(lambda: rings(broker, "scalepoint") == 2, 5)


def test_a_ring_carries_nothing(broker: "redis.Redis") -> None:
    doorbell.ring("drain")
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
            doorbell.ring("drain")
        assert time.monotonic() - begun < 0.1
        doorbell.answered("drain")  # the cache is away: said, not raised
        eventually(lambda: "next sweep" in caplog.text or "could not be taken back" in caplog.text, 5)
    assert caplog.text.count("No ring for") <= 1


def test_each_job_is_rung_by_its_own_name() -> None:
    assert {name.rsplit(".", 1)[1] for name in doorbell.JOBS.values()} <= set(vars(jobs))
    assert set(doorbell.JOBS) == {name.rsplit(".", 1)[1] for name in doorbell.JOBS.values()}


JOBS = [
    jobs.drain,
    jobs.drain_images,
    jobs.drain_outbound,
    jobs.drain_settlements,
    jobs.drain_notices,
    jobs.poll,
    jobs.sweep,
    jobs.watch,
    jobs.prune,
]


@pytest.mark.django_db
@pytest.mark.parametrize("job", JOBS)
def test_every_job_runs_on_an_empty_site(job: object) -> None:
    job()  # type: ignore[operator]
