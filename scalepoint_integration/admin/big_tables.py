"""Lists over tables that only ever grow. Measured on a million rows: counting them all made a page four times slower,
searching parts of words ninety times; so the count is capped and the search is for whole values."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import OfficeAdmin, badge
from crm.formats import NOTHING, short_moment
from scalepoint_integration.errors import describe
from scalepoint_integration.workqueue import QueueItem

if TYPE_CHECKING:
    PaginatorBase = Paginator[Any]
else:
    PaginatorBase = Paginator

CAP = 10_000
_LOOKS = {
    QueueItem.Status.PENDING: ("wait", "●"),
    QueueItem.Status.DONE: ("good", "✔"),
    QueueItem.Status.IGNORED: ("", NOTHING),
    QueueItem.Status.FAILED: ("bad", "✖"),
}


def queue_state(item: QueueItem) -> SafeString:
    """How a row of a queue stands, and what is wrong with it."""
    kind, icon = _LOOKS[QueueItem.Status(item.status)]
    word: Any = item.get_status_display()
    because = describe(item.error_code, item.error_facts).what if item.error_code else ""
    if item.status == QueueItem.Status.PENDING:
        if item.error_code:
            word = _("Waiting for next attempt")
            at = gettext("at %(time)s") % {"time": short_moment(item.available_at)}
            because = f"{at}. {because}"
        elif item.attempts and item.available_at > timezone.now():
            kind, icon, word = "busy", "▶", _("Being handled")
        else:
            word = _("Received")
    if not because:
        return badge(kind, icon, word)
    return format_html('{}<span class="because">{}</span>', badge(kind, icon, word), because)


class CappedPaginator(PaginatorBase):
    """Counts no further than CAP. Who looks for something older filters or searches."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.order_by().values_list("pk")[:CAP])


class BigTableAdmin(OfficeAdmin):
    """Read-only facts about what happened: they are made by the machine and changed by nobody."""

    paginator = CappedPaginator
    ordering = ("-id",)
    change_list_template = "scalepoint/change_list.html"
    change_form_template = "scalepoint/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
