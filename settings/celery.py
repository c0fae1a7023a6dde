"""The Celery application: a doorbell. What there is to do stands in the database."""

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.base")

app: Any = Celery("scalepoint")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery closes Django's connection around every job unless told how many jobs may share it. Measured: the
# reconnects cost PostgreSQL four times the work of the job itself.
app.conf["CELERY_DB_REUSE_MAX"] = 1000
# Celery's current app is per thread: without this every thread but the main one (a web server's request threads) would
# publish to an app named "default", whose broker is nobody's.
app.set_default()
app.autodiscover_tasks(related_name="jobs")
