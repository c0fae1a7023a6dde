"""What people were told by mail, or could not be."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.admin.base import badge
from crm.formats import NOTHING, when
from scalepoint_integration.admin.big_tables import BigTableAdmin, queue_state
from scalepoint_integration.admin.pages import told_in_words
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Notice
from scalepoint_integration.sending import notifications


class NoticeAdmin(BigTableAdmin):
    list_display = ("written", "kind", "user", "case", "state")
    list_display_links = ("written", "kind")
    list_select_related = ("user", "case")
    list_filter = ("status", "kind")
    actions = ["retry"]
    fields = ("state", "problem", "kind", "user", "case", "written", "attempts")
    readonly_fields = fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("written"), ordering="id")
    def written(self, notice: Notice) -> Any:
        return when(notice.created_at)

    @admin.display(description=_("status"), ordering="status")
    def state(self, notice: Notice) -> SafeString:
        return badge("good", "✔", _("Sent")) if notice.status == Notice.Status.DONE else queue_state(notice)

    @admin.display(description=_("what to do"))
    def problem(self, notice: Notice) -> Any:
        return told_in_words([describe(notice.error_code)]) if notice.error_code else NOTHING

    @admin.action(description=_("Resend failed emails"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Notice]") -> None:
        count = notifications.retry(queryset)
        self.message_user(request, ngettext("%d email is being resent.", "%d emails are being resent.", count) % count)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.retry_event"))


def register(site: admin.AdminSite) -> None:
    site.register(Notice, NoticeAdmin)
