"""The runnable site: Django, Celery and the two servers it may bring along."""

from settings.celery import app as celery_app

__all__ = ["celery_app"]
