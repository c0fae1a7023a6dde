"""A host's site where Celery is not installed: in a process of its own, on SQLite, with the endpoint, a command and
the pages of the office."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A host's whole project, so that nothing of settings/ is in it.
SITE = """
import json
import sys

# What is None here can't be imported.
sys.modules["celery"] = sys.modules["kombu"] = None

from django.conf import settings

settings.configure(
    DEBUG=True,
    SECRET_KEY="tests-only-" + "0123456789" * 5,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
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
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    ROOT_URLCONF="__main__",
    TEMPLATES=[
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
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": sys.argv[1] + "/db.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 5},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    STATIC_URL="static/",
    STORAGES={
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        "private": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": sys.argv[1] + "/private", "base_url": None},
        },
    },
    TIME_ZONE="Europe/Copenhagen",
    USE_TZ=True,
)

import django

django.setup()

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/scalepoint/", include("scalepoint_integration.urls")),
]

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from crm.models import InsuranceCompany, SecurityToken
from scalepoint_integration.models import Connection, InboundEvent
from tasks.models import Task

call_command("migrate", verbosity=0)
Connection.objects.create(contract_number="2332", switch="on")
nord = InsuranceCompany.objects.create(name="Nord Forsikring (eksempel)", alias="nordins", sub_alias="nordins-bolig")
SecurityToken.objects.create(company=nord, label="", token="invented-token-of-nord-0001")

with open(sys.argv[2], "rb") as file:
    body = file.read()
answer = Client().post(
    reverse("scalepoint:endpoint", args=["2332"]),
    body,
    content_type="application/json",
    headers={"Authorization": "Bearer invented-token-of-nord-0001"},
)
assert answer.status_code == 202, (answer.status_code, answer.content)
assert InboundEvent.objects.get().status == "pending"
call_command("scalepoint_work", "--once")
event = InboundEvent.objects.get()
assert event.status == "done", (event.status, event.error_code, event.last_error)
assert Task.objects.count() == 1
call_command("scalepoint_prune")
call_command("scalepoint_poll", "--once")

office = Client()
office.force_login(get_user_model().objects.create_superuser("mette"))
for name in ("index", "scalepoint_integration_overview_changelist", "scalepoint_integration_inboundevent_changelist"):
    page = office.get(reverse("admin:" + name))
    assert page.status_code == 200, (name, page.status_code)

from scalepoint_integration import queues
from scalepoint_integration.workqueue import doorbell

for job in queues.JOBS:
    doorbell.ring(job)
    doorbell._publish(job)  # what the thread does; it would only log what this raises
assert not [name for name in sys.modules if name.startswith(("celery.", "kombu."))]
print("all of it")
"""


def test_a_site_without_celery_receives_works_and_shows(tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(SITE)
    event = ROOT / "tests" / "fixtures" / "repair_service_requested" / "full.json"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, tmp_path / "host.py", tmp_path, event],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "all of it\n"), done.stdout + done.stderr
