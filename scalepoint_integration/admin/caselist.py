"""The list of cases: the inbox of the office."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.html import format_html, format_html_join
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from crm.admin.base import ResponsibleFilter, active, badge
from crm.formats import NOTHING, day, when
from crm.models import InsuranceCompany, Team
from scalepoint_integration import errors
from scalepoint_integration.admin.big_tables import CAP, BigTableAdmin
from scalepoint_integration.errors import describe
from scalepoint_integration.fetching import settlements
from scalepoint_integration.handling import lifecycle
from scalepoint_integration.models import (
    Case,
    ImagePull,
    InboundEvent,
    SavedView,
    Service,
)
from scalepoint_integration.office import casework, export, figures
from scalepoint_integration.office.search import matches

LOOKS = {
    Case.Status.NEW: ("wait", "●"),
    Case.Status.NEEDS_ACTION: ("bad", "⚠"),
    Case.Status.IN_PROGRESS: ("busy", "▶"),
    Case.Status.CLOSED: ("good", "✔"),
    Case.Status.CANCELLED: ("", "✖"),
}
AT_ONCE = 200  # cases that one action changes: each is locked and saved with its history
MOST_VIEWS = 50
_COLUMNS_KEY = "scalepoint_case_columns"
# name of the method: what the chooser calls it, and whether it is shown until somebody chooses.
COLUMNS: dict[str, tuple[Any, bool]] = {
    "reference": (_("case number"), True),
    "state": (_("status"), True),
    "holder_name": (_("policyholder"), True),
    "damage_place": (_("damage address"), True),
    "damage_kind": (_("damage type"), True),
    "insurer": (_("insurance company"), True),
    "responsible_name": (_("responsible user"), True),
    "team": (_("team"), False),
    "due": (_("deadline"), True),
    "received": (_("received"), True),
    "images": (_("images"), True),
    "task_names": (_("tasks"), False),
    "in_scalepoint": (_("Scalepoint"), True),
}
TABS: dict[str, Any] = {
    "new": _("New"),
    "mine": pgettext_lazy("cases", "Me"),
    "unassigned": _("Unassigned"),
    "needs_action": _("Needs action"),
    "overdue": pgettext_lazy("cases", "Overdue"),
    "all": _("All"),
}
_EMPTY = {
    "new": _("No new cases. Well done."),
    "mine": _("You are not responsible for any open cases. Look under Unassigned."),
    "unassigned": _("All open cases have a responsible user."),
    "needs_action": _("Everything is working. Nothing needs your attention."),
    "overdue": _("No cases are overdue."),
}


# For screen readers alone; in the language of the reader, not in that of the start.
_hidden = lazy(partial(format_html, '<span class="sp-hidden">{}</span>'), SafeString)


def tab_conditions(user: Any) -> dict[str, Q]:
    """What stands under each tab, for that reader: the overview's numbers lead here, so they are the same."""
    today = timezone.localdate()
    return {tab: figures.tab(tab, user.pk, today) for tab in TABS if tab != "all"}


def tab_counts(user: Any) -> dict[str, str]:
    """How many cases are under each tab, in one query over no more than CAP open cases. Test cases never count."""
    opened = Case.objects.filter(status__in=Case.OPEN, is_test=False).order_by()[:CAP]
    conditions = tab_conditions(user)
    counts = opened.aggregate(
        open=Count("pk"), **{f"in_{tab}": Count("pk", filter=wanted) for tab, wanted in conditions.items()}
    )
    more = "+" if counts["open"] == CAP else ""
    return {tab: f"{counts[f'in_{tab}']}{more}" for tab in conditions}


