"""How much slower the office's pages get with a million events behind them: `make bench`.

Both sizes are measured in one run on one machine, page by page, and only their ratio is stated: seconds of one machine
say nothing about another. Not a test; the tests hold the number of queries.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator

from devtools.processes import Household
from devtools.servers import Postgres

SMALL, LARGE = 1_000, 1_000_000
ROUNDS = 9


def main() -> None:
    with Household("scalepoint-bench-") as house:
        server = Postgres(house)
        server.start()
        os.environ |= {"DATABASE_URL": server.url, "REDIS_URL": "", "DJANGO_SETTINGS_MODULE": "settings.test"}
        os.environ["PRIVATE_ROOT"] = str(house.folder("private"))
        import django

        django.setup()
        measure()


def measure() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    from tests.support.world import assignment, handle, make_world, merged

    call_command("migrate", verbosity=0)
    world = make_world()
    handle(world, *(assignment(number) for number in range(1, 60)))
    handle(world, *(merged(assignment(number), {"case": None}) for number in range(70, 80)))
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    pages = dict(addresses())
    took: dict[int, dict[str, float]] = {}
    for size in (SMALL, LARGE):
        grow(size)
        took[size] = {name: median(client, address) for name, address in pages.items()}
    sys.stdout.write(f"{'page':<32}{LARGE:,} events / {SMALL:,}\n")
    for name in pages:
        sys.stdout.write(f"{name:<32}{took[LARGE][name] / took[SMALL][name]:>8.1f}\n")


def addresses() -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    from scalepoint_integration.models import Case, InboundEvent

    app = "admin:scalepoint_integration_"
    yield "overview", reverse(f"{app}overview_changelist")
    yield "set-up", reverse(f"{app}setup_changelist")
    yield "insurance companies", reverse("admin:scalepoint_crm_insurancecompany_changelist")
    yield "cases", reverse(f"{app}case_changelist")
    yield "cases, needs action", reverse(f"{app}case_changelist") + "?tab=needs_action"
    yield "a case", reverse(f"{app}case_change", args=[Case.objects.order_by("pk")[0].pk])
    events = reverse(f"{app}inboundevent_changelist")
    yield "event log", events
    for tab in ("failed", "waiting", "today"):
        yield f"event log, {tab}", f"{events}?tab={tab}"
    yield "event log, a rare type", f"{events}?event_type=selfservice_received"
    yield "event log, a number", f"{events}?q=20310506-00005"
    yield "an event", reverse(f"{app}inboundevent_change", args=[InboundEvent.objects.order_by("pk")[0].pk])


def grow(size: int) -> None:
    """Copies of a handled event until there are so many, spread over a year."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            """
            INSERT INTO scalepoint_integration_inboundevent (connection_id, insurer_id, case_id, source, dedupe_key,
                event_type, payload_version, correlation_id, vendor_id, case_number, service_reference, occurred_at,
                received_at, size, body, status, attempts, claims, error_code, error_facts, last_error, finished_at)
            SELECT connection_id, insurer_id, NULL, source, md5(random()::text || n), event_type, payload_version, '',
                '', '', '', occurred_at, now() - n * interval '30 seconds', size, body, status, 1, 1, '', '{}', '',
                finished_at
            FROM (SELECT * FROM scalepoint_integration_inboundevent WHERE status = 'done' ORDER BY id LIMIT 1) one,
                generate_series(1, greatest(0, %s - (SELECT count(*) FROM scalepoint_integration_inboundevent))) n
            """,
            [size],
        )
        cursor.execute("ANALYZE")


def median(client: object, address: str) -> float:
    took = []
    for _round in range(ROUNDS):
        begun = time.perf_counter()
        answer = client.get(address, follow=True)  # type: ignore[attr-defined]
        took.append(time.perf_counter() - begun)
        assert answer.status_code == 200, address
    return statistics.median(took[1:])


if __name__ == "__main__":
    main()
