"""How the office reads dates, times, durations, amounts and "nothing". No page writes any of these in its own way."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext, pgettext

NOTHING = "–"
# As people write dates here, whatever the language of the page; the last one is the browser's own.
DATE_INPUTS = ["%d.%m.%Y", "%d-%m-%Y", "%d/%m-%Y", "%d/%m/%Y", "%Y-%m-%d"]


def day(value: date | None) -> str:
    """ "12.03.2026" """
    # Translators: a date, in Django's date format.
    return NOTHING if value is None else date_format(value, pgettext("date", "j M Y"))


def moment(value: datetime | None) -> str:
    """ "12.03.2026 kl. 14.05" """
    if value is None:
        return NOTHING
    # Translators: a date and a time of day, in Django's date format.
    return date_format(timezone.localtime(value), pgettext("date and time", "j M Y, H:i"))


def short_moment(value: datetime) -> str:
    """The time of day, with the date where it is not today: short enough for a list."""
    local = timezone.localtime(value)
    if local.date() != timezone.localdate():
        return moment(value)
    # Translators: a time of day in Django's date format.
    return date_format(local, pgettext("time of day", "H:i"))


def when(value: datetime | None) -> SafeString | str:
    """The time, and how long ago that is, in words: "12.03.2026 kl. 14.05 (for 3 timer siden)"."""
    if value is None:
        return NOTHING
    past = value <= timezone.now()
    distance = timesince(value, depth=1) if past else timesince(timezone.now(), value, depth=1)
    words = gettext("%(time)s ago") if past else gettext("in %(time)s")
    if abs(timezone.now() - value) < timedelta(minutes=1):
        words = gettext("just now")  # "0 minutes ago" is no language
    return format_html(
        '<time datetime="{}">{} <span class="sp-quiet">({})</span></time>',
        timezone.localtime(value).isoformat(timespec="seconds"),
        moment(value),
        words % {"time": distance},
    )


def duration(seconds: float | None) -> str:
    """In the two largest units that say something: "38 sec.", "4 h 10 min.", "3 days"."""
    if seconds is None:
        return NOTHING
    minutes, whole = int(seconds // 60), int(seconds)
    if whole < 60:
        return gettext("%(seconds)d sec.") % {"seconds": whole}
    if minutes < 60:
        return gettext("%(minutes)d min.") % {"minutes": minutes}
    if minutes < 2 * 24 * 60:
        return gettext("%(hours)d h %(minutes)d min.") % {"hours": minutes // 60, "minutes": minutes % 60}
    days = minutes // (24 * 60)
    return ngettext("%(days)d day", "%(days)d days", days) % {"days": days}


def number(value: float, decimals: int) -> str:
    """ "0,4" """
    return number_format(value, decimals)


def amount(value: Decimal, currency: str = "") -> str:
    """ "1037,50 DKK": two decimals, or as many as there are."""
    decimals = max(2, -int(value.normalize().as_tuple().exponent))
    return f"{number_format(value, decimals, use_l10n=True)} {currency}".strip()


def in_words(value: Any) -> str:
    """Any value as the office reads it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, datetime):
        return moment(value)
    return day(value) if isinstance(value, date) else str(value)
