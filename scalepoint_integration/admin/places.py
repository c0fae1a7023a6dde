"""Links to the places where a problem is solved. Which those are is a column of the table of errors."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from scalepoint_integration.places import Place


def links(user: Any, places: Iterable[Place], site: str = "admin", **rows: Model | None) -> list[tuple[str, str]]:
    """Label and address of the places that the reader may open, in their order. ``rows`` are what it is about: case,
    connection, insurer. A place of a row that is not there, and a page that the host left out, are none."""
    found = []
    for place in places:
        row = rows.get(place.of) if place.of else None
        if (place.of and row is None) or not user.has_perm(place.permission):
            continue
        with suppress(NoReverseMatch):
            address = reverse(f"admin:{place.page}", args=[row.pk] if row else (), current_app=site)
            about = rows.get(place.about)
            query = f"?{urlencode({place.about: about.pk})}" if about else ""
            found.append((gettext(place.label) % {place.of: row}, f"{address}{query}"))
    return found
