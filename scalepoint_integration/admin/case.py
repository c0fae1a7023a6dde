from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.admin.base import badge
from scalepoint_integration import cases, followup, lifecycle, workqueue
from scalepoint_integration.admin import money
from scalepoint_integration.admin.big_tables import BigTableAdmin
from scalepoint_integration.admin.pages import told_in_words
from scalepoint_integration.admin.told import AttachmentInline, MessageInline, NoteInline, ReadOnlyInline
from scalepoint_integration.doorbell import ring
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, Service
from scalepoint_integration.payloads.assignment import CaseFacts

LOOKS = {
    Case.Status.NEW: ("wait", "●"),
    Case.Status.NEEDS_ACTION: ("bad", "⚠"),
    Case.Status.IN_PROGRESS: ("busy", "▶"),
    Case.Status.CLOSED: ("good", "✔"),
    Case.Status.CANCELLED: ("", "✖"),
}


class ServiceInline(ReadOnlyInline):
    """What was ordered, the task it became, and how its images fare."""

    model = Service
    fields = ("reference", "task_link", "images")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Service]":
        return super().get_queryset(request).select_related("task").prefetch_related("pulls")

    @admin.display(description=_("task"))
    def task_link(self, service: Service) -> Any:
        if service.task is None:
            return _("There is no task yet.")
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:tasks_task_change", args=[service.task.pk]), service.task
        )

    @admin.display(description=_("images"))
    def images(self, service: Service) -> Any:
        pulls = list(service.pulls.all())
        if not pulls:
            return _("There are no images on the case. New ones come by themselves when Scalepoint sends them.")
        got = sum(pull.status == ImagePull.Status.DONE for pull in pulls)
        lines = [_("%(got)s of %(all)s fetched") % {"got": got, "all": len(pulls)}]
        lines += [f"{pull}: {describe(pull.error_code)}" for pull in pulls if pull.status == ImagePull.Status.FAILED]
        return format_html_join("", "<div>{}</div>", ((line,) for line in lines))


