import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from scalepoint_integration.errors import describe
from scalepoint_integration.models import Connection
from scalepoint_integration.receiving import poller

logger = logging.getLogger(__name__)

# A turn of a connection; between two, a thread gets a new database connection.
_TURN = 60.0
_LOOK = 2.0
# A call that Scalepoint holds open is not waited for when the process is told to end.
_GRACE = 2.0


class Command(BaseCommand):
    help = "Fetch events from Scalepoint for the connections that ask for it, without Celery. As a service, or --once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when nothing more comes.")
        parser.add_argument("--contract", default="", help="Only the connection with this contract number.")

    def handle(self, *args: Any, once: bool, contract: str, **options: Any) -> None:
        if contract and not Connection.objects.filter(contract_number=contract, poll=True).exists():
            raise CommandError(f"There is no connection {contract} that fetches events.")
        if once:
            for state in _due(contract):
                connection = state.connection
                count = poller.poll(connection, float("inf"), until_empty=True)
                state.refresh_from_db(fields=["problem"])
                self.stdout.write(f"{connection}: {count} events.")
                if state.problem:
                    self.stderr.write(f"{connection}: {describe(state.problem)}")
            return
        stop = threading.Event()
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            _serve(contract, stop)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _serve(contract: str, stop: threading.Event) -> None:
    """A thread for each connection: a call that is held open for one must not hold up another."""
    threads: dict[int, threading.Thread] = {}
    while not stop.is_set():
        try:
            for state in _due(contract):
                thread = threads.get(state.pk)
                if thread is None or not thread.is_alive():
                    threads[state.pk] = threading.Thread(target=_turn, args=(state.connection, stop), daemon=True)
                    threads[state.pk].start()
        except DatabaseError as error:
            logger.warning("The database does not answer: %s", type(error).__name__)
            connections.close_all()
        stop.wait(_LOOK)
    for thread in threads.values():
        thread.join(_GRACE / len(threads))
    poller.let_go()


def _turn(connection: Connection, stop: threading.Event) -> None:
    try:
        while not stop.is_set() and _due("").filter(pk=connection.pk).exists():
            poller.poll(connection, _TURN, stopped=stop.is_set)
    except Exception:  # the next look begins anew
        logger.exception("Polling connection %s ended", connection.pk)
        stop.wait(_LOOK)
    finally:
        connections.close_all()


def _due(contract: str) -> Any:
    rows = poller.due().select_related("connection")
    return rows.filter(connection__contract_number=contract) if contract else rows
