"""What the demo knows of the site's data. Run by settings/demo.py, each time in a process of its own:

    python -m settings.demo_data prepare FILE         tables, static files, example data; their names go to FILE
    python -m settings.demo_data tasks REPORT COUNT   wait until COUNT posted cases are tasks
    python -m settings.demo_data images REPORT COUNT  and have all their images; then print the table
    python -m settings.demo_data table REPORT COUNT   print it as things are now

REPORT is what the simulator writes about the cases that it posted. The company names are invented and say so.
"""

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import django

CONTRACT_NUMBER = "2332"
INSURERS = (
    # The alias and sub-alias of the documented example, so that it can be posted as it is.
    ("Nord Forsikring Bolig (eksempel)", "nordins", "nordins-bolig"),
    ("Nord Forsikring (eksempel)", "nordins", ""),
    ("Bælt Forsikring (eksempel)", "baelt-eksempel", ""),
    ("Øens Brandkasse (eksempel)", "oen-eksempel", ""),
)
CHECK_LIST = ("Ring til kunden", "Besigtig skaden", "Send pris til selskabet", "Meld arbejdet færdigt")
# It ends when this long nothing more has come: bounded, however many cases there are and however slow the machine.
# Longer than a lease and a sweep: what a killed worker held comes back only then.
STALLED_SECONDS = 150.0
PAUSE = 0.3


def prepare() -> dict[str, Any]:
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    admin = {"username": "admin", "password": secrets.token_urlsafe(9)}
    return {"contract_number": CONTRACT_NUMBER, "insurers": _make_rows(admin), "admin": admin}


def _make_rows(admin: dict[str, str]) -> list[dict[str, str]]:
    from django.contrib.auth.models import User
    from django.db import transaction

    from crm.models import CustomerType, InsuranceCompany, SecurityToken, Team
    from scalepoint_integration.models import Connection
    from tasks.models import TaskTemplate, TaskTemplateItem

    with transaction.atomic():
        user = User.objects.create_superuser(email="", first_name="Eksempel", last_name="Bruger", **admin)
        team = Team.objects.create(name="Skadeteam")
        team.members.add(user)
        template = TaskTemplate.objects.create(name="Skadesag", days_to_deadline=14, team=team)
        for position, text in enumerate(CHECK_LIST, start=1):
            TaskTemplateItem.objects.create(template=template, position=position, text=text)
        Connection.objects.create(
            contract_number=CONTRACT_NUMBER,
            switch=Connection.Switch.ON,
            server_name="eksempel",
            user_name="eksempel",
            environment=Connection.Environment.SANDBOX,
            customer_is=Connection.CustomerIs.POLICYHOLDER,
            phone_as_customer_number=True,
            customer_type=CustomerType.objects.create(name="Forsikringskunde"),
            team=team,
            responsible=user,
            task_template=template,
        )
        insurers = []
        for name, alias, sub_alias in INSURERS:
            company = InsuranceCompany.objects.create(
                name=name,
                alias=alias,
                sub_alias=sub_alias,
                # One company differs from the default: its customers are known by their policy number.
                phone_as_customer_number=False if sub_alias else None,
            )
            token = secrets.token_urlsafe(32)
            SecurityToken.objects.create(company=company, label="Demo", token=token)
            insurers.append({"name": name, "alias": alias, "sub_alias": sub_alias, "token": token})
    return insurers


def look(posted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What became of the posted cases: for each the customer, the task, the images, why it is not finished, and whether
    that may still change.
    The one place here that reads the integration's tables."""
    from scalepoint_integration.models import InboundEvent, Service

    # Events before services, or a case that is handled between the two reads would look lost.
    events = {event.case_number: event for event in InboundEvent.objects.order_by("id").defer("body")}
    services = {
        service.service_id.lower(): service
        for service in Service.objects.select_related("case__customer", "task")
        .prefetch_related("pulls")
        .filter(case__connection__contract_number=CONTRACT_NUMBER)
    }
    rows = []
    for case in posted:
        service, event = services.get(str(case["service_id"]).lower()), events.get(case["case_number"])
        task = service.task if service else None
        pulls = list(service.pulls.all()) if service else []
        fetched = sum(1 for pull in pulls if pull.status == "done" and pull.image_id)
        why, waiting = "", False
        if not task:
            waiting = bool(event and event.status == "pending")
            why = f"no task: {_state(event)}" if event else "no task: its event was never stored"
        elif fetched < case["images"]:
            waiting = any(pull.status == "pending" for pull in pulls)
            states = [_state(pull) for pull in pulls if pull.status != "done"]
            why = "images missing: " + ("; ".join(states) or "never asked for")
        rows.append(
            {
                "case": case["case_number"],
                "customer": str(service.case.customer or "") if service else "",
                "task": str(task or ""),
                "fetched": fetched,
                "expected": case["images"],
                "waiting": waiting,
                "why": why,
            }
        )
    return rows


def _state(row: Any) -> str:
    """A queue row in words."""
    return " ".join(str(each) for each in (row.status, row.error_code, row.last_error) if each)


def wait(goal: str, report: Path, count: int) -> bool:
    """Wait for the tasks or for the images of all cases. The database may go away and come back meanwhile."""
    from django.db import InterfaceError, OperationalError, connection

    seen: tuple[int, int, int] | None = None
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    patience = 0 if goal == "table" else STALLED_SECONDS
    deadline = time.monotonic() + patience
    while True:
        try:
            told = told or _read(report)
            rows = look(told.get("cases", []))
            now = (_stored(), sum(1 for row in rows if row["task"]), sum(row["fetched"] for row in rows))
        except (InterfaceError, OperationalError):
            connection.close()
            now = seen or (0, 0, 0)
        if seen != now:
            seen, deadline = now, time.monotonic() + patience
        going_on = [row for row in rows if row["waiting"] and not (goal == "tasks" and row["task"])]
        if (told and not going_on) or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    if goal == "tasks":
        return len(rows) >= count and all(row["task"] for row in rows)
    _print_table(rows)
    problems = [f"{row['case']}: {row['why']}" for row in rows if row["why"]]
    problems += [f"simulator: {each}" for each in told.get("errors", [])]
    if len(rows) < count:
        problems.append(f"Only {len(rows)} of {count} cases were posted.")
    for problem in problems:
        _say(f"  {problem}")
    return not problems


def _stored() -> int:
    from scalepoint_integration.models import InboundEvent

    return InboundEvent.objects.count()


def _read(report: Path) -> dict[str, Any]:
    """The simulator's report, empty as long as it is not there or half written."""
    try:
        told: dict[str, Any] = json.loads(report.read_bytes())
    except (OSError, ValueError):
        return {}
    return told


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [("Case", "Customer", "Task", "Images")]
    cells += [(row["case"], row["customer"], row["task"], f"{row['fetched']}/{row['expected']}") for row in rows]
    widths = [min(44, max(len(str(line[column])) for line in cells)) for column in range(4)]
    for line in cells:
        _say("  ".join(str(cell)[:width].ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(command: str, file: str, count: str = "0") -> int:
    django.setup()
    if command == "prepare":
        target = Path(file)
        target.touch(mode=0o600)
        target.write_text(json.dumps(prepare()))
        return 0
    return 0 if wait(command, Path(file), int(count)) else 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.base")
    sys.exit(main(*sys.argv[1:]))
