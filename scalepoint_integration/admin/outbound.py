import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy
from django.views.decorators.http import require_POST

from crm.admin.base import badge
from crm.formats import NOTHING, when
from scalepoint_integration.admin.big_tables import queue_state
from scalepoint_integration.admin.event import ReadOnlyAdmin, todo_steps
from scalepoint_integration.admin.pages import allow
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Connection, OutboundEvent
from scalepoint_integration.sending import outbox
from scalepoint_integration.workqueue import QueueError


class OutboundEventAdmin(ReadOnlyAdmin):
    """What was sent to Scalepoint, waits to be sent, or could not be."""

    change_form_template = "scalepoint/sending.html"
    log_tab = "sent"
    list_display = ("time", "direction", "kind", "case", "state", "button", "insurer", "attempts", "created_by")
    list_display_links = ("time", "kind")
    list_filter = ("status", "kind", "created_at")
    search_fields = ("case__number__exact", "case__case_id__exact")
    search_help_text = _("Enter the full case number or Scalepoint id")
    actions = ["retry"]
    fields = ("state",)
    readonly_fields = ("state",)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("case__insurer", "connection", "created_by")
        return rows.defer("content", "connection__secret", "connection__client_secret")

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        retry = path("<int:pk>/retry/", wrap(self.retry_view), name="scalepoint_integration_outboundevent_retry")
        return [retry, *super().get_urls()]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        for item in changes.result_list:
            item.may_retry = self.has_retry_permission(request) and _failed(item)
        return changes

    @admin.display(description=_("time"), ordering="id")
    def time(self, item: OutboundEvent) -> Any:
        return when(item.created_at)

    @admin.display(description=_("direction"))
    def direction(self, item: OutboundEvent) -> SafeString:
        return format_html('<span aria-hidden="true">⇨</span> {}', pgettext_lazy("direction", "out"))

    @admin.display(description=_("insurance company"))
    def insurer(self, item: OutboundEvent) -> Any:
        return (item.case and item.case.insurer) or NOTHING

    @admin.display(description=_("action"))
    def button(self, item: OutboundEvent) -> Any:
        if not getattr(item, "may_retry", False):
            return ""
        return format_html(
            '<button type="submit" class="button" formmethod="post" formaction="{}">{}'
            '<span class="sp-hidden"> {}</span></button>',
            reverse("admin:scalepoint_integration_outboundevent_retry", args=[item.pk]),
            _("Retry"),
            item,
        )

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return require_POST(self._retry_one)(request, pk)

    def _retry_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        allow(request, "scalepoint_integration.view_outboundevent", "scalepoint_integration.send_outbound")
        self.retry(request, OutboundEvent.objects.filter(pk=pk))
        return HttpResponseRedirect(reverse("admin:scalepoint_integration_outboundevent_change", args=[pk]))

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        item: OutboundEvent = obj
        problem = describe(item.error_code, item.error_facts) if item.error_code else None
        waits = item.status == OutboundEvent.Status.PENDING and item.error_code
        shown = {
            "title": item.get_kind_display(),
            "subtitle": None,
            "state": self.state(item),
            "problem": problem,
            "todo": todo_steps(problem, False) if problem else [],
            "box": "sp-box-bad" if item.status == OutboundEvent.Status.FAILED else "sp-box-wait",
            "may_retry": self.has_retry_permission(request) and _failed(item),
            "content": self.content_shown(item),
            "facts": [
                (_("sent by"), item.created_by or NOTHING),
                (_("written"), when(item.created_at)),
                (_("attempts"), item.attempts),
                (_("next attempt"), when(item.available_at) if waits else NOTHING),
                (_("finished"), when(item.finished_at)),
            ],
        }
        return super().render_change_form(request, {**context, **shown}, add, change, form_url, obj)

    @admin.display(description=_("status"), ordering="status")
    def state(self, item: OutboundEvent) -> SafeString:
        if item.status == OutboundEvent.Status.PENDING and not _switched_on(item):
            return badge("wait", "❚❚", _("Waiting: sending is turned off on the connection"))
        if item.status == OutboundEvent.Status.DONE:
            return badge("good", "✔", _("Sent"))
        return queue_state(item)

    def content_shown(self, item: OutboundEvent) -> Any:
        """What left, or what would leave now."""
        if not item.facts:
            return _("The content was deleted by the retention rule.")
        item.content = None  # shown by its size alone, so it need not be read
        try:
            said = item.facts.get("sent") or outbox.shown(item, outbox.body(item, timezone.now()))
        except QueueError as error:
            return str(describe(error.code, error.facts))
        return format_html('<pre class="content">{}</pre>', json.dumps(said, indent=2, ensure_ascii=False))

    @admin.action(description=_("Resend failed events"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[OutboundEvent]") -> None:
        count = outbox.retry(queryset)
        self.message_user(request, ngettext("%d event is being resent.", "%d events are being resent.", count) % count)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.send_outbound"))


def _failed(item: OutboundEvent) -> bool:
    """Whether a person may try it again: what was deleted by the retention rule can't leave."""
    return item.status == OutboundEvent.Status.FAILED and bool(item.facts)


def _switched_on(item: OutboundEvent) -> bool:
    on = item.connection.switch == Connection.Switch.ON
    return on and bool(getattr(item.connection, outbox.SWITCHES[OutboundEvent.Kind(item.kind)]))


def register(site: admin.AdminSite) -> None:
    site.register(OutboundEvent, OutboundEventAdmin)
