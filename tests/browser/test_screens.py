"""Every screen of the office: axe finds nothing, nothing runs over the edge, nothing comes from outside.

With SCREENSHOTS=folder the pictures of docs/office/ are made on the way (``make screenshots``).
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESKTOP, PHONE, reader
from tests.browser.office import Office, busy
from tests.live import Site

APP = "admin:scalepoint_integration_"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}


def screens(office: Office) -> dict[str, str]:
    """Name and address of each, in the order of the navigation."""
    return {
        "1-overview": reverse(f"{APP}overview_changelist"),
        "2-setup": reverse(f"{APP}setup_changelist"),
        "3-default-values": reverse(f"{APP}defaultvalues_change", args=[office.world.connection.pk]),
        "4-insurers": reverse("admin:crm_insurancecompany_changelist"),
        "4-insurer": reverse("admin:crm_insurancecompany_change", args=[office.world.nord.pk]),
        "5-cases": reverse(f"{APP}case_changelist"),
        "6-case": reverse(f"{APP}case_change", args=[office.ordinary.pk]),
        "6-case-needs-action": reverse(f"{APP}case_change", args=[office.ambiguous.pk]),
        "7-event-log": reverse(f"{APP}inboundevent_changelist"),
        "7-event": reverse(f"{APP}inboundevent_change", args=[office.failed.pk]),
        "8-test": reverse(f"{APP}testcase_changelist"),
        "9-my-settings": reverse(f"{APP}usersettings_mine"),
        "9-people": reverse(f"{APP}usersettings_changelist"),
        "connection": reverse(f"{APP}connection_change", args=[office.world.connection.pk]),
        "mail": reverse(f"{APP}setup_mail"),
        "outbox": reverse(f"{APP}outboundevent_changelist"),
        "refusals": reverse(f"{APP}refusal_changelist"),
        "task": reverse("admin:tasks_task_change", args=[office.ordinary.services.get().task_id]),
        "tasks": reverse("admin:tasks_task_changelist"),
        "customers": reverse("admin:crm_customer_changelist"),
    }


@pytest.mark.parametrize(
    ("language", "size"), [("da", DESKTOP), ("da", PHONE), ("en", DESKTOP), ("en", PHONE)], ids=str
)
def test_every_screen(live: Site, chromium: Browser, language: str, size: tuple[int, int]) -> None:
    office = busy()
    folder = os.environ.get("SCREENSHOTS")
    wrong: dict[str, Any] = {}
    with reader(chromium, live, "mette", language, size) as page:
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if _foreign(request.url, live) else None)
        for name, address in screens(office).items():
            answer = page.goto(address)
            found = judge(page)
            if answer is None or answer.status != 200:
                found.insert(0, f"status {answer.status if answer else None}")
            if found:
                wrong[name] = found
            if folder:
                kind = "phone" if size == PHONE else "desktop"
                Path(folder).mkdir(parents=True, exist_ok=True)
                page.screenshot(path=Path(folder) / f"{name}-{language}-{kind}.png", full_page=size == DESKTOP)
        assert not foreign
    assert not wrong


def judge(page: Page) -> list[str]:
    """What axe and a ruler have to say against a page."""
    results = Axe().run(page, options=RULES)
    found = [
        f"{each['id']}: {each['help']} ({[node['html'][:160] for node in each['nodes'][:3]]})"
        for each in results.response["violations"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{wide} pixels too wide"] if wide > 1 else [])


def _foreign(url: str, live: Site) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and parts.netloc != f"127.0.0.1:{live.port}"
