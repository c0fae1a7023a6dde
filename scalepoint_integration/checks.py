"""System checks: settings and installed packages only, each with an id and a hint. They can be silenced by id."""

import difflib
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from scalepoint_integration.conf import KEYS, conf


@register("scalepoint")
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    given = getattr(settings, "SCALEPOINT", None) or {}
    if not isinstance(given, dict):
        return [Error("SCALEPOINT must be a dictionary.", id="scalepoint.E001")]
    found: list[CheckMessage] = []
    for key in given:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(KEYS)}."
            found.append(Error(f"Unknown setting SCALEPOINT[{key!r}].", hint=hint, id="scalepoint.E002"))
    limit = getattr(settings, "CELERY_TASK_TIME_LIMIT", None)
    if limit and limit >= conf().lease_seconds:
        found.append(
            Error(
                "A Celery job may run longer than a lease lasts, so two workers could do the same work.",
                hint="Set CELERY_TASK_TIME_LIMIT below SCALEPOINT['LEASE_SECONDS'].",
                id="scalepoint.E003",
            )
        )
    paths = [("ADAPTER", conf().adapter), *conf().handlers.items(), *(("CHECKLIST", each) for each in conf().checklist)]
    for name, path in paths:
        try:
            import_string(path)
        except ImportError as error:
            found.append(Error(f"SCALEPOINT {name!r}: {error}", hint="Give a dotted path.", id="scalepoint.E004"))
    base = conf().public_base_url
    if base and not base.startswith("https://") and not settings.DEBUG and not _on_loopback(base):
        found.append(
            Warning(
                "SCALEPOINT['PUBLIC_BASE_URL'] is not https: Scalepoint can only send to https.",
                hint="Give the address under which the site is reached from outside.",
                id="scalepoint.W001",
            )
        )
    if find_spec("holidays") is None:
        found.append(
            Warning(
                "The package holidays is not installed: the alarm about silent companies counts holidays.",
                hint="Install django-scalepoint[holidays], or silence this check.",
                id="scalepoint.W002",
            )
        )
    return found


def _on_loopback(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "http://localhost"))
