from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from scalepoint_integration.handling import run
from scalepoint_integration.models import InboundEvent, Refusal
from scalepoint_integration.models.heartbeat import alive
from scalepoint_integration.upkeep.prune import prune
from scalepoint_integration.upkeep.sweep import sweep
from tests.support.world import World, receive


def test_prune_keeps_the_day_before_and_takes_the_day_after(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"BODY_DAYS": 90, "REFUSAL_DAYS": 7}
    kept, gone, waiting = receive(world, *({"eventType": "x", "n": n} for n in range(3)))
    InboundEvent.objects.exclude(pk=waiting.pk).update(status="done")
    now = timezone.now()
    for row, days in ((kept, 89), (gone, 91), (waiting, 91)):
        InboundEvent.objects.filter(pk=row.pk).update(received_at=now - timedelta(days=days))
    for days in (6, 8):
        Refusal.objects.create(http_status=401, code="SP-101", incident="x", received_at=now - timedelta(days=days))
    prune()
    prune()
    assert set(InboundEvent.objects.exclude(body=None).values_list("pk", flat=True)) == {kept.pk, waiting.pk}
    assert Refusal.objects.count() == 1
    gone.refresh_from_db()
    with pytest.raises(run.NotReplayable):
        run.replay(gone)
    # The row is a tombstone: the same event does not come back to life.
    assert receive(world, {"eventType": "x", "n": 1})[0].pk == gone.pk


@pytest.mark.django_db
def test_the_background_job_is_seen_by_its_sweeps() -> None:
    now = timezone.now()
    assert not alive(now)
    sweep()
    assert alive(timezone.now())
    assert not alive(timezone.now() + timedelta(minutes=3))
