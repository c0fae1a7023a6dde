"""Scalepoint's end of a fetch, and a site that fetches."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection as database

from scalepoint_integration import client
from scalepoint_integration.client import Batch
from scalepoint_integration.models import Connection, PollerState
from scalepoint_integration.receiving import poller
from tests.support.world import World, make_world


def wrapped(number: int, **event: Any) -> dict[str, Any]:
    attributes = event or {"eventType": "x", "n": number}
    return {"id": f"_{number}", "type": "x", "timestamp": "2031-03-02T08:15:30Z", "attributes": attributes}


@dataclass
class Queue:
    """Scalepoint's end: what it gives next, then nothing. Remembers where it was asked to begin."""

    gives: list[Batch | Exception] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    in_transaction: list[bool] = field(default_factory=list)

    def receive(self, connection: Connection, after: str = "", next_url: str = "") -> Batch:
        self.asked.append((after, next_url))
        self.in_transaction.append(database.in_atomic_block)
        given = self.gives.pop(0) if self.gives else Batch([], "", next_url)
        if isinstance(given, Exception):
            raise given
        return given


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    made = Queue()
    monkeypatch.setattr(client, "receive", made.receive)
    monkeypatch.setattr(poller, "_SOONEST", 0.0)
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No pause is waited; they are collected."""
    waited: list[float] = []
    monkeypatch.setattr(poller, "_wait", lambda seconds, stopped: waited.append(seconds))
    return waited


@pytest.fixture
def world(db: None) -> World:
    return make_world(poll=True)


def fetch(world: World) -> int:
    """Until nothing more comes; the connection as it is then."""
    try:
        return poller.poll(world.connection, 60, until_empty=True)
    finally:
        world.connection.refresh_from_db()


def free_again() -> None:
    """Let the time pass that a claim or a pause lasts."""
    PollerState.objects.update(leased_until=None)
