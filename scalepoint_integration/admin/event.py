import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from scalepoint_integration import inbox, workqueue
from scalepoint_integration.admin.big_tables import BigTableAdmin, queue_state
from scalepoint_integration.admin.case import told_in_words
from scalepoint_integration.doorbell import ring
from scalepoint_integration.errors import describe
from scalepoint_integration.models import InboundEvent, Refusal


class ReadOnlyAdmin(BigTableAdmin):
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# What an event type means in the office; another type is shown as Scalepoint calls it.
_WORDS = {
    "repair_service_requested": _("New case"),
    "repair_updated": _("Case changed"),
    "reserve_updated": _("Reserve changed"),
    "case_settled": _("Case settled"),
}


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "what", "case_number", "state", "insurer", "attempts")
    list_display_links = ("received_at", "what")
    list_select_related = ("insurer",)
    list_filter = ("status",)
    search_fields = (
        "case_number__exact",
        "service_reference__exact",
        "correlation_id__exact",
        "vendor_id__exact",
    )
    search_help_text = _("The whole case number, service reference, correlation id or event id")
    actions = ["retry", "replay"]
    fieldsets = (
        (None, {"fields": ("state", "what", "problem", "case_link", "insurer", "received_at", "occurred_at")}),
        (_("Attempts"), {"fields": ("attempts", "available_at", "finished_at", "last_error"), "classes": ["collapse"]}),
        (
            _("Technical facts"),
            {
                "fields": (
                    "event_type",
                    "connection",
                    "source",
                    "payload_version",
                    "correlation_id",
                    "vendor_id",
                    "service_reference",
                    "size",
                    "replay_of",
                    "content",
                ),
                "classes": ["collapse"],
            },
        ),
    )
    readonly_fields = ("state", "what", "problem", "case_link", "content")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        if request.user.has_perm("scalepoint_integration.view_raw_payload"):
            return sets
        return [
            (title, {**options, "fields": tuple(name for name in options["fields"] if name != "content")})
            for title, options in sets
        ]

    @admin.display(description=_("what happened"))
    def what(self, event: InboundEvent) -> Any:
        return _WORDS.get(event.event_type, event.event_type)

    @admin.display(description=_("status"), ordering="status")
    def state(self, event: InboundEvent) -> SafeString:
        return queue_state(event)

    @admin.display(description=_("what to do"))
    def problem(self, event: InboundEvent) -> Any:
        if not event.error_code:
            return "–"  # noqa: RUF001
        return told_in_words([describe(event.error_code, event.error_facts)])

    @admin.display(description=_("case"))
    def case_link(self, event: InboundEvent) -> Any:
        if event.case is None:
            return "–"  # noqa: RUF001
        link = reverse("admin:scalepoint_integration_case_change", args=[event.case.pk])
        return format_html('<a href="{}">{}</a>', link, event.case)

    @admin.display(description=_("content"))
    def content(self, event: InboundEvent) -> Any:
        said = event.content()
        if said is None:
            return _("The content was deleted by the retention rule and can't be run again.")
        return format_html('<pre class="content">{}</pre>', _pretty(said))

    @admin.action(description=_("Retry the chosen events"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[InboundEvent]") -> None:
        count = workqueue.retry(queryset.exclude(body=None))
        ring("drain")
        self.message_user(
            request, ngettext("%d event is tried again now.", "%d events are tried again now.", count) % count
        )

    @admin.action(description=_("Run the chosen events again, also handled ones"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: "QuerySet[InboundEvent]") -> None:
        made = 0
        for event in queryset:
            try:
                inbox.replay(event)
                made += 1
            except inbox.NotReplayable as error:
                self.message_user(request, f"{event}: {error}", messages.WARNING)
        if made:
            self.message_user(request, ngettext("%d event is run again.", "%d events are run again.", made) % made)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.retry_event"))

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.replay_event"))


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "http_status", "what", "remote_address", "token_last4", "size", "connection")
    list_select_related = ("connection",)
    list_filter = ("http_status",)
    search_fields = ("incident__exact",)
    search_help_text = _("The whole incident number")
    fields = (
        "received_at",
        "what",
        "problem",
        "http_status",
        "detail",
        "remote_address",
        "token_last4",
        "size",
        "connection",
        "incident",
        "content",
    )
    readonly_fields = ("what", "problem", "content")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body", "connection__secret")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may = request.user.has_perm("scalepoint_integration.view_raw_payload")
        return [name for name in self.fields if may or name != "content"]

    @admin.display(description=_("what happened"))
    def what(self, refusal: Refusal) -> str:
        return describe(refusal.code, {"last4": refusal.token_last4}).what

    @admin.display(description=_("what to do"))
    def problem(self, refusal: Refusal) -> Any:
        return told_in_words([describe(refusal.code, {"last4": refusal.token_last4})])

    @admin.display(description=_("content"))
    def content(self, refusal: Refusal) -> Any:
        said = refusal.content()
        if said is None:
            return "–"  # noqa: RUF001
        return format_html('<pre class="content">{}</pre>', said.decode("utf-8", "replace"))


def _pretty(body: bytes) -> str:
    """For reading. A picture inside is shown by its length alone."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        if isinstance(value, list):
            return [short(item) for item in value]
        if isinstance(value, str) and len(value) > 2000:
            return f"{value[:60]}… ({len(value)})"
        return value

    return json.dumps(short(json.loads(body)), indent=2, ensure_ascii=False)
