"""What all pages of the office share. Stock ModelAdmin only: the host's theme, if it has one, goes on top."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextareaWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm.admin.history import HistoryAdmin
from crm.formats import DATE_INPUTS


def badge(kind: str, icon: str, word: Any) -> SafeString:
    """A state as colour, icon and word. Kinds: good, busy, wait, bad, and "" for grey."""
    return format_html('<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>', kind, icon, word)


class DateAndTime(AdminSplitDateTime):
    """The admin's two fields, each with a name of its own: the words that Django writes beside them are no labels."""

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        for part, name in zip(self.widgets, (_("Date"), _("Time of day")), strict=True):
            part.attrs["aria-label"] = name


# Also for the inlines, which inherit nothing from the page they stand on.
FORM_FIELDS: dict[Any, Any] = {
    # An address that was typed without its beginning; without a word here Django warns until 6.0.
    models.URLField: {"assume_scheme": "https"},
    models.DateField: {"input_formats": DATE_INPUTS},
    models.DateTimeField: {"input_date_formats": DATE_INPUTS, "widget": DateAndTime},
    models.TextField: {"widget": AdminTextareaWidget({"rows": 6})},
}


class OfficeAdmin(HistoryAdmin):
    change_list_template = "scalepoint_crm/change_list.html"
    show_full_result_count = False
    list_per_page = 50
    ordering: ClassVar[tuple[str, ...]] = ("-id",)

    formfield_overrides = FORM_FIELDS

    class Media:
        css = {"all": ["scalepoint_crm/office.css"]}
        js = ["scalepoint_crm/office.js"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The name of the list is its title, not what to do with one of its rows. ``narrowed``: the filters in use."""
        narrowed = set(request.GET) - {"tab", "o", "p", "all", "e", "q", "_facets"}
        context = {"title": capfirst(self.opts.verbose_name_plural), "narrowed": narrowed, **(extra_context or {})}
        return super().changelist_view(request, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj._history_user = request.user  # who the history says it was; without a middleware that a host would need
        super().save_model(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        obj._history_user = request.user
        super().delete_model(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.forms:
            row.instance._history_user = request.user
        super().save_formset(request, form, formset, change)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name not in self.get_autocomplete_fields(request):
            # The host's user table may hold all its customers, and needs no page of its own here: a plain list of
            # those who work in the office. The same for whatever else can be switched off.
            kwargs.setdefault("queryset", self._choosable(db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def _choosable(self, db_field: Any, request: HttpRequest) -> "models.QuerySet[Any]":
        """What is in use, and what this row has already: saving it must not take that away."""
        chosen = active(db_field.remote_field.model)
        match = request.resolver_match
        if match and "object_id" in match.kwargs:
            here = self.model._default_manager.filter(pk=unquote(match.kwargs["object_id"]))
            chosen |= Q(pk__in=here.values(db_field.attname))
        rows: models.QuerySet[Any] = db_field.remote_field.model._default_manager.filter(chosen)
        return rows


def active(model: type[models.Model]) -> Q:
    """The condition for rows that are in use, by whichever of the usual switches the model has."""
    return Q(*((name, True) for name in ("active", "is_active", "is_staff") if _has(model, name)))


def _has(model: type[models.Model], name: str) -> bool:
    try:
        return bool(model._meta.get_field(name).concrete)
    except FieldDoesNotExist:
        return False


class ResponsibleFilter(admin.SimpleListFilter):
    """Mine, nobody's, or a colleague's. Only those who work in the office are listed."""

    title = _("responsible user")
    parameter_name = "responsible"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        user = get_user_model()
        people = user._default_manager.filter(active(user) & ~Q(pk=request.user.pk))[:200]
        return [("me", _("Me")), ("none", _("Unassigned")), *((str(person.pk), str(person)) for person in people)]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
        value = self.value()
        if value is None:
            return queryset
        if value in ("me", "none"):
            return queryset.filter(responsible=request.user.pk if value == "me" else None)
        # An unknown person is an empty list, whatever was typed into the address.
        known = {key for key, _label in self.lookup_choices}
        return queryset.filter(responsible=value) if value in known else queryset.none()
