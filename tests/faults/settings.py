"""The test site with short clocks, so that a lost lease costs seconds, and with handlers that misbehave."""

from settings.test import *  # noqa: F403

SCALEPOINT = {
    "LEASE_SECONDS": 4,
    "BACKOFF_SECONDS": 0.2,
    "MAX_ATTEMPTS": 4,
    "DRAIN_SECONDS": 2,
    "IMAGE_TRUSTED_ORIGINS": [],
    "HANDLERS": {
        "kills_its_worker": "tests.faults.handlers.kill_worker",
        "takes_long": "tests.faults.handlers.take_long",
        "counts": "tests.faults.handlers.count",
    },
}
CELERY_TASK_SOFT_TIME_LIMIT = 2.5
CELERY_TASK_TIME_LIMIT = 3
CELERY_BEAT_SCHEDULE = {
    "scalepoint-sweep": {"task": "scalepoint_integration.jobs.sweep", "schedule": 1.0, "options": {"expires": 2}},
}
