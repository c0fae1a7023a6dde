"""Screen 3: how a new case, its task and its customer should look, and who wins where several have a say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, path, reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from crm.admin.base import active
from crm.formats import NOTHING, in_words
from crm.history import Entry, saves
from crm.models import InsuranceCompany
from scalepoint_integration import errors
from scalepoint_integration.admin.pages import PageAdmin, allow, connection_of
from scalepoint_integration.errors import describe
from scalepoint_integration.handling.assignment import TITLE_LIMIT
from scalepoint_integration.handling.dry_run import Foreseen, foresee
from scalepoint_integration.models import Case, Connection, DefaultValues, case_name, registers
from scalepoint_integration.models.connection import DIMENSIONS
from scalepoint_integration.payloads.assignment import Address, CaseFacts, ServiceFacts

if TYPE_CHECKING:
    ConnectionForm = forms.ModelForm[Connection]
else:
    ConnectionForm = forms.ModelForm

VIEW, CHANGE = "scalepoint_integration.view_defaultvalues", "scalepoint_integration.change_defaultvalues"
_RULES = ("customer_is", "phone_as_customer_number", "no_phone")
_FACTS = ("company_name", "company_tax_id", "contact_name", "contact_phone")
_SECTIONS: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
    (_("New cases"), "", ("team", "responsible", "task_template", "customer_type")),
    (_("When a case is received"), "", ("new_cases", "winner")),
    (_("Case name"), "", ("case_name_template",)),
    (_("The customer on a case"), "", _RULES),
    (_("Notifications"), "", ("failure_recipients", "silence_days")),
    (_("Lists"), _("The value that a new task gets from each list."), DIMENSIONS),
    (_("Your company"), _("Shown in the email to Scalepoint."), _FACTS),
)
_SHOWN_WITH = ("team", "responsible", "task_template", "customer_type")
FIELDS = tuple(name for _title, _text, names in _SECTIONS for name in names)
# Whose word it is that stands in a value (defaults.py).
ORIGINS = {
    "insurer": _("from the insurance company"),
    "connection": _("from the default values"),
    "customer": _("the customer's own"),
    "task_template": _("from the task template"),
}
# For reading, where there is no case yet. Invented.
_EXAMPLE = CaseFacts(
    number="905709",
    damage_type="Vandskade",
    policy_number="900464",
    holder_name="Jens Hansen",
    holder_phone="28 11 22 33",
    damage_address=Address(street="Bygaden 4", postal_code="5000", city="Odense"),
)


class DefaultsForm(ConnectionForm):
    reason = forms.CharField(
        label=_("Why are you changing this?"),
        required=False,
        max_length=100,
        help_text=_("Shown in the history so that others can see why."),
    )

    class Meta:
        model = Connection
        fields = FIELDS
        widgets = {
            **dict.fromkeys(("new_cases", "winner", "customer_is", "no_phone"), forms.RadioSelect),
            "failure_recipients": forms.CheckboxSelectMultiple,
            "case_name_template": forms.TextInput(attrs={"size": 60, "data-sp-template": ""}),
        }

    def __init__(self, *args: Any, may_change: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.disabled = not may_change
            if isinstance(field, forms.ModelChoiceField):
                field.queryset = self._choosable(name, field.queryset)
                if not isinstance(field, forms.ModelMultipleChoiceField):
                    field.empty_label = str(_("(none)"))

    def _choosable(self, name: str, rows: Any) -> Any:
        """What is in use, and what is chosen already: it must be seen, with what is wrong about it."""
        column = Connection._meta.get_field(name)
        if isinstance(column, models.ManyToManyField):
            through: Any = column.remote_field.through
            links = through._default_manager.filter(**{column.m2m_field_name(): self.instance})
            chosen = Q(pk__in=links.values(column.m2m_reverse_field_name()))
        else:
            chosen = Q(pk=getattr(self.instance, f"{name}_id"))
        return rows.filter(active(rows.model) | chosen)

    def clean_responsible(self) -> Any:
        user = self.cleaned_data["responsible"]
        if user and not user.is_active:
            raise forms.ValidationError(
                _("The responsible user is no longer active. Choose another, otherwise new cases will be unassigned.")
            )
        return user

    def clean_task_template(self) -> Any:
        template = self.cleaned_data["task_template"]
        if template and not template.active:
            raise forms.ValidationError(
                _("The task template “%(name)s” is inactive. Choose another, otherwise no tasks will be created."),
                params={"name": template.name},
            )
        return template


@dataclass(frozen=True, slots=True)
class Preview:
    """In words, what becomes of one case. ``case`` is None for the built-in example."""

    case: Case | None
    seen: Foreseen
    limit: int = TITLE_LIMIT

    @property
    def customer(self) -> str:
        seen = self.seen
        if seen.customer:
            return str(_("Customer %(customer)s (already exists)") % {"customer": seen.customer})
        if seen.new_customer:
            name = f"{seen.new_customer['customer_number']} {seen.new_customer['name']}".strip()
            return str(_("Customer %(customer)s (will be created)") % {"customer": name})
        return str(_("You will be asked"))

    @property
    def problem(self) -> Any:
        return describe(*self.seen.problem) if self.seen.problem else None

    @property
    def notices(self) -> list[Any]:
        codes = [
            *(self.seen.chosen.notices if self.seen.chosen else ()),
            *([errors.CASE_NAME_CUT.code] if self.seen.cut else []),
        ]
        return [describe(code) for code in codes]

    @property
    def values(self) -> list[tuple[Any, Any, Any]]:
        """Label, value and where it comes from; team, responsible and template always, the rest where it is set."""
        chosen = self.seen.chosen
        if chosen is None:
            return []
        names = [name for name, value in chosen.values.items() if value is not None or name not in DIMENSIONS]
        return [(label_of(name), chosen.values[name], ORIGINS.get(chosen.origins.get(name, ""), "")) for name in names]

    @property
    def cells(self) -> list[Any]:
        values = self.seen.chosen.values if self.seen.chosen else {}
        found = [values.get(name) or NOTHING for name in ("team", "responsible", "task_template")]
        return [self.seen.title, *found, self.problem.what if self.problem else self.customer]


def label_of(name: str) -> Any:
    return getattr(Connection._meta.get_field(name), "verbose_name", name)


class DefaultValuesAdmin(PageAdmin):
    title = _("Default values and customer rules")

    class Media:
        css = {"all": ["scalepoint/defaultvalues.css"]}
        js = ["scalepoint/defaultvalues.js"]

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "scalepoint_integration_defaultvalues"
        return [
            path("<int:pk>/preview/", wrap(self.preview), name=f"{name}_preview"),
            path("<int:pk>/reset/", wrap(self.reset), name=f"{name}_reset"),
            path("<int:pk>/change/", wrap(self.edit), name=f"{name}_change"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Straight to the form where there is one connection, as on most sites."""
        allow(request, VIEW)
        rows = list(Connection.objects.order_by("pk")[:100])
        wanted = connection_of(request)
        if wanted and (len(rows) == 1 or "connection" in request.GET):
            return HttpResponseRedirect(_address("change", wanted))
        return self.render(request, "scalepoint/defaultvalues_list.html", self.title, {"connections": rows})

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The form. A POST saves, or with the buttons "_preview" and "_try" only shows what would become of it."""
        allow(request, VIEW)
        may_change = request.user.has_perm(CHANGE)
        looks = {"_preview", "_try"} & set(request.POST)
        if request.method == "POST" and not looks:
            allow(request, CHANGE)
        connection = get_object_or_404(Connection, pk=pk)
        data = request.POST if request.method == "POST" else None
        form = DefaultsForm(data, instance=connection, may_change=may_change)
        table = None
        if data is not None and form.is_valid():
            if not looks:
                self._save(request, form)
                return HttpResponseRedirect(_address("change", connection))
            table = self._table(request, pk, form.instance) if "_try" in looks else None
        broken = data is not None and not form.is_valid()
        saved = Connection.objects.select_related(*_SHOWN_WITH).get(pk=pk)
        shown = _previews(request, saved if broken else form.instance, 1)
        context = {
            "connection": saved,
            "form": form,
            "sections": _sections(request, form, saved),
            "previews": shown,
            "merge_fields": _merge_fields(),
            "table": table,
            "columns": _columns(),
            "may_change": may_change,
            "warning": _inactive(saved),
            "changes": _changes(saved),
        }
        return self.render(request, "scalepoint/defaultvalues.html", self.title, context)

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the latest case becomes with the values in the address; a piece of a page. Saves nothing."""
        allow(request, VIEW)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        connection = get_object_or_404(Connection, pk=pk)
        form = DefaultsForm(request.GET, instance=connection)
        context: dict[str, Any] = {"errors": [], "previews": []}
        if form.is_valid():
            context["previews"] = _previews(request, form.instance, 1)
        else:
            context["errors"] = [error for errors in form.errors.values() for error in errors]
        return render(request, "scalepoint/defaultvalues_preview.html", context)

    def reset(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks first. Back to how the module was delivered, but for who is told and who you are."""
        allow(request, VIEW, CHANGE)
        connection = get_object_or_404(Connection, pk=pk)
        kept = {"failure_recipients", *_FACTS}
        changes = []
        for name in (name for name in FIELDS if name not in kept):
            column: Any = Connection._meta.get_field(name)
            now, new = getattr(connection, column.attname), column.get_default()
            if now != new:
                before = _in_words(connection, name)
                setattr(connection, column.attname, new)
                changes.append((label_of(name), before, _in_words(connection, name), name))
        if request.method == "POST":
            if changes:
                connection._history_user = request.user  # type: ignore[attr-defined]
                connection._change_reason = str(_("Reset"))  # type: ignore[attr-defined]
                connection.save(update_fields=[name for *_rest, name in changes])
                self.log_change(request, connection, str(_("Reset the default values.")))
            self.message_user(request, _("The original default values were restored."), messages.SUCCESS)
            return HttpResponseRedirect(_address("change", connection))
        context = {"connection": connection, "changes": changes}
        return self.render(request, "scalepoint/defaultvalues_reset.html", _("Reset the default values"), context)

    def _save(self, request: HttpRequest, form: DefaultsForm) -> None:
        row: Any = form.instance
        row._history_user, row._change_reason = request.user, form.cleaned_data["reason"] or None
        changed = [name for name in form.changed_data if name in FIELDS and name != "failure_recipients"]
        with transaction.atomic():
            if changed:
                # These alone: the poller writes in the same row.
                row.save(update_fields=changed)
            if "failure_recipients" in form.changed_data:
                row.failure_recipients.set(form.cleaned_data["failure_recipients"])
            if {*form.changed_data} - {"reason"}:
                self.log_change(request, row, self.construct_change_message(request, form, [], False))  # type: ignore[arg-type]
        self.message_user(request, _("The default values were saved. They apply to new cases."), messages.SUCCESS)

    def _table(self, request: HttpRequest, pk: int, unsaved: Connection) -> list[dict[str, Any]]:
        """The latest ten cases by the rules as saved and by those in the form, cell by cell."""
        before, after = (_previews(request, each, 10) for each in (Connection.objects.get(pk=pk), unsaved))
        return [
            {
                "case": new.case,
                "cells": [(was, now, str(was) != str(now)) for was, now in zip(old.cells, new.cells, strict=True)],
            }
            for old, new in zip(before, after, strict=True)
        ]


def _address(page: str, connection: Connection) -> str:
    return reverse(f"admin:scalepoint_integration_defaultvalues_{page}", args=[connection.pk])


def _columns() -> list[Any]:
    return [
        _("Task title"),
        *(label_of(name) for name in ("team", "responsible", "task_template")),
        _("Customer"),
    ]


def _previews(request: HttpRequest, connection: Connection, count: int) -> list[Preview]:
    """By these rules, what the latest real cases become. Who may not see cases sees the built-in example."""
    found: list[Case] = []
    if request.user.has_perm("scalepoint_integration.view_case"):
        rows = Case.objects.filter(connection=connection.pk, is_test=False, anonymised_at=None)
        rows = rows.exclude(insurer=None).exclude(facts={}).select_related("insurer", "insurer__customer")
        found = list(rows.prefetch_related("services").order_by("-pk")[:count])
    if not found:
        insurer = InsuranceCompany(name=str(_("Company A (example)")), alias="A")
        return [Preview(None, foresee(connection, insurer, _EXAMPLE, ServiceFacts()))]
    shown = []
    for case in found:
        ordered: dict[str, Any] = next((service.facts for service in case.services.all()), {})
        facts = case.known, registers.read(ordered, ServiceFacts)
        assert case.insurer is not None  # noqa: S101  for the type checker
        shown.append(Preview(case, foresee(connection, case.insurer, *facts)))
    return shown


def _sections(request: HttpRequest, form: DefaultsForm, connection: Connection) -> list[dict[str, Any]]:
    companies = list(
        InsuranceCompany.objects.filter(active=True).select_related("team", "responsible", "task_template")[:200]
    )
    return [
        {
            "title": title,
            "text": text,
            "rows": [
                (form[name], _who_wins(name, connection, companies), _to_add(request, connection, name))
                for name in names
            ],
            "preview": "case_name_template" in names,
            "folded": names is DIMENSIONS,
        }
        for title, text, names in _SECTIONS
    ]


def _who_wins(name: str, connection: Connection, companies: list[InsuranceCompany]) -> list[Any]:
    """Lines that stand under a value: who goes before it, and what happens then."""
    lines: list[Any] = []
    if name in ("team", "responsible", "task_template", "customer_is", "phone_as_customer_number"):
        own = [(company, _in_words(company, name)) for company in companies if getattr(company, name) not in (None, "")]
        if own:
            said = ", ".join(f"{company}: {value}" for company, value in own)
            lines.append(_("An insurance company's own value comes first: %(values)s.") % {"values": said})
        else:
            lines.append(_("No insurance company has its own value here. If one did, it would come first."))
    if name in ("team", "responsible"):
        if connection.winner == Connection.Winner.CUSTOMER:
            lines.append(_("Next comes the customer's own value. This value is used if the customer has none."))
        else:
            lines.append(_("Next comes this value. The customer's own value is used if this one is empty."))
        lines.append(_("The value in the task template comes last."))
    if name in DIMENSIONS:
        lines.append(_("Only this value is used."))
    return lines


def _to_add(request: HttpRequest, connection: Connection, name: str) -> str:
    """Where one is made, as long as none in use is there to choose; "" for whoever may not."""
    model = Connection._meta.get_field(name).related_model
    if name not in ("team", "task_template", "customer_type") or model is None or isinstance(model, str):
        return ""
    if getattr(getattr(connection, name), "active", False) or model._default_manager.filter(active(model)).exists():
        return ""
    if not request.user.has_perm(f"{model._meta.app_label}.add_{model._meta.model_name}"):
        return ""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
    except NoReverseMatch:  # a host that left that page out
        return ""


def _in_words(row: Any, name: str) -> Any:
    display = getattr(row, f"get_{name}_display", None)
    value = display() if display else getattr(row, name)
    return in_words(value)


def _merge_fields() -> list[str]:
    """The names of the merge fields in the reader's language."""
    place = -2 if (get_language() or "").startswith("da") else -1
    return [f"[{names[place]}]" for names in case_name.FIELDS.values()]


def _inactive(connection: Connection) -> list[Any]:
    """What stands there and does not hold any more."""
    found = []
    if connection.responsible and not connection.responsible.is_active:
        found.append(describe(errors.RESPONSIBLE_INACTIVE))
    if connection.task_template and not connection.task_template.active:
        found.append(describe(errors.TEMPLATE_INACTIVE, {"template": connection.task_template.name}))
    return found


def _changes(connection: Connection) -> list[tuple[Entry, list[Any]]]:
    """The latest changes of these values, newest first: each with the labels of what was changed."""
    found = saves(connection, 10, FIELDS)
    return [(save, [label_of(change.name) for change in save.changes]) for save in found]


def register(site: admin.AdminSite) -> None:
    site.register(DefaultValues, DefaultValuesAdmin)
