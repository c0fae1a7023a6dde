"""The test site with short clocks, so that waiting for a second try costs seconds."""

from settings.test import *  # noqa: F403
from settings.test import CELERY_BEAT_SCHEDULE as SCHEDULE
from settings.test import SCALEPOINT as BASE

SCALEPOINT = {**BASE, "BACKOFF_SECONDS": 0.2, "BACKOFF_MAX_SECONDS": 2.0, "MAX_ATTEMPTS": 60}
CELERY_BEAT_SCHEDULE = {
    **SCHEDULE,
    "scalepoint-sweep": {
        "task": "scalepoint_integration.jobs.sweep",
        "schedule": 1.0,
        "options": {"expires": 2},
    },
}
