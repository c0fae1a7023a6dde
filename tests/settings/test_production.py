"""The site's settings as production would set them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from scalepoint_integration.checks import check_settings

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "PATH": os.environ["PATH"],
    "SECRET_KEY": "production-like-" + "0123456789abcdefghij" * 3,
    "ALLOWED_HOSTS": "firma.example",
    "BEHIND_PROXY": "on",
    "SCALEPOINT_PUBLIC_BASE_URL": "https://firma.example",
}


def manage(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    env = {**PRODUCTION, **servers, **environment}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def test_check_deploy_is_clean() -> None:
    run = manage("check", "--deploy", "--fail-level", "WARNING")
    assert (run.returncode, run.stdout) == (0, "System check identified no issues (0 silenced).\n"), run.stderr


@pytest.mark.parametrize("language", ["da", "en"])
def test_no_migration_is_missing(language: str) -> None:
    run = manage("makemigrations", "--check", "--dry-run", LANGUAGE_CODE=language)
    assert run.returncode == 0, run.stdout


def test_a_first_look_needs_no_variable_at_all(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    for command in (["migrate", "-v0"], ["check"], ["scalepoint_work", "--once"]):
        run = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"MAX_BODY_BYTE": 1}, "scalepoint.E002"),
        ({"LEASE_SECONDS": 45}, "scalepoint.E003"),
        ({"ADAPTER": "nowhere.Adapter"}, "scalepoint.E004"),
        ({"HANDLERS": {"x": "nowhere.handle"}}, "scalepoint.E004"),
        ({"PUBLIC_BASE_URL": "http://firma.example"}, "scalepoint.W001"),
        ({}, None),
    ],
)
def test_wrong_settings_are_told(setting: dict[str, object], code: str | None) -> None:
    with override_settings(SCALEPOINT=setting):
        assert [message.id for message in check_settings(None)] == ([code] if code else [])
