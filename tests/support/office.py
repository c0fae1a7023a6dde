"""Who works in the office, and cases as it sees them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from scalepoint_integration.models import Case
from tests.support.world import World


def client_of(*permissions: str, superuser: bool = False, name: str = "ole") -> Client:
    user = get_user_model().objects.create_user(name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def make(world: World, number: str, **given: Any) -> Case:
    """A case as the office sees it, without the events that made it."""
    facts = {"holder_name": {"value": f"Jens {number}", "at": "2031-05-06T00:00:00+00:00"}}
    return Case.objects.create(
        **{
            "connection": world.connection,
            "insurer": world.nord,
            "case_id": f"id-{number}".lower(),
            "number": number,
            "facts": facts,
            "search_text": f"{number} jens {number}".lower(),
            "status": "in_progress",
            "responsible": world.default_values.responsible,
            **given,
        }
    )
