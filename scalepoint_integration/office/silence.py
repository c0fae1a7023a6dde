"""Companies that usually send, and are silent."""

import itertools
import statistics
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from django.db.models import Max
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from crm.models import InsuranceCompany
from scalepoint_integration.models import Connection, InboundEvent

# Who sends on fewer days than this in the last SILENCE_WINDOW days has no habit that could be broken.
SILENCE_WINDOW = 90
SILENCE_HABIT = 3


@dataclass(frozen=True, slots=True)
class Silence:
    """``days``: whole working days without an event, today not counted. ``usual``: working days from one day with
    events to the next, as a rule."""

    insurer: InsuranceCompany
    last: datetime
    days: int
    usual: int


def silent(connection: Connection, now: datetime) -> list[Silence]:
    """Companies that usually send, and have sent nothing for ``silence_days`` whole working days and for longer than
    they usually take. The longest silence first. None while the connection is off: then nothing is let in."""
    limit = connection.default_values.silence_days
    if not limit or connection.switch == Connection.Switch.OFF:
        return []
    events = InboundEvent.objects.filter(connection=connection, replay_of=None, received_at__lte=now)
    events = events.filter(received_at__gte=now - timedelta(days=SILENCE_WINDOW))
    events = events.exclude(source=InboundEvent.Source.TEST).exclude(case__is_test=True)
    # Where the connection's own secret opened the door, the case knows the company.
    sender = events.annotate(sender=Coalesce("insurer", "case__insurer"), day=TruncDate("received_at"))
    rows = (
        sender.exclude(sender=None).values("sender", "day").annotate(last=Max("received_at")).order_by("sender", "day")
    )
    today = timezone.localdate(now)
    found: list[tuple[int, datetime, int, int]] = []
    for company, group in itertools.groupby(rows, key=lambda row: row["sender"]):
        sent = list(group)
        if len(sent) < SILENCE_HABIT:
            continue
        gaps = [max(1, _working_days(a["day"], b["day"]) + 1) for a, b in itertools.pairwise(sent)]
        usual, days = round(statistics.median(gaps)), _working_days(sent[-1]["day"], today)
        if days >= limit and days > usual:
            found.append((company, sent[-1]["last"], days, usual))
    companies = InsuranceCompany.objects.filter(active=True).in_bulk([each[0] for each in found]) if found else {}
    silences = [Silence(companies[pk], last, days, usual) for pk, last, days, usual in found if pk in companies]
    return sorted(silences, key=lambda silence: silence.last)


def _working_days(after: date, before: date) -> int:
    """Between the two, neither of them counted: Monday to Friday, without the public holidays of Denmark."""
    between = (after + timedelta(days=each) for each in range(1, (before - after).days))
    return sum(day.weekday() < 5 and day not in _closed(day.year) for day in between)


@cache
def _closed(year: int) -> frozenset[date]:
    try:
        import holidays
    except ModuleNotFoundError:  # the extra "holidays": check scalepoint.W002 says that it is missing
        return frozenset()
    return frozenset(holidays.country_holidays("DK", years=year))
