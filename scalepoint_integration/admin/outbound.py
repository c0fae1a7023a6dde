import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.admin.base import badge
from scalepoint_integration import outbox, workqueue
from scalepoint_integration.admin.big_tables import queue_state
from scalepoint_integration.admin.event import ReadOnlyAdmin
from scalepoint_integration.doorbell import ring
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Connection, OutboundEvent


@admin.register(OutboundEvent)
class OutboundEventAdmin(ReadOnlyAdmin):
    """What was sent to Scalepoint, waits to be sent, or could not be."""

    list_display = ("created_at", "kind", "case", "state", "attempts", "created_by")
    list_display_links = ("created_at", "kind")
    list_filter = ("status", "kind")
    search_fields = ("case__number__exact", "case__case_id__exact")
    search_help_text = _("The whole case number or Scalepoint id")
    actions = ["retry"]
    fieldsets = (
        (None, {"fields": ("state", "kind", "problem", "case_link", "created_by", "created_at")}),
        (_("What leaves"), {"fields": ("content_shown", "answer")}),
        (_("Attempts"), {"fields": ("attempts", "available_at", "finished_at", "last_error"), "classes": ["collapse"]}),
    )
    readonly_fields = ("state", "problem", "case_link", "content_shown")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("case__insurer", "connection", "created_by")
        return rows.defer("content", "connection__secret", "connection__client_secret")

    @admin.display(description=_("status"), ordering="status")
    def state(self, item: OutboundEvent) -> SafeString:
        if item.status == OutboundEvent.Status.PENDING and not _switched_on(item):
            return badge("wait", "❚❚", _("Waiting: sending is switched off on the connection"))
        if item.status == OutboundEvent.Status.DONE:
            return badge("good", "✔", _("Sent"))
        return queue_state(item)

    @admin.display(description=_("what to do"))
    def problem(self, item: OutboundEvent) -> Any:
        if not item.error_code:
            return "–"  # noqa: RUF001
        problem = describe(item.error_code, item.error_facts)
        return format_html("{}. <em>{}</em>", problem.todo, problem.who)

    @admin.display(description=_("case"))
    def case_link(self, item: OutboundEvent) -> Any:
        if item.case is None:
            return "–"  # noqa: RUF001
        link = reverse("admin:scalepoint_integration_case_change", args=[item.case.pk])
        return format_html('<a href="{}">{}</a>', link, item.case)

    @admin.display(description=_("content"))
    def content_shown(self, item: OutboundEvent) -> Any:
        """What left, or what would leave now."""
        if not item.facts:
            return _("The content was deleted by the retention rule.")
        item.content = None  # shown by its size alone, so it need not be read
        try:
            said = item.facts.get("sent") or outbox.shown(item, outbox.body(item, timezone.now()))
        except workqueue.QueueError as error:
            return str(describe(error.code, error.facts))
        return format_html('<pre class="content">{}</pre>', json.dumps(said, indent=2, ensure_ascii=False))

    @admin.action(description=_("Send the chosen sendings again that failed"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[OutboundEvent]") -> None:
        count = workqueue.retry(queryset.exclude(facts={}))
        ring("drain_outbound")
        self.message_user(
            request, ngettext("%d sending is tried again now.", "%d sendings are tried again now.", count) % count
        )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.send_outbound"))


def _switched_on(item: OutboundEvent) -> bool:
    on = item.connection.switch == Connection.Switch.ON
    return on and bool(getattr(item.connection, outbox.SWITCHES[OutboundEvent.Kind(item.kind)]))
