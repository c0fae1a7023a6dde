"""The one settings dictionary of the app, typed: ``settings.SCALEPOINT``. Every key has a default.

>>> conf().max_body_bytes      # settings.SCALEPOINT["MAX_BODY_BYTES"], else the default below

Read live, so that ``override_settings`` works. Unknown keys are reported by a system check, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Conf:
    """What can be set; the name in settings is the upper-case one. Sizes in bytes, times in seconds."""

    # Where Scalepoint reaches the site, "https://company.example"; empty: as the office reaches it.
    public_base_url: str = ""
    # The seam to customers and tasks (adapter.py), and handlers of the host's own: {"event_type": "path.to.function"}.
    adapter: str = "scalepoint_integration.adapter.Adapter"
    handlers: Mapping[str, str] = field(default_factory=dict)
    # Rows of the host's own on the set-up list (checklist.py): "path.to.function", each (connection, now) -> rows.
    checklist: tuple[str, ...] = ()
    # The endpoint.
    max_body_bytes: int = 10 * MIB
    max_body_bytes_with_images: int = 32 * MIB
    max_batch_events: int = 1000
    # Refused tries per minute from one address at one contract before 429; a valid proof is never held back.
    max_refused_per_minute: int = 300
    # How many proxies of ours stand in front: the sender's address is that many places from the right.
    proxy_hops: int = 0
    # The database must have answered within this time, else 503 (below the ten seconds of the wire contract).
    database_seconds: float = 4.0
    # The queues. A lease must outlive the hard time limit of a Celery job (check scalepoint.E003).
    lease_seconds: int = 60
    max_attempts: int = 12
    backoff_seconds: float = 5.0
    backoff_max_seconds: float = 3600.0
    drain_batch: int = 50
    # A job begins nothing new after this; with the slowest image (below) it must end before Celery's soft limit.
    drain_seconds: float = 15.0
    ring_seconds: int = 5
    # What leaves. The names that Scalepoint's pages do not give can be put right here.
    event_name_case_number_failed: str = "case_number_failed"
    event_name_message: str = "create_message"
    file_field_name: str = "fileName"
    file_field_type: str = "fileType"
    file_field_content: str = "content"
    expense_field_user_name: str = "userName"
    file_max_bytes: int = 20 * MIB
    # How long things are kept.
    body_days: int = 90
    refusal_days: int = 7
    refusal_rows: int = 200
    # Images. Trusted origins ("http://127.0.0.1:8900") may be http and need no public address: for the simulator.
    image_trusted_origins: tuple[str, ...] = ()
    image_max_bytes: int = 20 * MIB
    image_max_pixels: int = 50_000_000
    image_seconds: float = 20.0
    image_max_redirects: int = 3
    image_max_per_event: int = 500
    thumbnail_pixels: int = 320
    # Calls to Scalepoint. Trusted origins may be http: for the simulator. A poll is held open by Scalepoint.
    client_trusted_origins: tuple[str, ...] = ()
    client_connect_seconds: float = 5.0
    client_seconds: float = 30.0
    client_poll_seconds: float = 20.0
    client_max_answer_bytes: int = 16 * MIB
    # Scalepoint's page on expenses does not say which scope they want.
    expense_scope: str = "platform-service-provider:write"
    # How long an access token of our own token address is good for.
    issued_token_seconds: int = 3600


KEYS = tuple(each.name.upper() for each in fields(Conf))

_last: tuple[Any, Conf] = (None, Conf())


def conf() -> Conf:
    """The settings as they stand now. Unknown keys are left out."""
    global _last
    given: Mapping[str, Any] | None = getattr(settings, "SCALEPOINT", None)
    if given is not _last[0]:
        known = {key.lower(): value for key, value in (given or {}).items() if key in KEYS}
        for name in ("checklist", "image_trusted_origins", "client_trusted_origins"):
            if name in known:
                known[name] = tuple(known[name])
        _last = (given, Conf(**known))
    return _last[1]
