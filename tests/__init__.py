"""Tests, in the folders of the apps they test."""

import os

# Here, before anything of ours is imported: settings/celery.py would name the site's settings, and pytest-django
# believes the environment more than pyproject.toml.
os.environ["DJANGO_SETTINGS_MODULE"] = "settings.test"
