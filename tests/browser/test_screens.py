"""Every screen of the office: axe finds nothing, nothing runs over the edge, nothing comes from outside.

With SCREENSHOTS=folder the pictures of docs/office/ are made on the way (``make screenshots``).
"""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PHONE, reader
from tests.support.browser_office import Office, busy, people
from tests.support.live import Site

APP = "admin:scalepoint_integration_"
DESKTOP = (1280, 1000)
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
}
# In docs/office/: these, and on the telephone those.
PICTURES = {
    "1-overview",
    "2-setup",
    "3-default-values",
    "4-insurers",
    "5-cases",
    "6-case-needs-action",
    "7-event",
    "7-event-log",
    "8-test",
}
ON_THE_PHONE = {"1-overview", "5-cases", "6-case-needs-action"}
# An address, or what a reader does to come there.
Way = str | Callable[[Page], Any]


def screens(office: Office) -> dict[str, Way]:
    """Name of each and the way there, in the order of the navigation."""
    connection, task = office.world.connection.pk, office.ordinary.services.get().task_id
    case, nord = office.ordinary.pk, office.world.nord.pk
    token = office.world.nord.tokens.get()
    customer = office.ordinary.customer_id
    pages = {
        "1-overview": reverse(f"{APP}overview_changelist"),
        "2-setup": reverse(f"{APP}setup_changelist"),
        "3-default-values": reverse(f"{APP}defaultvalues_change", args=[connection]),
        "4-insurers": reverse("admin:scalepoint_crm_insurancecompany_changelist"),
        "4-insurer": reverse("admin:scalepoint_crm_insurancecompany_change", args=[nord]),
        "5-cases": reverse(f"{APP}case_changelist"),
        "6-case": reverse(f"{APP}case_change", args=[case]),
        "6-case-needs-action": reverse(f"{APP}case_change", args=[office.ambiguous.pk]),
        "7-event-log": reverse(f"{APP}inboundevent_changelist"),
        "7-event": reverse(f"{APP}inboundevent_change", args=[office.failed.pk]),
        "8-test": reverse(f"{APP}testcase_changelist"),
        "9-my-settings": reverse(f"{APP}usersettings_mine"),
        "9-people": reverse(f"{APP}usersettings_changelist"),
        "9-person": reverse(f"{APP}usersettings_person", args=[office.world.default_values.responsible_id]),
        "connection": reverse(f"{APP}connection_change", args=[connection]),
        "connections": reverse(f"{APP}connection_changelist"),
        "connection-add": reverse(f"{APP}connection_add"),
        "mail": reverse(f"{APP}setup_mail"),
        "reset": reverse(f"{APP}defaultvalues_reset", args=[connection]),
        "rotate": reverse("admin:scalepoint_crm_insurancecompany_rotate", args=[nord]),
        "token-off": reverse("admin:scalepoint_crm_insurancecompany_token_off", args=[nord, token.pk]),
        "replay": reverse(f"{APP}inboundevent_replay", args=[office.handled.pk]),
        "event-handled": reverse(f"{APP}inboundevent_change", args=[office.handled.pk]),
        "outbox": reverse(f"{APP}outboundevent_changelist"),
        "notices": reverse(f"{APP}notice_changelist"),
        "refusals": reverse(f"{APP}refusal_changelist"),
        "refusal": reverse(f"{APP}refusal_change", args=[office.refusal.pk]),
        "test-delete": reverse(f"{APP}testcase_delete_all"),
        "task": reverse("admin:scalepoint_tasks_task_change", args=[task]),
        "tasks": reverse("admin:scalepoint_tasks_task_changelist"),
        "customer": reverse("admin:scalepoint_crm_customer_change", args=[customer]),
        "customers": reverse("admin:scalepoint_crm_customer_changelist"),
        "template": reverse(
            "admin:scalepoint_tasks_tasktemplate_change", args=[office.world.default_values.task_template_id]
        ),
        "image": reverse("admin:scalepoint_tasks_taskimage_change", args=[office.image.pk]),
        "cases-none-found": reverse(f"{APP}case_changelist") + "?q=nobody",
        "cases-filtered": reverse(f"{APP}case_changelist") + "?status=open",
    }
    for model in (
        "scalepoint_crm_customer",
        "scalepoint_tasks_task",
        "scalepoint_crm_insurancecompany",
        "scalepoint_tasks_tasktemplate",
        "scalepoint_crm_team",
    ):
        pages[f"{model}-add"] = reverse(f"admin:{model}_add")
    for model, row in (
        (f"{APP}case", case),
        (f"{APP}connection", connection),
        ("admin:scalepoint_crm_insurancecompany", nord),
        ("admin:scalepoint_tasks_task", task),
    ):
        pages[f"{model.split(':')[1]}-history"] = reverse(f"{model}_history", args=[row])
    for model in (
        "scalepoint_crm_customertype",
        "scalepoint_crm_team",
        "scalepoint_tasks_tasktemplate",
        "scalepoint_tasks_dimension",
        "scalepoint_tasks_taskimage",
    ):
        pages[f"{model}-list"] = reverse(f"admin:{model}_changelist")
    pages["task-delete"] = reverse("admin:scalepoint_tasks_task_delete", args=[task])
    pages["customer-delete"] = reverse("admin:scalepoint_crm_customer_delete", args=[customer])
    pages["index"], pages["app"] = reverse("admin:index"), reverse("admin:app_list", args=["scalepoint_integration"])

    def on_the_list(action: str) -> Callable[[Page], Any]:
        def go(page: Page) -> None:
            page.goto(pages["5-cases"])
            page.check(f"input[name=_selected_action][value='{case}']")
            page.select_option("select[name=action]", action)
            with page.expect_navigation():
                page.click("button[name=index]")

        return go

    def on_the_case(button: str) -> Callable[[Page], Any]:
        def go(page: Page) -> None:
            page.goto(pages["6-case"])
            with page.expect_navigation():
                page.eval_on_selector(f"form[action$='/{button}/']", "form => form.submit()")

        return go

    asked: dict[str, Way] = {f"cases-{action}": on_the_list(action) for action in ("assign", "link_task", "close")}
    asked |= {f"case-{button}": on_the_case(button) for button in ("close", "test", "anonymise")}
    return {**pages, **asked}


