"""The page of a case."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from crm.admin.base import badge
from scalepoint_integration import followup, lifecycle
from scalepoint_integration.admin import money
from scalepoint_integration.admin.big_tables import BigTableAdmin
from scalepoint_integration.admin.caselist import damage_of, facts_of, place_of
from scalepoint_integration.admin.pages import told_in_words
from scalepoint_integration.admin.told import AttachmentInline, MessageInline, NoteInline, ReadOnlyInline
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, Connection, ImagePull, Service


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


class CasePage(BigTableAdmin):
    """What CaseAdmin is made of for its page. The office changes three things of a case: its insurance company, its
    customer and its status."""

    autocomplete_fields = ("insurer", "customer")
    inlines = [ServiceInline, MessageInline, AttachmentInline, *money.INLINES, NoteInline]
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
        return facts_of(case).holder_name or "–"  # noqa: RUF001

    @admin.display(description=_("telephone and e-mail"))
    def contact(self, case: Case) -> str:
        facts = facts_of(case)
        return " · ".join(filter(None, (facts.holder_phone, facts.holder_mobile, facts.holder_email))) or "–"  # noqa: RUF001

    @admin.display(description=_("damage address"))
    def place(self, case: Case) -> str:
        return place_of(case) or "–"  # noqa: RUF001

    @admin.display(description=_("damage type"))
    def damage(self, case: Case) -> str:
        return damage_of(case) or "–"  # noqa: RUF001

    @admin.display(description=_("damage description"))
    def description(self, case: Case) -> str:
        return facts_of(case).damage_description or "–"  # noqa: RUF001

    @admin.display(description=_("policy number"))
    def policy(self, case: Case) -> str:
        return facts_of(case).policy_number or "–"  # noqa: RUF001

    @admin.display(description=_("in Scalepoint"))
    def scalepoint_link(self, case: Case) -> Any:
        url = facts_of(case).url
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
