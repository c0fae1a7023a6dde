import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import connection

from scalepoint_integration import images, notices, outbox, settlements
from scalepoint_integration.upkeep.prune import prune
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.upkeep.watch import watch

PRUNE_EVERY = 3600.0


class Command(BaseCommand):
    help = (
        "Do what is waiting: handle events, fetch what they need, and send, without Celery. "
        "For cron (--once) or as a service."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when nothing is due.")
        parser.add_argument("--pause", type=float, default=2.0, help="Seconds between two looks (default 2).")

    def handle(self, *args: Any, once: bool, pause: float, **options: Any) -> None:
        pruned = 0.0
        while True:
            try:
                sweep()
                images.drain()
                settlements.drain()
                outbox.drain()
                notices.drain()
                if not once and time.monotonic() - pruned > PRUNE_EVERY:
                    pruned = time.monotonic()
                    watch()
                    prune()
            except DatabaseError as error:
                if once:
                    raise
                # Gone or restarted. What was claimed comes back by its lease.
                self.stderr.write(f"The database does not answer, trying again: {error}")
                connection.close()
            if once:
                return
            time.sleep(pause)