def judge(page: Page) -> list[str]:
    """What axe and a ruler have to say against a page."""
    results = Axe().run(page, options=RULES)
    found = [
        f"{each['id']}: {each['help']} ({[node['html'][:160] for node in each['nodes'][:3]]})"
        for each in results.response["violations"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{wide} pixels too wide"] if wide > 1 else [])


def walk(page: Page, language: str, ways: dict[str, Way]) -> dict[str, Any]:
    """What is wrong, by screen and width. Each page is loaded once, and made narrow where it stands."""
    folder = os.environ.get("SCREENSHOTS")
    wrong: dict[str, Any] = {}
    for name, way in ways.items():
        resize(page, DESKTOP)
        if isinstance(way, str):
            answer = page.goto(way)
            if answer is None or answer.status != 200:
                wrong[name] = f"status {answer.status if answer else None}"
        else:
            way(page)
        for kind, size, pictured in (("desktop", DESKTOP, PICTURES), ("phone", PHONE, ON_THE_PHONE)):
            resize(page, size)
            if found := judge(page):
                wrong[f"{name}-{kind}"] = found
            if folder and name in pictured and (kind == "desktop" or language == "da"):
                keep(page.screenshot(), Path(folder) / f"{name}-{language}-{kind}.png")
    return wrong


def resize(page: Page, size: tuple[int, int]) -> None:
    width, height = size
    page.set_viewport_size({"width": width, "height": height})


def keep(shot: bytes, path: Path) -> None:
    """Few colours are enough for a page, and make a file of tens of kilobytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < 120_000, path


@pytest.mark.parametrize("language", ["da", "en"])
def test_every_screen(live: Site, chromium: Browser, language: str) -> None:
    office = busy()
    with reader(chromium, live, "mette", language, DESKTOP) as page:
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if _foreign(request.url, live) else None)
        assert walk(page, language, screens(office)) == {}
        assert not foreign


def test_every_screen_of_a_site_where_nothing_is_set_up(live: Site, chromium: Browser) -> None:
    people()
    names = ("overview", "setup", "case", "inboundevent", "outboundevent", "refusal", "testcase", "defaultvalues")
    pages: dict[str, Way] = {f"{name}-empty": reverse(f"{APP}{name}_changelist") for name in names}
    pages["insurers-empty"] = reverse("admin:scalepoint_crm_insurancecompany_changelist")
    pages["tasks-empty"] = reverse("admin:scalepoint_tasks_task_changelist")
    with reader(chromium, live, "mette", "da", DESKTOP) as page:
        assert walk(page, "da", pages) == {}


def test_a_key_goes_to_the_search_and_an_address_can_be_copied(live: Site, chromium: Browser) -> None:
    office = busy()
    with reader(chromium, live, "mette", "da", DESKTOP) as page:
        page.goto(reverse("admin:scalepoint_tasks_task_changelist"))
        page.keyboard.press("/")
        page.keyboard.type("Anna/")
        assert page.input_value("#searchbar") == "Anna/"
        page.goto(reverse(f"{APP}connection_change", args=[office.world.connection.pk]))
        page.click(".field-endpoint .office-copy")
        page.wait_for_selector(".field-endpoint [role=status]:not(:empty)")


def _foreign(url: str, live: Site) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and parts.netloc != f"127.0.0.1:{live.port}"
