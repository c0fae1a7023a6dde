"""Ringing: wake a drain job. A ring may be lost, late or double; the sweep finds what it missed.

>>> transaction.on_commit(partial(ring, queues.EVENTS), robust=True)

Hidden here: the broker. A broker that is gone or frozen can take seconds to say so, and nobody who stores an event
may wait for it. So a ring only sets a flag, and one thread per process does the publishing. That also coalesces the
rings of this process; a short-lived key in the shared cache coalesces those of all processes.

Publishing inside the request was measured before: a refused connection costs one to six seconds, a frozen broker more
than a minute.
"""

import logging
import os
import threading
import time

from django.core.cache import cache

from scalepoint_integration.conf import conf
from scalepoint_integration.queues import Job

logger = logging.getLogger(__name__)

# A failing broker is reported this often, in seconds; every lost ring would be a line per event.
_REPORT_EVERY = 60.0

_lock = threading.Lock()
_wanted: set[Job] = set()
_wake = threading.Event()
_owner = 0  # the process whose thread is running: a forked child has to start its own


def ring(job: Job) -> None:
    """Ask for a run of the job of a row of queues.py. Returns at once, never raises."""
    global _owner
    with _lock:
        _wanted.add(job)
        if _owner != os.getpid():
            _owner = os.getpid()
            threading.Thread(target=_publish_for_ever, name="scalepoint-doorbell", daemon=True).start()
    _wake.set()


def answered(job: Job) -> None:
    """The job has begun. Called before anything is claimed: what is stored from here on rings again."""
    try:
        cache.delete(_key(job))
    except Exception as error:  # a cache that is away must not stop the work; the key dies by itself
        logger.info("The ring of %s could not be taken back: %s", job.name, error)


def _key(job: Job) -> str:
    return f"scalepoint:ring:{job.name}"


def _publish_for_ever() -> None:
    reported = 0.0
    while True:
        _wake.wait()
        _wake.clear()
        with _lock:
            jobs = list(_wanted)
            _wanted.clear()
        for job in jobs:
            try:
                _publish(job)
            except Exception as error:
                if time.monotonic() - reported > _REPORT_EVERY:
                    reported = time.monotonic()
                    logger.warning("No ring for %s, the next sweep finds the work: %s", job.name, error)


def _publish(job: Job) -> None:
    try:
        # Here, and nowhere else outside jobs.py: a site does without Celery where a command does the work.
        from celery import current_app
    except ImportError:
        return
    if str(current_app.conf.broker_url).startswith("memory:"):
        return  # a site without a broker: nobody would hear it, and the rings would pile up
    if not cache.add(_key(job), 1, timeout=conf().ring_seconds):
        return
    # By name, not by importing the job: Celery routes by name too, and the web process needs no worker code.
    current_app.send_task(job.job, ignore_result=True, retry=False, expires=60)
