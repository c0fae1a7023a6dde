"""What the demo knows of the site's data. Run by settings/demo.py, each time in a process of its own:

    python -m devtools.demo_data prepare FILE URL     tables, static files, example data; their names go to FILE.
                                                      URL is where the stand-in for Scalepoint will be
    python -m devtools.demo_data tasks REPORT COUNT   wait until COUNT posted cases are tasks
    python -m devtools.demo_data images REPORT COUNT  and have all their images; then print the table
    python -m devtools.demo_data table REPORT COUNT   print it as things are now
    python -m devtools.demo_data stories FILE         have the stand-in tell what happens to some of them later, wait
                                                      until that is handled and answered, and say what there is to see

REPORT is what the simulator writes about the cases that it posted. The company names are invented and say so.
"""

import http.client
import json
import os
import secrets
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
CLIENT_ID = TENANT = "eksempel"
# Cases that Scalepoint makes without a number: it gets ours.
UNNUMBERED = 2
STORIES_SECONDS = 60.0


def prepare(scalepoint_url: str) -> dict[str, Any]:
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("scalepoint_setup_roles", verbosity=0)
    admin = {"username": "admin", "password": secrets.token_urlsafe(9)}
    insurers = _make_rows(admin, scalepoint_url)
    client_id, certificate = _make_key()
    return {
        "contract_number": CONTRACT_NUMBER,
        "insurers": insurers,
        "admin": admin,
        "client_id": client_id,
        "certificate": certificate,
    }


def _make_key() -> tuple[str, str]:
    """Who we are at the stand-in, and the certificate to register there."""
    from scalepoint_integration.client import keys
    from scalepoint_integration.models import Connection

    key = keys.make_key(Connection.objects.get())
    key.registered = True
    key.save()
    return CLIENT_ID, keys.certificate_for_scalepoint(key)


def _make_rows(admin: dict[str, str], scalepoint_url: str = "") -> list[dict[str, str]]:
    from django.contrib.auth.models import User
    from django.db import transaction

    from crm.models import CustomerType, InsuranceCompany, SecurityToken, Team
    from scalepoint_integration.models import Connection, UserSettings
    from tasks.models import TaskTemplate, TaskTemplateItem

    with transaction.atomic():
        user = User.objects.create_superuser(email="", first_name="Eksempel", last_name="Bruger", **admin)
        UserSettings.objects.create(user=user, scalepoint_user_name="eksempel")
        team = Team.objects.create(name="Skadeteam")
        team.members.add(user)
        template = TaskTemplate.objects.create(name="Skadesag", days_to_deadline=14, team=team)
        for position, text in enumerate(CHECK_LIST, start=1):
            TaskTemplateItem.objects.create(template=template, position=position, text=text)
        connection = Connection.objects.create(
            contract_number=CONTRACT_NUMBER,
            switch=Connection.Switch.ON,
            company_name="Eksempel Byg ApS",
            contact_name="Eksempel Bruger",
            contact_phone="01234567",
            server_name="eksempel",
            user_name="eksempel",
            environment=Connection.Environment.SANDBOX,
            client_id=CLIENT_ID,
            tenant=TENANT,
            token_url=f"{scalepoint_url}/connect/token" if scalepoint_url else "",
            api_url=scalepoint_url,
            ecx_url=scalepoint_url,
            send_case_number=True,
            send_messages=True,
            send_payment_status=True,
        )
        values = connection.default_values
        values.customer_type = CustomerType.objects.create(name="Forsikringskunde")
        values.team, values.responsible, values.task_template = team, user, template
        values.save()
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


# ---- Stories ------------------------------------------------------------------------------------------------------
def tell(spec: dict[str, Any]) -> bool:
    """Have the stand-in tell the stories of the first cases, answer as an office would, and wait until nothing waits.

    ``spec``: "simulator_url", "endpoint", "insurers", "count" of stories, "seed" of the cases. Twice is harmless: what
    was told before is recognised. Says whether all of it was handled.
    """
    deadline = time.monotonic() + STORIES_SECONDS
    events = [_unnumbered(number, spec["insurers"]) for number in range(UNNUMBERED)]
    pushed = {name: spec[name] for name in ("count", "seed", "insurers", "endpoint")}
    told = [("push_stories", pushed)]
    told += [("push", {"events": [event], "bearer": token, "endpoint": spec["endpoint"]}) for event, token in events]
    problems: list[str] = []
    for name, arguments in told:
        outcome = _steer(spec["simulator_url"], name, arguments, deadline)
        problems += [f"simulator: {each}" for each in outcome["errors"]]
    # The office's answers are about what was told, so that must have been handled.
    waiting = _until_nothing_waits(deadline)
    _answer()
    waiting = _until_nothing_waits(deadline) or waiting
    problems += waiting + _failed()
    _say_what_there_is(spec["count"])
    for problem in problems:
        _say(f"  {problem}")
    return not problems


