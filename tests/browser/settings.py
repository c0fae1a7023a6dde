"""The test site as the browser meets it: in Danish, its mails as files, and short clocks."""

import os

from tests.support.quick_settings import *  # noqa: F403

LANGUAGE_CODE = "da"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ.get("EMAIL_FILE_PATH", "")
