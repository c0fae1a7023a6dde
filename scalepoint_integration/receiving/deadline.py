"""A time limit on the database that holds even when the database is frozen.

Server-side limits (statement_timeout, lock_timeout) need a server that runs; TCP's own limits need a peer whose
kernel is gone. A stopped PostgreSQL has neither: the query waits for ever. So one thread per process watches the
requests that are under way and shuts the socket of one that is overdue; the driver then sees a broken connection.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection as database
from django.db import connections

logger = logging.getLogger(__name__)

_under_way: dict[int, tuple[float, float, Any]] = {}
_lock = threading.Lock()
_owner = 0
_EVERY = 0.25


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Inside, a database call of this thread that lasts longer than ``seconds`` ends in an OperationalError."""
    global _owner
    if database.vendor != "postgresql":
        yield  # a file has no socket to shut
        return
    me = threading.get_ident()
    with _lock:
        if _owner != os.getpid():
            _owner = os.getpid()
            threading.Thread(target=_watch, name="scalepoint-deadline", daemon=True).start()
    # The thread's own wrapper, not the connection inside: that one may not be open yet, or be opened anew.
    _under_way[me] = (time.monotonic() + seconds, seconds, connections[database.alias])
    try:
        yield
    finally:
        _under_way.pop(me, None)


def _watch() -> None:
    while True:
        time.sleep(_EVERY)
        now = time.monotonic()
        for thread, (due, seconds, wrapper) in list(_under_way.items()):
            if now < due:
                continue
            raw = wrapper.connection
            if raw is None:
                continue  # being opened: connect_timeout bounds that
            if _under_way.get(thread, (0, 0, None))[0] == due:
                _under_way[thread] = (now + seconds, seconds, wrapper)
                _shut(raw)


def _shut(raw: Any) -> None:
    try:
        with socket.socket(fileno=os.dup(raw.fileno())) as handle:
            handle.shutdown(socket.SHUT_RDWR)
        logger.error("The database did not answer in time; its connection was cut")
    except Exception as error:  # closed in the same moment
        logger.info("A connection that was overdue is gone already: %s", error)
