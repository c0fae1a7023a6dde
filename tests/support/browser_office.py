"""An office on an ordinary day: cases in every state, something that needs a person, something that failed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone, translation

from crm.models import Customer
from scalepoint_integration import queues
from scalepoint_integration.models import Case, Connection, InboundEvent, Refusal
from scalepoint_integration.test_cases import examples
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue.drain import drain
from tasks.models import TaskImage
from tests.browser.conftest import PASSWORD
from tests.support.world import World, assignment, handle, make_world, merged

NUMBER = "00112299"
NAMES = [f"{name} Eksempelsen" for name in ("Anna", "Bo", "Clara", "Dagny", "Ejnar", "Frida", "Gorm")]


@dataclass
class Office:
    world: World
    ambiguous: Case
    ordinary: Case
    failed: InboundEvent
    handled: InboundEvent
    refusal: Refusal
    image: TaskImage


def people() -> None:
    """One user for each role, and Mette, who may do all of it."""
    call_command("scalepoint_setup_roles", verbosity=0)
    user = get_user_model()
    mette, _made = user.objects.get_or_create(username="mette")
    mette.is_staff = mette.is_superuser = True
    mette.email = "mette@kontor.example"
    mette.first_name, mette.last_name = "Mette", "Eksempelsen"
    mette.set_password(PASSWORD)
    mette.save()


def picture(number: int) -> dict[str, Any]:
    return examples._picture(f"{20310506 + number}", number)


def busy() -> Office:
    """The world with a day's work in it, as a Danish office would have it. Everything is invented."""
    with translation.override("da"):
        return _busy()


def _busy() -> Office:
    world = make_world(phone_as_customer_number=True, company_name="Eksempel Byg ApS", contact_name="Mette")
    people()
    now = timezone.now()
    world.default_values.failure_recipients.add(get_user_model().objects.get(username="mette"))
    damages = ("Vandskade", "Brandskade", "Stormskade", "Tyveri")
    for number in range(2, 9):
        event = assignment(
            number,
            timestamp=(now - timedelta(hours=number)).isoformat(),
            case={"damageType": damages[number % 4]},
            policyHolder={"name": NAMES[number % 7], "phoneNumber": f"+45 00 20 30 {number:02d}"},
        )
        if not number % 2:
            event["case"]["policy"]["insuranceCompany"] = {"alias": world.syd.alias}
        event["images"] = [picture(place) for place in range(1, 4)]
        handle(world, event, insurer=world.nord if number % 2 else world.syd)
    drain(queues.IMAGES)
    for name in ("Jens Eksempelsen", "J. Eksempelsen ApS"):
        Customer.objects.create(customer_number=NUMBER, name=name, street="Bygaden 4", postal_code="0101")
    (waits,) = handle(world, assignment(20, policyHolder={"phoneNumber": NUMBER, "name": "Jens Eksempelsen"}))
    ordinary = Case.objects.filter(status="in_progress").order_by("pk").first()
    assert ordinary is not None
    message = {
        "eventType": "message_received",
        "timestamp": now.isoformat(),
        "case": {"uuid": ordinary.case_id, "token": ordinary.token},
        "message": {"id": "m-1", "sender": {"name": "Inga Eksempelsen"}, "content": "Hvornår kommer I?"},
    }
    handle(world, message, insurer=ordinary.insurer)
    (failed,) = handle(world, merged(assignment(30), {"case": None}))
    refusal = Refusal.objects.create(
        connection=world.connection, http_status=401, code="SP-101", incident="abc123", token_last4="8f3c"
    )
    sweep()
    handled = InboundEvent.objects.filter(case=ordinary).order_by("pk").first()
    image = TaskImage.objects.order_by("pk").first()
    assert handled is not None and image is not None
    return Office(world, waits.case, ordinary, failed, handled, refusal, image)


def first_connection() -> Connection:
    found = Connection.objects.order_by("pk").first()
    assert found is not None
    return found
