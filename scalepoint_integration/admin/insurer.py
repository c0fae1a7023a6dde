"""Screen 4: the insurance companies. crm has a page for them that knows no cases; this one takes its place."""

import secrets
from datetime import datetime, time, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import badge
from crm.admin.company import (
    InsuranceCompanyAdmin,
    TokenInline,
    may_manage_tokens,
    tell_once,
)
from crm.formats import DATE_INPUTS, NOTHING, day, when
from crm.models import InsuranceCompany, SecurityToken
from scalepoint_integration import errors, events
from scalepoint_integration.admin.big_tables import queue_state
from scalepoint_integration.admin.event_page import in_words
from scalepoint_integration.models import Case, Connection, InboundEvent, Refusal
from scalepoint_integration.office.figures import figures_of

_APP = "scalepoint_integration"
# How long an old token lives on when a new one is there, unless somebody chooses another day.
OVERLAP = timedelta(days=14)
_INHERITED = ("customer_is", "phone_as_customer_number", "team", "responsible", "task_template")


class RotateForm(forms.Form):
    new_token = forms.CharField(
        label=_("New token"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "Enter it exactly as you were given it. It is not shown again; later you only see its last four characters."
        ),
    )
    make = forms.BooleanField(label=_("Generate a strong token for me"), required=False)
    label = forms.CharField(label=_("Label"), required=False, max_length=100)
    old_until = forms.DateField(
        label=_("The old token is valid until"),
        input_formats=DATE_INPUTS,
        widget=forms.DateInput(format="%d.%m.%Y"),
        help_text=_("Both tokens are accepted until the end of that day, so that no case is refused in the meantime."),
    )

    def clean_old_until(self) -> Any:
        day = self.cleaned_data["old_until"]
        if day < timezone.localdate():
            raise forms.ValidationError(_("This date is in the past. Choose today or later."))
        return day

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given, make = self.cleaned_data.get("new_token", "").strip(), self.cleaned_data.get("make")
        if bool(given) == bool(make):
            raise forms.ValidationError(_("Enter the new token, or have one generated."))
        return cleaned


class TokenPartInline(TokenInline):
    fields: ClassVar[Any] = (*TokenInline.fields, "switch_off")
    readonly_fields: ClassVar[Any] = (*TokenInline.readonly_fields, "switch_off")

    @admin.display(description=_("turn off"))
    def switch_off(self, token: SecurityToken) -> Any:
        if token.expires_at and token.expires_at <= timezone.now():
            return NOTHING
        address = reverse("admin:scalepoint_crm_insurancecompany_token_off", args=[token.company_id, token.pk])
        return format_html('<a href="{}">{}</a>', address, _("Turn off this token…"))


