"""Settings of the test suite: the site as it is, on the servers that the suite started or was given."""

from settings.base import *  # noqa: F403

DEBUG = False
SECRET_KEY = "tests-only-" + "0123456789" * 5
FIELD_ENCRYPTION_KEYS = []
ALLOWED_HOSTS = ["*"]
LANGUAGE_CODE = "en"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
