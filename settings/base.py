"""Settings of the site, everything from the environment (see docs/settings.md).

Without any variable it is a first look on SQLite, in debug mode, with no broker. Production sets at least
SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL and REDIS_URL.
"""

from pathlib import Path
from typing import Any

import environ

from scalepoint_integration import queues

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# ---- Django -------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default="SECRET_KEY" not in env.ENVIRON)
# The key of a first look, worth nothing: production gives its own, and without it DEBUG could not be off.
SECRET_KEY = env.str("SECRET_KEY", default="first-look-only-" + "insecure" * 5)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Keys for what is encrypted in the database: the first encrypts, all decrypt. Empty: derived from SECRET_KEY.
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "crm",
    "tasks",
    "scalepoint_integration",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "settings.urls"
WSGI_APPLICATION = "settings.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="da")
LANGUAGES = [("da", "Dansk"), ("en", "English")]
TIME_ZONE = env.str("TIME_ZONE", default="Europe/Copenhagen")
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "static-collected"))
# Pictures of people's homes: outside every folder that a web server serves, given out by a view that asks who reads.
PRIVATE_ROOT = env.str("PRIVATE_ROOT", default=str(BASE_DIR / "private"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "private": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": PRIVATE_ROOT, "base_url": None},
    },
}

# ---- The database -------------------------------------------------------------------------------------------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR}/db.sqlite3")
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.postgresql":
    # A connection is kept, and asked before use: a restarted PostgreSQL costs nobody an error.
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=600)
    _database["CONN_HEALTH_CHECKS"] = True
    _database.setdefault("OPTIONS", {}).update(
        connect_timeout=3,
        tcp_user_timeout=5000,
        # A row or table that somebody holds must end in an answer, not in a queue of waiting requests.
        options="-c lock_timeout=3000 -c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000",
    )
elif _database["ENGINE"] == "django.db.backends.sqlite3":
    _database.setdefault("OPTIONS", {}).update(transaction_mode="IMMEDIATE", timeout=5)

# ---- Broker and cache ---------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "site",
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 0.5},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    # Finds a connection that died without a word (a failover, a NAT box) within seconds instead of a minute.
    "health_check_interval": 5,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
}
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
# A ring is never published twice for one wish, and never waited for.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 0}
# Acknowledged at once: the row and its lease are the guarantee, a ring that comes twice finds nothing to claim.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 40
CELERY_TASK_TIME_LIMIT = 45
CELERY_TASK_DEFAULT_QUEUE = queues.SWEEP.celery
CELERY_TASK_ROUTES = {job.job: {"queue": job.celery} for job in queues.JOBS}
# A run that could not begin is worthless when the next is due.
CELERY_BEAT_SCHEDULE = {
    f"scalepoint-{job.name}": {"task": job.job, "schedule": job.seconds, "options": {"expires": int(job.seconds)}}
    for job in queues.PERIODIC
}

# ---- Mail ---------------------------------------------------------------------------------------------------------
if "EMAIL_URL" in env.ENVIRON:
    vars().update(env.email_url("EMAIL_URL"))
elif DEBUG:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="webmaster@localhost")

# ---- Scalepoint ---------------------------------------------------------------------------------------------------
SCALEPOINT: dict[str, Any] = {
    "PUBLIC_BASE_URL": env.str("SCALEPOINT_PUBLIC_BASE_URL", default=""),
    "IMAGE_TRUSTED_ORIGINS": env.list("SCALEPOINT_IMAGE_TRUSTED_ORIGINS", default=[]),
    "CLIENT_TRUSTED_ORIGINS": env.list("SCALEPOINT_CLIENT_TRUSTED_ORIGINS", default=[]),
    "PROXY_HOPS": env.int("SCALEPOINT_PROXY_HOPS", default=0),
}

# ---- Security of a site in production -----------------------------------------------------------------------------
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
if not DEBUG:
    # HTTPS=off is for a demo or a test on loopback alone.
    _https = env.bool("HTTPS", default=True)
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _https
    # The endpoint never redirects: a sender that posts a token over http is refused there, not sent on.
    SECURE_REDIRECT_EXEMPT = [r"^api/scalepoint/"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000 if _https else 0)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
    if env.bool("BEHIND_PROXY", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django.server": {"level": "WARNING"}},
}
