from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scalepoint_integration.handling import run
from scalepoint_integration.models import InboundEvent


class Command(BaseCommand):
    help = "Run stored events again: by id, or all that are ignored of a type that is used since an upgrade."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, help="Ids of events, as the event log shows them.")
        parser.add_argument("--ignored", metavar="TYPE", help="All ignored events of this type.")

    def handle(self, *args: Any, ids: list[int], ignored: str | None, **options: Any) -> None:
        if bool(ids) == bool(ignored):
            raise CommandError("Give either ids or --ignored TYPE.")
        events = InboundEvent.objects.filter(pk__in=ids)
        if ignored:
            events = InboundEvent.objects.filter(event_type=ignored, status=InboundEvent.Status.IGNORED, replay_of=None)
        elif missing := sorted(set(ids) - set(events.values_list("pk", flat=True))):
            raise CommandError(f"There are no events {missing}. Nothing was run.")
        done = 0
        for event in events.order_by("pk").iterator():
            try:
                run.replay(event)
                done += 1
            except run.NotReplayable as error:
                self.stderr.write(f"{event.pk}: {error}")
        self.stdout.write(f"{done} events are run again.")
