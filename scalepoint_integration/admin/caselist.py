"""The list of cases: the inbox of the office."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.admin.base import badge
from scalepoint_integration import cases, workqueue
from scalepoint_integration.admin import money
from scalepoint_integration.admin.big_tables import BigTableAdmin
from scalepoint_integration.doorbell import ring
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, ImagePull, InboundEvent
from scalepoint_integration.payloads.assignment import CaseFacts

LOOKS = {
    Case.Status.NEW: ("wait", "●"),
    Case.Status.NEEDS_ACTION: ("bad", "⚠"),
    Case.Status.IN_PROGRESS: ("busy", "▶"),
    Case.Status.CLOSED: ("good", "✔"),
    Case.Status.CANCELLED: ("", "✖"),
}


class CaseList(BigTableAdmin):
    """What CaseAdmin is made of for its list; CasePage has the rest."""

    list_display = ("reference", "state", "holder_name", "damage_place", "damage_kind", "insurer", "created_at")
    list_display_links = ("reference",)
    list_select_related = ("insurer",)
    list_filter = ("status", ("insurer", admin.RelatedOnlyFieldListFilter))
    search_fields = ("number__exact", "case_id__exact", "services__reference__exact", "services__service_id__exact")
    search_help_text = _("The whole case number, service reference or Scalepoint id")
    actions = ["retry", "fetch_images_again", "fetch_settlement_again"]

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

    @admin.display(description=_("policyholder"))
    def holder_name(self, case: Case) -> str:
        return facts_of(case).holder_name or "–"  # noqa: RUF001

    @admin.display(description=_("damage address"))
    def damage_place(self, case: Case) -> str:
        return place_of(case) or "–"  # noqa: RUF001

    @admin.display(description=_("damage type"))
    def damage_kind(self, case: Case) -> str:
        return damage_of(case) or "–"  # noqa: RUF001

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


def facts_of(case: Case) -> CaseFacts:
    return cases.read(case.facts, CaseFacts)


def place_of(case: Case) -> str:
    """Where the damage is, in one line; where the policyholder lives if nothing else was told; "" if nothing was."""
    facts = facts_of(case)
    place = facts.damage_address or facts.holder_address
    return ", ".join(filter(None, (place.street, f"{place.postal_code} {place.city}".strip())))


def damage_of(case: Case) -> str:
    facts = facts_of(case)
    return facts.damage_type or facts.damage_category or facts.damage_cause
