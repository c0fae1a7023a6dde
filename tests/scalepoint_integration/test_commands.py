import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from crm.models import Customer
from scalepoint_integration.models import InboundEvent
from tasks.models import Task
from tests.support.world import World, assignment, handle, receive


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def counted(event: InboundEvent, payload: Any, now: Any) -> None:
    Customer.objects.create(name=str(payload["n"]))


def test_work_does_what_is_waiting_and_ends(world: World) -> None:
    receive(world, assignment())
    run("scalepoint_work", "--once")
    assert Task.objects.count() == 1


def test_replay_by_id_and_by_type(world: World, settings: Settings) -> None:
    rows = handle(world, *({"eventType": "brand_new", "n": n} for n in range(3)), {"eventType": "other"})
    settings.SCALEPOINT = {"HANDLERS": {"brand_new": f"{__name__}.counted"}}
    assert run("scalepoint_replay", str(rows[0].pk)) == ("1 events are being replayed.\n", "")
    out, err = run("scalepoint_replay", "--ignored", "brand_new")
    assert out == "2 events are being replayed.\n"
    assert err.startswith(f"{rows[0].pk}: ")  # its replay waits already
    run("scalepoint_work", "--once")
    assert sorted(Customer.objects.values_list("name", flat=True)) == ["0", "1", "2"]


@pytest.mark.parametrize("arguments", [[], ["1", "--ignored", "x"], ["999999"]])
def test_replay_of_nothing_is_refused(world: World, arguments: list[str]) -> None:
    handle(world, {"eventType": "other"})
    with pytest.raises(CommandError):
        run("scalepoint_replay", *arguments)
    assert InboundEvent.objects.count() == 1


def test_prune_runs(world: World) -> None:
    run("scalepoint_prune")