class Choice(admin.SimpleListFilter):
    """A filter whose choices each stand for a condition. An unknown choice, typed into the address, finds nothing."""

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """value: its label and what it asks for."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        self._conditions = self.conditions(request)
        return [(value, label) for value, (label, _wanted) in self._conditions.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        value = self.value()
        if value is None:
            return queryset
        found = self._conditions.get(value)
        return queryset.filter(found[1]) if found else queryset.none()


class TabFilter(Choice):
    """Stands above the list and not among the filters."""

    title, parameter_name, template = _("tab"), "tab", "scalepoint/caselist_no_filter.html"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        # Test cases stand under All alone, with their mark: a tab shows as many as it counts.
        real = Q() if "test" in request.GET else Q(is_test=False)
        wanted = {tab: wanted & real for tab, wanted in tab_conditions(request.user).items()} | {"all": Q()}
        return {tab: (TABS[tab], condition) for tab, condition in wanted.items()}


class StatusFilter(Choice):
    title, parameter_name = _("status"), "status"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        each = {value: (label, Q(status=value)) for value, label in Case.Status.choices}
        return {"open": (_("All open"), Q(status__in=Case.OPEN)), **each}


class InsurerFilter(Choice):
    title, parameter_name = _("insurance company"), "insurer"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        rows = InsuranceCompany.objects.order_by("name", "pk")[:200]
        return {
            **{str(company.pk): (str(company), Q(insurer=company.pk)) for company in rows},
            "none": (_("None"), Q(insurer=None)),
        }


class TeamFilter(Choice):
    title, parameter_name = _("team"), "team"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        rows = Team.objects.order_by("name")[:200]
        return {
            **{str(team.pk): (str(team), Q(team=team.pk)) for team in rows},
            "none": (_("None"), Q(team=None)),
        }


class DamageFilter(admin.SimpleListFilter):
    """The kinds of damage of the newest cases; another kind may be typed into the address."""

    title, parameter_name = _("damage type"), "damage"
    newest = 300

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        said = ("damage_type", "damage_category", "damage_cause")
        rows = Case.objects.order_by("-id").values_list(*(f"facts__{name}__value" for name in said))[: self.newest]
        kinds = {next(filter(None, row), "") for row in rows} | {self.used_parameters.get("damage", "")}
        return [(kind, kind) for kind in sorted(filter(None, map(str, kinds)), key=str.casefold)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        kind = self.value()
        if not kind:
            return queryset
        is_kind = Q(facts__damage_type__value=kind)
        unsaid = Q(facts__damage_type__isnull=True)
        return queryset.filter(
            is_kind | unsaid & (Q(facts__damage_category__value=kind) | Q(facts__damage_cause__value=kind))
        )


class PeriodFilter(Choice):
    title, parameter_name = _("received"), "period"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "today": (_("Today"), Q(created_at__gte=midnight)),
            **{
                str(days): (
                    ngettext("The last %d day", "The last %d days", days) % days,
                    Q(created_at__gte=midnight - timedelta(days=days)),
                )
                for days in (7, 30, 90, 365)
            },
        }


class ImagesFilter(Choice):
    title, parameter_name = _("images"), "images"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        have = Q(pk__in=Service.objects.filter(pulls__status=ImagePull.Status.DONE).values("case"))
        return {"yes": (_("With images"), have), "no": (_("Without images"), ~have)}


class TestFilter(Choice):
    """Not to be taken for a test by pytest."""

    __test__ = False
    title, parameter_name = _("test"), "test"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        return {"no": (_("Real cases"), Q(is_test=False)), "yes": (_("Test cases"), Q(is_test=True))}


class FailedFilter(Choice):
    title, parameter_name = _("events"), "failed"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        failed = InboundEvent.objects.filter(status=InboundEvent.Status.FAILED, case__isnull=False)
        return {"yes": (_("With failed events"), Q(pk__in=failed.values("case")))}


class ReasonFilter(Choice):
    title, parameter_name = _("reason for closing"), "reason"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        closed = Q(status__in=Case.ENDED, lifecycle__closed__isnull=False)
        own = gettext("The company's own reason")
        choices = {
            reason: (gettext(label) if label else own, closed & Q(lifecycle__closed__reason__iexact=reason))
            for reason, label in lifecycle.REASONS.items()
        }
        usual, wanted = choices["None"]
        ours = Q(status__in=Case.ENDED, lifecycle__closed__isnull=True)
        return {
            **choices,
            "None": (usual, wanted | closed & Q(lifecycle__closed__reason="")),
            "ours": (_("Closed by us"), ours),
        }


class CaseChangeList(ChangeList):
    """Finds what the rows of one page need beside themselves, in one query each."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        keys = [case.pk for case in rows]
        images = export.image_counts(keys)
        tasks: dict[int, list[Any]] = {key: [] for key in keys}
        services = Service.objects.filter(case__in=keys, task__isnull=False).order_by("pk")
        for service in services.select_related("task").only("case_id", "task__title", "task__status"):
            tasks[service.case_id].append(service.task)
        for case in rows:
            case.tasks_found, case.images_found = tasks[case.pk], images.get(case.pk, 0)
        self.result_list = rows