@admin.register(Case)
class CaseAdmin(BigTableAdmin):
    """The office changes three things of a case: its insurance company, its customer and its status."""

    list_display = ("reference", "state", "policyholder", "place", "damage", "insurer", "created_at")
    list_display_links = ("reference",)
    list_select_related = ("insurer",)
    list_filter = ("status", ("insurer", admin.RelatedOnlyFieldListFilter))
    search_fields = ("number__exact", "case_id__exact", "services__reference__exact", "services__service_id__exact")
    search_help_text = _("The whole case number, service reference or Scalepoint id")
    autocomplete_fields = ("insurer", "customer")
    inlines = [ServiceInline, MessageInline, AttachmentInline, *money.INLINES, NoteInline]
    actions = ["retry", "fetch_images_again", "fetch_settlement_again"]
    readonly_fields = (
        "problem",
        "number",
        "connection",
        "policyholder",
        "contact",
        "place",
        "damage",
        "description",
        "policy",
        "scalepoint_link",
        "closing",
        "where_from",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": ("problem", "number", "status", "closing", "scalepoint_link")}),
        (_("Who"), {"fields": ("policyholder", "contact", "policy", "insurer", "customer")}),
        (_("The damage"), {"fields": ("place", "damage", "description")}),
        (
            _("About this case"),
            {"fields": ("where_from", "connection", "created_at", "updated_at"), "classes": ["collapse"]},
        ),
    )

    @admin.display(description=_("case number"), ordering="number")
    def reference(self, case: Case) -> SafeString:
        return format_html('<span class="number">{}</span>', case)

    @admin.display(description=_("status"), ordering="status")
    def state(self, case: Case) -> SafeString:
        kind, icon = LOOKS[Case.Status(case.status)]
        shown = badge(kind, icon, case.get_status_display())
        if not case.problem_code:
            return shown
        return format_html(
            '{}<span class="because">{}</span>', shown, describe(case.problem_code, case.problem_facts).what
        )

    @admin.display(description=_("what is wrong"))
    def problem(self, case: Case) -> Any:
        told = [describe(case.problem_code, case.problem_facts)] if case.problem_code else []
        told += [describe(flag["code"]) for flag in case.flags if followup.still_true(case, flag)]
        told += [describe(code) for code in case.notices]
        failed = ImagePull.objects.filter(service__case=case, status=ImagePull.Status.FAILED)
        told += [describe(code) for code in sorted(set(failed.values_list("error_code", flat=True)))]
        if not told:
            return badge("good", "✔", _("Nothing. There is nothing for you to put right."))
        return told_in_words(told)

    @admin.display(description=_("closed by Scalepoint"))
    def closing(self, case: Case) -> str:
        closed = lifecycle.closing(case.lifecycle)
        if closed is None:
            return "–"  # noqa: RUF001
        at = timezone.localtime(datetime.fromisoformat(closed["at"]))
        return f"{date_format(at, 'SHORT_DATETIME_FORMAT')} · {lifecycle.in_words(closed)}"

    @admin.display(description=_("policyholder"))
    def policyholder(self, case: Case) -> str:
        return _facts(case).holder_name or "–"  # noqa: RUF001

    @admin.display(description=_("telephone and e-mail"))
    def contact(self, case: Case) -> str:
        facts = _facts(case)
        return " · ".join(filter(None, (facts.holder_phone, facts.holder_mobile, facts.holder_email))) or "–"  # noqa: RUF001

    @admin.display(description=_("damage address"))
    def place(self, case: Case) -> str:
        facts = _facts(case)
        place = facts.damage_address or facts.holder_address
        return ", ".join(filter(None, (place.street, f"{place.postal_code} {place.city}".strip()))) or "–"  # noqa: RUF001

    @admin.display(description=_("damage type"))
    def damage(self, case: Case) -> str:
        facts = _facts(case)
        return facts.damage_type or facts.damage_category or facts.damage_cause or "–"  # noqa: RUF001

    @admin.display(description=_("damage description"))
    def description(self, case: Case) -> str:
        return _facts(case).damage_description or "–"  # noqa: RUF001

    @admin.display(description=_("policy number"))
    def policy(self, case: Case) -> str:
        return _facts(case).policy_number or "–"  # noqa: RUF001

    @admin.display(description=_("in Scalepoint"))
    def scalepoint_link(self, case: Case) -> Any:
        url = _facts(case).url
        if not url.startswith("https://"):
            return url or "–"  # noqa: RUF001
        return format_html(
            '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>', url, _("Open in Scalepoint")
        )

    @admin.display(description=_("where the default values came from"))
    def where_from(self, case: Case) -> Any:
        said = {
            "insurer": _("the insurance company"),
            "connection": _("the connection"),
            "customer": _("the customer"),
            "task_template": _("the task template"),
        }
        labels = {field.name: field.verbose_name for field in Connection._meta.fields}
        rows = ((labels.get(name, name), said.get(origin, origin)) for name, origin in case.origins.items())
        return format_html_join("", "<div>{}: {}</div>", rows) or "–"  # noqa: RUF001

    @admin.action(description=_("Retry the chosen cases"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[Case]") -> None:
        events = InboundEvent.objects.filter(case__in=queryset, status=InboundEvent.Status.FAILED)
        count = workqueue.retry(events)
        ring("drain")
        self.message_user(
            request,
            ngettext("%d event is tried again now.", "%d events are tried again now.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    @admin.action(description=_("Fetch missing images again"), permissions=["retry"])
    def fetch_images_again(self, request: HttpRequest, queryset: "QuerySet[Case]") -> None:
        failed = ImagePull.objects.filter(service__case__in=queryset, status=ImagePull.Status.FAILED)
        count = workqueue.retry(failed)
        ring("drain_images")
        self.message_user(
            request,
            ngettext("%d image is fetched again now.", "%d images are fetched again now.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    @admin.action(description=_("Fetch the settlement again"), permissions=["retry"])
    def fetch_settlement_again(self, request: HttpRequest, queryset: "QuerySet[Case]") -> None:
        count = money.fetch_again(queryset)
        self.message_user(
            request,
            ngettext("%d settlement is fetched again now.", "%d settlements are fetched again now.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.retry_event"))


def _facts(case: Case) -> CaseFacts:
    return cases.read(case.facts, CaseFacts)