def _unnumbered(number: int, insurers: list[dict[str, str]]) -> tuple[dict[str, Any], str]:
    """A case that Scalepoint has made and wants our number for, and the token of its insurer."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"eksempel {number}"))
    insurer = insurers[number % len(insurers)]
    case = {"token": f"b.{name}", "accidentDate": "2031-06-10T00:00:00Z", "company": insurer["name"]}
    header = {"eventType": "case_created", "payloadVersion": "1.0.0", "correlationId": name}
    event = {**header, "timestamp": f"2031-06-12T05:{number:02d}:00Z", "case": case}
    return event | {"policy": {"number": f"EX99{number:05d}"}}, insurer["token"]


def _steer(url: str, name: str, arguments: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Call a control route of the stand-in, again while that is being started anew. Its answer, {"errors": [...]}."""
    while True:
        link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=STORIES_SECONDS)
        try:
            link.request("POST", f"/control/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(link.getresponse().read())
            result: dict[str, Any] = answer.get("result") or {"errors": [f"{name}: {answer.get('error')}"]}
            return result
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > deadline:
                return {"errors": [f"{name}: no answer ({type(error).__name__})"]}
        finally:
            link.close()
        time.sleep(PAUSE)


def _queues() -> list[Any]:
    from django.apps import apps

    from scalepoint_integration.queues import QUEUES

    return [apps.get_model(queue.model) for queue in QUEUES]


def _until_nothing_waits(deadline: float) -> list[str]:
    """What waits all the same when the time is up."""
    from django.db import InterfaceError, OperationalError, connection

    while True:
        try:
            counts = {queue._meta.verbose_name: queue.objects.filter(status="pending").count() for queue in _queues()}
            waiting = [f"still waiting: {count} x {name}" for name, count in counts.items() if count]
        except (InterfaceError, OperationalError):
            connection.close()
            waiting = ["the database does not answer"]
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(PAUSE)


def _answer() -> None:
    """What an office would send: a message on a case, and that a payment was processed."""
    from django.contrib.auth.models import User

    from scalepoint_integration.models import Payment
    from scalepoint_integration.sending import outbox

    payment = Payment.objects.select_related("settlement__case").order_by("pk").first()
    if payment:
        case, user = payment.settlement.case, User.objects.order_by("pk").first()
        outbox.send_message(case, "Besigtigelse", "Vi kommer på tirsdag og ser på skaden.", user, key="demo")
        outbox.send_payment_status(case, payment.uuid, "processed", user)


def _failed() -> list[str]:
    found = []
    for queue in _queues():
        for row in queue.objects.filter(status="failed"):
            found.append(f"{queue._meta.verbose_name} {row}: {_state(row)}")
    return found


def _say_what_there_is(stories: int) -> None:
    from scalepoint_integration.models import Case, CaseMessage, OutboundEvent, Reserve, Revision

    closed = Case.objects.filter(status__in=["closed", "cancelled"]).count()
    _say(
        f"{stories} of the cases went on: {CaseMessage.objects.count()} messages, {Reserve.objects.count()} reserves, "
        f"{Revision.objects.count()} settlements, {closed} closed.\n"
        f"{UNNUMBERED} cases came without a number; sent to the stand-in: our number for them, a message, and that a "
        f"payment was processed ({OutboundEvent.objects.filter(status='done').count()} sendings)."
    )


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [("Case", "Customer", "Task", "Images")]
    cells += [(row["case"], row["customer"], row["task"], f"{row['fetched']}/{row['expected']}") for row in rows]
    widths = [min(44, max(len(str(line[column])) for line in cells)) for column in range(4)]
    for line in cells:
        _say("  ".join(str(cell)[:width].ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(command: str, file: str, count: str = "") -> int:
    django.setup()
    if command == "prepare":
        target = Path(file)
        target.touch(mode=0o600)
        target.write_text(json.dumps(prepare(count)))
        return 0
    if command == "stories":
        return 0 if tell(json.loads(Path(file).read_bytes())) else 1
    return 0 if wait(command, Path(file), int(count)) else 1


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.base")
    sys.exit(main(*sys.argv[1:]))