class AssignForm(forms.Form):
    """Empty leaves it as it is."""

    responsible: Any = forms.ModelChoiceField(None, label=_("Responsible user"), required=False)
    team = forms.ModelChoiceField(Team.objects.filter(active=True), label=_("Team"), required=False)
    nobody = forms.BooleanField(label=_("Remove the responsible user"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = get_user_model()
        people: Any = self.fields["responsible"]
        people.queryset = user._default_manager.filter(active(user)).order_by(user.USERNAME_FIELD)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("nobody") and given.get("responsible"):
            raise forms.ValidationError(_("Choose a responsible user or remove the current one, not both."))
        if not any(given.values()) and not self.errors:
            raise forms.ValidationError(_("Choose a responsible user or a team."))
        return given


class CloseForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=100, help_text=_("Saved on the case so that colleagues can see why.")
    )


class CaseList(BigTableAdmin):
    """What CaseAdmin is made of for its list; CasePage has the rest."""

    change_list_template = "scalepoint/caselist.html"
    list_display = tuple(COLUMNS)
    list_display_links = ("reference",)
    list_select_related = ("insurer", "responsible", "team")
    list_filter = (
        TabFilter,
        StatusFilter,
        InsurerFilter,
        ResponsibleFilter,
        TeamFilter,
        DamageFilter,
        PeriodFilter,
        ImagesFilter,
        FailedFilter,
        ReasonFilter,
        TestFilter,
    )
    show_facets = admin.ShowFacets.NEVER  # a count of the table for each choice
    search_fields = ("search_text",)  # how is in get_search_results
    search_help_text = _(
        "Name, address, phone, case number, policy number, damage type, task, requisition number, customer number, "
        "note, message"
    )
    actions = [
        "take",
        "assign",
        "make_task",
        "link_task",
        "mark_read",
        "mark_unread",
        "retry",
        "fetch_images_again",
        "fetch_settlement_again",
        "export_xlsx",
        "export_csv",
        "close",
    ]

    def get_urls(self) -> list[URLPattern]:
        name = "scalepoint_integration_case"
        wrap = self.admin_site.admin_view
        return [
            path("columns/", wrap(require_POST(self.columns_view)), name=f"{name}_columns"),
            path("views/", wrap(require_POST(self.save_view_view)), name=f"{name}_views"),
            path("views/<int:pk>/delete/", wrap(require_POST(self.delete_view_view)), name=f"{name}_view_delete"),
            path("export/", wrap(require_POST(self.export_view)), name=f"{name}_export"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CaseChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        kept = request.session.get(_COLUMNS_KEY)
        wanted = kept if isinstance(kept, list) else [name for name, (_label, shown) in COLUMNS.items() if shown]
        return ["unread_dot", *(name for name in COLUMNS if name in wanted or name == "reference")]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Case], search_term: str
    ) -> tuple[QuerySet[Case], bool]:
        return (queryset.filter(matches(search_term)) if search_term.strip() else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response = super().changelist_view(request, {"title": _("Cases"), **(extra_context or {})})
        context = getattr(response, "context_data", None)
        if context and "cl" in context:
            context.update(self._around(request, context["cl"]))
        return response

    def _around(self, request: HttpRequest, cl: ChangeList) -> dict[str, Any]:
        """What stands around the list: tabs, saved views, the choice of columns, what an empty list says."""
        tab = request.GET.get("tab", "all")
        tab = tab if tab in TABS else "all"
        counts = tab_counts(request.user)
        narrowed = set(request.GET) - {"tab", "o", "p", "all", "e"}
        around: dict[str, Any] = {
            "tabs": [(key, label, counts.get(key, ""), key == tab) for key, label in TABS.items()],
            "columns": [(name, *COLUMNS[name][:1], name in cl.list_display) for name in COLUMNS if name != "reference"],
            "narrowed": narrowed - {"q"},
            "saved_views": SavedView.objects.filter(user=request.user.pk)[:MOST_VIEWS],
            "query": _query(request.GET),
            "may_export": self.has_export_permission(request),
            "export_limit": export.LIMIT,
            "no_excel": "" if export.can_excel() else export.NO_EXCEL,
        }
        if cl.result_count == 0:
            around["unfiltered"] = len(Case.objects.order_by().values_list("pk")[:CAP])
            around["unfiltered_more"] = around["unfiltered"] == CAP
            around["empty"] = "" if narrowed or tab == "all" else _EMPTY[tab]
            around["tab"] = tab
        return around

    # ---- Columns --------------------------------------------------------------------------------------------------

    @admin.display(description=_hidden(_("unread")))
    def unread_dot(self, case: Case) -> Any:
        if not case.unread:
            return SafeString("<span></span>")  # nothing at all would be shown as a dash
        return format_html('<span class="sp-unread"><span class="sp-hidden">{}</span></span>', _("Unread"))

    @admin.display(description=_("case number"), ordering="number")
    def reference(self, case: Case) -> SafeString:
        shown = format_html('<span class="number">{}</span>', case)
        return format_html("{} {}", shown, badge("wait", "⚑", _("TEST"))) if case.is_test else shown

    @admin.display(description=_("policyholder"))
    def holder_name(self, case: Case) -> str:
        return case.known.holder_name or NOTHING

    @admin.display(description=_("damage address"))
    def damage_place(self, case: Case) -> str:
        return case.known.place.line or NOTHING

    @admin.display(description=_("damage type"))
    def damage_kind(self, case: Case) -> str:
        return case.known.damage or NOTHING

    @admin.display(description=_("responsible user"))
    def responsible_name(self, case: Case) -> Any:
        return case.responsible or NOTHING

    @admin.display(description=_("status"), ordering="status")
    def state(self, case: Case) -> SafeString:
        kind, icon = LOOKS[Case.Status(case.status)]
        shown = badge(kind, icon, case.get_status_display())
        closed = lifecycle.closing(case.lifecycle)
        if closed and not case.is_open:
            shown = format_html('{}<span class="because">{}</span>', shown, lifecycle.in_words(closed))
        problems = [(case.problem_code, case.problem_facts)] if case.problem_code else []
        undecided = any(task.is_open for task in getattr(case, "tasks_found", ()))
        problems += [
            (flag["code"], {}) for flag in case.flags if flag["code"] != errors.TASK_IN_PROGRESS.code or undecided
        ]
        page = reverse("admin:scalepoint_integration_case_change", args=[case.pk])
        lines = ((describe(code, facts).what, page, gettext(errors.find(code).solve)) for code, facts in problems)
        said = format_html_join("", '<span class="because">{} → <a href="{}">{}</a></span>', lines)
        return format_html("{}{}", shown, said)

    @admin.display(description=_("deadline"), ordering="deadline")
    def due(self, case: Case) -> Any:
        if case.deadline is None:
            return NOTHING
        shown = day(case.deadline)
        late = case.is_open and case.deadline < timezone.localdate()
        return format_html("{} {}", shown, badge("bad", "⏰", _("Overdue"))) if late else shown

    @admin.display(description=_("received"), ordering="created_at")
    def received(self, case: Case) -> Any:
        return when(case.created_at)

    @admin.display(description=_("images"))
    def images(self, case: Case) -> Any:
        count = getattr(case, "images_found", 0)
        return format_html('<span aria-hidden="true">📷</span> {}', count) if count else NOTHING

    @admin.display(description=_("tasks"))
    def task_names(self, case: Case) -> Any:
        links = (
            (reverse("admin:scalepoint_tasks_task_change", args=[task.pk]), task)
            for task in getattr(case, "tasks_found", ())
        )
        return format_html_join("", '<div><a href="{}">{}</a></div>', links) or NOTHING

    @admin.display(description=_("Scalepoint"))
    def in_scalepoint(self, case: Case) -> Any:
        url = case.known.url
        if not url.startswith("https://"):
            return NOTHING
        return format_html(
            '<a href="{}" target="_blank" rel="noopener noreferrer"><span aria-hidden="true">↗</span>'
            '<span class="sp-hidden">{}</span></a>',
            url,
            _("Open %(case)s in Scalepoint") % {"case": case},
        )

    # ---- Actions --------------------------------------------------------------------------------------------------

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.retry_event"))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.export_cases"))

    @admin.action(description=_("Take the selected cases"), permissions=["change"])
    def take(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        count = self._each(request, queryset, lambda case: casework.take(case, request.user))
        if count:
            said = ngettext("You are now responsible for %d case.", "You are now responsible for %d cases.", count)
            self.message_user(request, said % count, messages.SUCCESS)

    @admin.action(description=_("Assign a responsible user or team"), permissions=["change"])
    def assign(self, request: HttpRequest, queryset: QuerySet[Case]) -> HttpResponse | None:
        form = AssignForm(request.POST if "apply" in request.POST else None)
        if not form.is_valid():
            return self._ask_first(
                request, queryset, form, "assign", _("Assign a responsible user or team"), _("Assign")
            )
        wanted: dict[str, Any] = {}
        if form.cleaned_data["responsible"] or form.cleaned_data["nobody"]:
            wanted["responsible"] = form.cleaned_data["responsible"]
        if form.cleaned_data["team"]:
            wanted["team"] = form.cleaned_data["team"]
        count = self._each(request, queryset, lambda case: casework.assign(case, request.user, **wanted))
        if count:
            said = ngettext("%d case was assigned.", "%d cases were assigned.", count)
            self.message_user(request, said % count, messages.SUCCESS)
        return None

    @admin.action(description=_("Create task"), permissions=["change"])
    def make_task(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        def make(case: Case) -> None:
            if not casework.make_task(case, request.user):
                raise casework.NotPossible(gettext("The task could not be created; the list shows why."))

        count = self._each(request, queryset, make)
        if count:
            said = ngettext("%d case now has its task.", "%d cases now have their tasks.", count)
            self.message_user(request, said % count, messages.SUCCESS)

    @admin.action(description=_("Link to an existing task"), permissions=["change"])
    def link_task(self, request: HttpRequest, queryset: QuerySet[Case]) -> HttpResponse | None:
        found = list(queryset[:2])
        if len(found) != 1:
            said = _("Choose only one case: each case is linked to its own task.")
            self.message_user(request, said, messages.WARNING)
            return None
        page = reverse("admin:scalepoint_integration_case_change", args=[found[0].pk])
        return HttpResponseRedirect(f"{page}#link-task")

    @admin.action(description=_("Mark as read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        self._mark(request, queryset, unread=False)

    @admin.action(description=_("Mark as unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        self._mark(request, queryset, unread=True)

    def _mark(self, request: HttpRequest, queryset: QuerySet[Case], *, unread: bool) -> None:
        count = casework.mark(queryset.order_by(), unread=unread)
        if unread:
            said = ngettext("%d case was marked as unread.", "%d cases were marked as unread.", count)
        else:
            said = ngettext("%d case was marked as read.", "%d cases were marked as read.", count)
        self.message_user(request, said % count, messages.SUCCESS)

    @admin.action(description=_("Retry the selected cases"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        tried: list[int] = []
        self._each(request, queryset, lambda case: tried.append(casework.retry(case, request.user)))
        count = sum(tried)
        self.message_user(
            request,
            ngettext("%d event is being retried.", "%d events are being retried.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    @admin.action(description=_("Fetch missing images again"), permissions=["retry"])
    def fetch_images_again(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        count = casework.fetch_images(queryset.order_by())
        self.message_user(
            request,
            ngettext("%d image is being fetched again.", "%d images are being fetched again.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    @admin.action(description=_("Fetch the settlement again"), permissions=["retry"])
    def fetch_settlement_again(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        count = settlements.fetch_again(queryset)
        self.message_user(
            request,
            ngettext("%d settlement is being fetched again.", "%d settlements are being fetched again.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        return actions if export.can_excel() else {name: actions[name] for name in actions if name != "export_xlsx"}

    @admin.action(description=_("Export to Excel"), permissions=["export"])
    def export_xlsx(self, request: HttpRequest, queryset: QuerySet[Case]) -> HttpResponse | None:
        return self._export(request, queryset, "Excel")

    @admin.action(description=_("Export as CSV"), permissions=["export"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Case]) -> HttpResponse | None:
        return self._export(request, queryset, "CSV")

    @admin.action(description=_("Close the selected cases"), permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Case]) -> HttpResponse | None:
        form = CloseForm(request.POST if "apply" in request.POST else None)
        if not form.is_valid():
            return self._ask_first(request, queryset, form, "close", _("Close cases"), _("Close cases"))
        reason = form.cleaned_data["reason"]
        count = self._each(request, queryset, lambda case: casework.close(case, request.user, reason))
        if count:
            said = ngettext("%d case was closed.", "%d cases were closed.", count)
            self.message_user(request, said % count, messages.SUCCESS)
        return None

    def _each(self, request: HttpRequest, queryset: QuerySet[Case], act: Callable[[Case], Any]) -> int:
        """Do it to each case, in a transaction of its own. How many it was done to; of the others is told why not."""
        keys = self._few(request, queryset)
        done = 0
        # Always in the same order: two people never wait for each other in a circle.
        for case in Case.objects.filter(pk__in=keys).order_by("pk"):
            try:
                act(case)
                done += 1
            except casework.NotPossible as error:
                self.message_user(request, f"{case}: {error}", messages.WARNING)
        return done

    def _few(self, request: HttpRequest, queryset: QuerySet[Case]) -> list[int]:
        keys = list(queryset.values_list("pk", flat=True)[: AT_ONCE + 1])
        if len(keys) <= AT_ONCE:
            return keys
        said = gettext("Nothing was changed: more than %d cases were selected. Select fewer at a time.") % AT_ONCE
        self.message_user(request, said, messages.ERROR)
        return []

    def _ask_first(
        self, request: HttpRequest, queryset: QuerySet[Case], form: forms.Form, action: str, title: Any, button: Any
    ) -> HttpResponse | None:
        """The page between choosing an action and doing it: which cases, and what the action needs to know."""
        if not (keys := self._few(request, queryset)):
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": title,
            "form": form,
            "action": action,
            "button": button,
            "cases": Case.objects.filter(pk__in=keys).order_by("-id"),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "scalepoint/caselist_ask.html", context)

    def _export(self, request: HttpRequest, queryset: QuerySet[Case], kind: str) -> HttpResponse | None:
        if kind == "Excel" and not export.can_excel():
            self.message_user(request, export.NO_EXCEL, messages.ERROR)
            return None
        try:
            keys = export.chosen(queryset)
        except export.TooMany:
            said = gettext(
                "Nothing was exported: there are more than %(limit)d cases. Choose a shorter period or another filter."
            )
            self.message_user(request, said % {"limit": export.LIMIT}, messages.ERROR)
            return None
        export.log(request.user, keys, kind, request.GET.urlencode())
        name = f"{gettext('cases')}-{timezone.localdate():%Y-%m-%d}"
        response: HttpResponse
        if kind == "CSV":
            # To the type checker a stream is no HttpResponse; to everybody else it is.
            response = cast(
                HttpResponse, StreamingHttpResponse(export.write_csv(keys), content_type="text/csv; charset=utf-8")
            )
            response["Content-Disposition"] = content_disposition_header(True, f"{name}.csv") or ""
        else:
            file = tempfile.TemporaryFile()  # noqa: SIM115  the response closes it
            export.write_xlsx(keys, file)
            file.seek(0)
            response = cast(HttpResponse, FileResponse(file, as_attachment=True, filename=f"{name}.xlsx"))
        return response

    # ---- The addresses of the list --------------------------------------------------------------------------------

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The whole list as it is filtered (by the address), not only what was ticked."""
        if not (self.has_view_permission(request) and self.has_export_permission(request)):
            raise PermissionDenied
        back = reverse("admin:scalepoint_integration_case_changelist")
        kind = "CSV" if request.POST.get("kind") == "CSV" else "Excel"
        exported = self._export(request, self.get_changelist_instance(request).queryset, kind)
        return exported or HttpResponseRedirect(f"{back}?{_query(request.GET)}")

    def columns_view(self, request: HttpRequest) -> HttpResponse:
        """Kept in the session: whoever logs out chooses again."""
        self._may_look(request)
        if "reset" in request.POST:
            request.session.pop(_COLUMNS_KEY, None)
        else:
            request.session[_COLUMNS_KEY] = [name for name in COLUMNS if name in request.POST.getlist("column")]
        return self._back(request)

    def save_view_view(self, request: HttpRequest) -> HttpResponse:
        self._may_look(request)
        reader: Any = request.user
        name, query = request.POST.get("name", "").strip()[:60], _query(QueryDict(request.POST.get("query", "")))
        mine = SavedView.objects.filter(user=reader)
        if not name:
            self.message_user(request, _("Give the view a name."), messages.ERROR)
        elif len(query) > 1000:
            self.message_user(request, _("This filter is too long to be saved."), messages.ERROR)
        elif mine.exclude(name=name).count() >= MOST_VIEWS:
            said = gettext("You have %d saved views. Delete one first.") % MOST_VIEWS
            self.message_user(request, said, messages.ERROR)
        else:
            SavedView.objects.update_or_create(user=reader, name=name, defaults={"query": query})
            self.message_user(request, gettext("The view “%(name)s” was saved.") % {"name": name}, messages.SUCCESS)
        return self._back(request)

    def delete_view_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._may_look(request)
        view = get_object_or_404(SavedView, pk=pk, user=request.user.pk)
        view.delete()
        self.message_user(request, gettext("The view “%(name)s” was deleted.") % {"name": view}, messages.SUCCESS)
        return self._back(request)

    def _may_look(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _back(self, request: HttpRequest) -> HttpResponse:
        query = _query(QueryDict(request.POST.get("query", "")))
        return HttpResponseRedirect(f"{reverse('admin:scalepoint_integration_case_changelist')}?{query}")


def _query(params: QueryDict) -> str:
    """The part of an address that says what a list shows: without the page of it and other passing things."""
    kept = params.copy()
    for name in ("p", "e", "all", "_popup", "_to_field", "_facets"):
        kept.pop(name, None)
    return kept.urlencode()
