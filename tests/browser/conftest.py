"""A real browser on the real site: Debian's Chromium, driven by Playwright; granian and Celery as processes.

``make test-browser`` sees to it that Chromium is there. The pages are read in Danish, as in the office, or in English.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import override_settings
from playwright.sync_api import Browser, Page, sync_playwright

from devtools.processes import tail, wait_for
from tests.support.live import BIN, Site, answers, site

# Playwright keeps an event loop in this thread; the rows that a test reads are read between its steps, not inside.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
# Nothing is fetched from outside, neither by the pages nor by the browser itself.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1280, 900), (360, 740)
PASSWORD = "invented-password-of-the-office"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.fail("Chromium is missing: install Debian's package `chromium`, or name one in CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=str(folder)):
        call_command("collectstatic", interactive=False, verbosity=0)
    return folder


@pytest.fixture
def live(transactional_db: None, static: Path, tmp_path: Path) -> Iterator[Site]:
    """The site as a web process, with its static files and mails in a folder. Workers are started by who needs one."""
    with serving(static, tmp_path / "mails") as made:
        yield made


@contextmanager
def serving(static: Path, mails: Path, **environment: str) -> Iterator[Site]:
    mails.mkdir()
    told = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "STATIC_ROOT": str(static),
        "EMAIL_FILE_PATH": str(mails),
    }
    with site(**told, **environment) as made:
        options = f"--interface wsgi --http 1 --port {made.port} --workers 1 --blocking-threads 8"
        files = ["--static-path-route", "/static", "--static-path-mount", str(static)]
        made.spawn("web", BIN / "granian", *options.split(), *files, "settings.wsgi:application")
        assert wait_for(lambda: answers(made.port), 30), tail(made.log("web"))
        yield made


def make_user(name: str, *groups: str, **facts: Any) -> Any:
    user = get_user_model().objects.create_user(name, password=PASSWORD, is_staff=True, **facts)
    for group in groups:
        user.groups.add(group)
    return user


@contextmanager
def reader(
    browser: Browser, live: Site, user: str, language: str = "da", size: tuple[int, int] = DESKTOP
) -> Iterator[Page]:
    """A person who is logged in."""
    base = f"http://127.0.0.1:{live.port}"
    width, height = size
    context = browser.new_context(
        base_url=base,
        locale=language,
        timezone_id="Europe/Copenhagen",
        viewport={"width": width, "height": height},
        accept_downloads=True,
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")
    try:
        yield page
    finally:
        context.close()