class InsurerAdmin(InsuranceCompanyAdmin):
    list_display: Any = (
        "name",
        "aliases",
        "tokens_now",
        "state",
        "latest_event",
        "errors",
        "new_cases",
        "test",
    )
    list_select_related: ClassVar[Any] = False
    list_filter: ClassVar[Any] = ()  # its box would push the last columns out of sight
    change_list_template = "scalepoint/insurer_list.html"
    change_form_template = "scalepoint/insurer.html"
    fieldsets: ClassVar[Any] = (
        (
            None,
            {
                "fields": ("name", "alias", "sub_alias", "active"),
                "description": _(
                    "You get the token, the alias and any sub-alias from Scalepoint or from the insurance company. "
                    "If you don't have them, use “Send mail to Scalepoint” under Setup."
                ),
            },
        ),
        *InsuranceCompanyAdmin.fieldsets[1:-1],
        (
            _("Events"),
            {
                "fields": ("event_types",),
                "description": _(
                    "Tick the events that you accept from this insurance company. Leave all of them unticked to "
                    "accept every event."
                ),
            },
        ),
        InsuranceCompanyAdmin.fieldsets[-1],
    )
    inlines = [TokenPartInline, *InsuranceCompanyAdmin.inlines[1:]]

    class Media:
        css = {"all": ["scalepoint/insurer.css"]}

    # The list

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        rows: Any = list(page.result_list)
        known = figures_of((company.pk for company in rows), timezone.now())
        for company in rows:
            company.figures = known[company.pk]
        page.result_list = rows
        return page

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"unknown": _unknown_today(request), "no_companies": not InsuranceCompany.objects.exists()}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_actions(self, request: HttpRequest) -> Any:
        """Without deleting many at once: it is offered on the page of a company that has no history."""
        return {name: each for name, each in super().get_actions(request).items() if name != "delete_selected"}

    @admin.display(description=_("status"))
    def state(self, company: InsuranceCompany) -> Any:
        now = timezone.now()
        if not company.active:
            return badge("", "✖", _("Inactive"))
        if not any(_lives(token, now) for token in company.tokens.all()):
            return badge("bad", "✖", _("Token is missing"))
        return badge("good", "●", _("Ready"))

    @admin.display(description=_("latest event"))
    def latest_event(self, company: Any) -> Any:
        return when(company.figures.latest) if company.figures.latest else _("Never")

    @admin.display(description=_("errors, 7 days"))
    def errors(self, company: Any) -> Any:
        if not company.figures.errors:
            return 0
        return format_html('<a href="{}">{}</a>', _events(company, status__exact="failed"), company.figures.errors)

    @admin.display(description=_("cases, 30 days"))
    def new_cases(self, company: Any) -> Any:
        return format_html('<a href="{}">{}</a>', _cases(company), company.figures.cases)

    @admin.display(description=_("test"))
    def test(self, company: InsuranceCompany) -> Any:
        if not any(_lives(token, timezone.now()) for token in company.tokens.all()):
            change = reverse("admin:scalepoint_crm_insurancecompany_change", args=[company.pk])
            return format_html('<a href="{}">{}</a>', change, _("Fix…"))
        address = _test_page(company)
        return format_html('<a class="button" href="{}">{}</a>', address, _("Test")) if address else NOTHING

    # The page of one

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "event_types":
            rows = sorted((row for row in events.EVENTS.values() if row.handler), key=lambda row: not row.makes_task)
            choices = [(row.name, events.words(row.name)) for row in rows]
            return forms.MultipleChoiceField(
                label=db_field.verbose_name.capitalize(),
                choices=choices,
                required=False,
                widget=forms.CheckboxSelectMultiple,
                help_text=_(
                    "Without “New case”, no tasks are created. Events that are left out are stored and marked as "
                    "ignored."
                ),
            )
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name in _INHERITED:
            field.help_text = _("Leave empty to use the default value: %(value)s") % {
                "value": _inherited(db_field.name, request)
            }
        return field

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a company that nothing ever came from can go: what there is would lose its sender."""
        if not super().has_delete_permission(request, obj):
            return False
        if obj is None:
            return True
        if not hasattr(obj, "has_history"):
            obj.has_history = (
                Case.objects.filter(insurer=obj).exists() or InboundEvent.objects.filter(insurer=obj).exists()
            )
        return not obj.has_history

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        context: dict[str, Any] = {"may_manage_tokens": may_manage_tokens(request)}
        if object_id.isdecimal() and request.user.has_perm(f"{_APP}.view_inboundevent"):
            rows = InboundEvent.objects.filter(insurer=int(object_id)).defer("body").order_by("-pk")[:10]
            context["latest"] = [
                {
                    "address": reverse(f"admin:{_APP}_inboundevent_change", args=[event.pk]),
                    "what": in_words(event),
                    "event": event,
                    "when": when(event.received_at),
                    "state": queue_state(event),
                }
                for event in rows
            ]
        if object_id.isdecimal():
            company = InsuranceCompany(pk=int(object_id))
            context |= {"cases": _cases(company), "events": _events(company), "test": _test_page(company)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "scalepoint_crm_insurancecompany"
        return [
            path("<int:pk>/rotate/", wrap(self.rotate), name=f"{name}_rotate"),
            path("<int:pk>/tokens/<int:token>/off/", wrap(self.token_off), name=f"{name}_token_off"),
            *super().get_urls(),
        ]

    def _for_tokens(self, request: HttpRequest, pk: int) -> InsuranceCompany:
        if not may_manage_tokens(request) or not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(InsuranceCompany, pk=pk)

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A new token, and an end for those there are. GET shows the form."""
        company = self._for_tokens(request, pk)
        initial = {"old_until": timezone.localdate() + OVERLAP}
        form = RotateForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                self._rotate(request, company, form.cleaned_data)
            except ValidationError as error:
                form.add_error("new_token", error)
            else:
                return HttpResponseRedirect(reverse("admin:scalepoint_crm_insurancecompany_change", args=[pk]))
        old = [token for token in company.tokens.all() if _lives(token, timezone.now())]
        return self._page(request, "scalepoint/insurer_rotate.html", _("Rotate token"), company, form=form, old=old)

    def _rotate(self, request: HttpRequest, company: InsuranceCompany, said: dict[str, Any]) -> None:
        now, made = timezone.now(), bool(said["make"])
        end = timezone.make_aware(datetime.combine(said["old_until"] + timedelta(days=1), time()))
        with transaction.atomic():
            old: Any = company.tokens.select_for_update().filter(Q(expires_at=None) | Q(expires_at__gt=end))
            for token in old:
                token.expires_at = end
                token._history_user = request.user
                token.save(update_fields=["expires_at"])
            value = secrets.token_urlsafe(32) if made else said["new_token"]
            new: Any = SecurityToken(company=company, token=value, label=said["label"], valid_from=now)
            new._history_user = request.user
            new.save()
            facts = {"new": new, "day": day(said["old_until"])}
            change = gettext("Rotated to token %(new)s; older tokens are valid until %(day)s.") % facts
            self.log_change(request, company, change)
        tell_once(request, new, made=made)

    def token_off(self, request: HttpRequest, pk: int, token: int) -> HttpResponse:
        """Asks first. From then on the token is refused; its row stays."""
        company = self._for_tokens(request, pk)
        row: Any = get_object_or_404(SecurityToken, pk=token, company=company)
        if request.method == "POST":
            if _lives(row, timezone.now()):
                row.expires_at = timezone.now()
                row._history_user = request.user
                row.save(update_fields=["expires_at"])
                self.log_change(request, company, gettext("Turned off token %s.") % row)
            self.message_user(request, _("Token %s was turned off.") % row, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:scalepoint_crm_insurancecompany_change", args=[pk]))
        return self._page(request, "scalepoint/insurer_token_off.html", _("Turn off a token"), company, token=row)

    def _page(self, request: HttpRequest, template: str, title: Any, company: Any, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "media": self.media}
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, template, {**shared, "company": company, **context})
        response["Cache-Control"] = "no-store"
        return response


