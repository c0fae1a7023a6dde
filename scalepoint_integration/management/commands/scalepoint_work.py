import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.module_loading import import_string

from scalepoint_integration import queues
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue.drain import drain

# What is done now and then beside the sweep. Polling is held open, so it has a command of its own (scalepoint_poll).
_NOW_AND_THEN = [job for job in queues.PERIODIC if job not in (queues.SWEEP, queues.POLL)]


class Command(BaseCommand):
    help = (
        "Do what is waiting: handle events, fetch what they need, and send, without Celery. "
        "For cron (--once) or as a service."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when nothing is due.")
        parser.add_argument("--pause", type=float, default=2.0, help="Seconds between two looks (default 2).")

    def handle(self, *args: Any, once: bool, pause: float, **options: Any) -> None:
        begun: dict[queues.Periodic, float] = {}
        while True:
            try:
                sweep(drain)
                for job in () if once else _NOW_AND_THEN:
                    if time.monotonic() - begun.get(job, float("-inf")) > job.seconds:
                        begun[job] = time.monotonic()
                        import_string(job.work)()
            except DatabaseError as error:
                if once:
                    raise
                # Gone or restarted. What was claimed comes back by its lease.
                self.stderr.write(f"The database does not answer, trying again: {error}")
                connection.close()
            if once:
                return
            time.sleep(pause)