def _lives(token: SecurityToken, now: datetime) -> bool:
    return not token.expires_at or token.expires_at > now


def _inherited(name: str, request: Any) -> str:
    """What holds where the company has nothing of its own; by contract where there are several."""
    if not hasattr(request, "_scalepoint_connections"):
        rows = Connection.objects.select_related("team", "responsible", "task_template").order_by("pk")
        request._scalepoint_connections = list(rows[:5])
    found = []
    for connection in request._scalepoint_connections:
        display = getattr(connection, f"get_{name}_display", None)
        value = display() if display else getattr(connection, name)
        if isinstance(value, bool):
            value = _("Yes") if value else _("No")
        found.append((connection, value if value is not None else NOTHING))
    if len({str(value) for _connection, value in found}) == 1:
        return str(found[0][1])
    return ", ".join(f"{connection}: {value}" for connection, value in found) or NOTHING


def _unknown_today(request: HttpRequest) -> dict[str, Any] | None:
    """How often an unknown token was refused today. None: never, or not for this reader."""
    if not request.user.has_perm(f"{_APP}.view_refusal"):
        return None
    midnight = timezone.make_aware(datetime.combine(timezone.localdate(), time()))
    refused = Refusal.objects.filter(code=errors.UNKNOWN_TOKEN.code, received_at__gte=midnight).exclude(token_last4="")
    count = refused.count()  # bounded: a connection keeps its newest 200
    if not count:
        return None
    said = ngettext(
        "%(count)d request with an unknown token was refused today.",
        "%(count)d requests with an unknown token were refused today.",
        count,
    )
    query = urlencode({"code__exact": errors.UNKNOWN_TOKEN.code, "received_at__gte": midnight.isoformat()})
    return {"said": said % {"count": count}, "address": f"{reverse(f'admin:{_APP}_refusal_changelist')}?{query}"}


def _events(company: InsuranceCompany, **more: str) -> str:
    query = urlencode({"insurer__id__exact": company.pk, **more})
    return f"{reverse(f'admin:{_APP}_inboundevent_changelist')}?{query}"


def _cases(company: InsuranceCompany) -> str:
    return f"{reverse(f'admin:{_APP}_case_changelist')}?insurer__id__exact={company.pk}"


def _test_page(company: InsuranceCompany) -> str:
    try:
        return f"{reverse(f'admin:{_APP}_testcase_changelist')}?insurer={company.pk}"
    except NoReverseMatch:  # a host that left the page out
        return ""


def register(site: admin.AdminSite) -> None:
    # crm's own page of the companies gives way to this one.
    if site.is_registered(InsuranceCompany):
        site.unregister(InsuranceCompany)
    site.register(InsuranceCompany, InsurerAdmin)
