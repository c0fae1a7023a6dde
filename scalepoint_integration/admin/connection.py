from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import OfficeAdmin, badge
from crm.formats import NOTHING, moment
from scalepoint_integration.admin.key import ClientKeyInline, may_manage_keys
from scalepoint_integration.client.keys import certificate_for_scalepoint, make_key
from scalepoint_integration.errors import describe
from scalepoint_integration.models import ClientKey, Connection
from scalepoint_integration.office.checklist import endpoint_address
from scalepoint_integration.receiving import poller

_LOOKS = {
    Connection.Switch.ON: ("good", "✔"),
    Connection.Switch.PAUSED: ("wait", "❚❚"),
    Connection.Switch.OFF: ("", "✖"),
}


class ConnectionAdmin(OfficeAdmin):
    change_list_template = "scalepoint/change_list.html"
    change_form_template = "scalepoint/change_form.html"
    list_display = ("contract_number", "state", "environment", "team", "responsible", "task_template")
    list_select_related = ("team", "responsible", "task_template")
    search_fields = ("contract_number", "user_name")
    readonly_fields = ("endpoint", "token_endpoint", "secret_last4", "new_key", "polling", "defaults")
    actions = ["fetch_again"]
    inlines = [ClientKeyInline]
    fieldsets = (
        (None, {"fields": ("contract_number", "switch", "endpoint")}),
        (
            _("From Scalepoint"),
            {"fields": ("server_name", "user_name", "country", "tenant", "environment")},
        ),
        (_("New cases and their customers"), {"fields": ("defaults",)}),
        (
            _("What we send to Scalepoint"),
            {
                "fields": ("send_case_number", "send_messages", "send_payment_status", "send_files", "send_invoices"),
                "classes": ["collapse"],
            },
        ),
        (_("Fetching events"), {"fields": ("poll", "polling"), "classes": ["collapse"]}),
        (
            _("How Scalepoint identifies itself"),
            {
                "fields": (
                    "allow_bearer",
                    "allow_basic",
                    "allow_issued_token",
                    "allow_body_token",
                    "secret",
                    "secret_last4",
                    "token_endpoint",
                ),
                "classes": ["collapse"],
            },
        ),
        (
            _("How we identify ourselves to Scalepoint"),
            {
                "fields": ("client_id", "client_secret", "new_key", "token_url", "api_url", "ecx_url"),
                "classes": ["collapse"],
            },
        ),
    )

    @admin.display(description=_("switch"), ordering="switch")
    def state(self, connection: Connection) -> SafeString:
        kind, icon = _LOOKS[Connection.Switch(connection.switch)]
        word: Any = connection.get_switch_display()
        if connection.poll and connection.poll_problem:
            kind, icon = ("bad", "⚠")
            word = format_html("{}: {}", word, describe(connection.poll_problem).what)
        return badge(kind, icon, word)

    @admin.display(description=_("fetch status"))
    def polling(self, connection: Connection) -> Any:
        if not connection.poll:
            return _("Nothing is fetched.")
        if connection.poll_problem:
            return badge("bad", "⚠", describe(connection.poll_problem))
        if connection.polled_at is None:
            return badge("wait", "●", _("Nothing has been fetched yet."))
        return badge("good", "✔", _("Last fetched %(when)s.") % {"when": moment(connection.polled_at)})

    @admin.display(description=_("default values"))
    def defaults(self, connection: Connection) -> Any:
        """They have a page of their own, with a preview and a reason for the history."""
        if not connection.pk:
            return _("Save first to choose the default values.")
        return format_html(
            '<a href="{}">{}</a><p class="help">{}</p>',
            reverse("admin:scalepoint_integration_defaultvalues_change", args=[connection.pk]),
            _("Open the default values and customer rules"),
            _("Choose the team, responsible user, task template, case name, customer rules and lists there."),
        )

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        """Only what was changed here: the poller writes in the same row, and so does the page of default values."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        changed = [name for name in form.changed_data if name in form.fields]
        if changed:
            obj._history_user = request.user  # type: ignore[attr-defined]
            obj.save(update_fields=changed)

    @admin.action(description=_("Fetch events again"), permissions=["change"])
    def fetch_again(self, request: HttpRequest, queryset: "QuerySet[Connection]") -> None:
        for connection in queryset.filter(poll=True):
            poller.resume(connection)
        self.message_user(request, _("Fetching will resume within a minute."))

    @admin.display(description=_("address for Scalepoint"))
    def endpoint(self, connection: Connection) -> Any:
        if not connection.pk:
            return _("Save first to see the address here.")
        return _to_copy(endpoint_address(connection, self.request_base), _("address for Scalepoint"))

    @admin.display(description=_("our address for access tokens"))
    def token_endpoint(self, connection: Connection) -> Any:
        if not connection.pk:
            return _("Save first to see the address here.")
        address = endpoint_address(connection, self.request_base) + "token"
        return _to_copy(address, _("our address for access tokens"))

    @admin.display(description=_("keys"))
    def new_key(self, connection: Connection) -> Any:
        """A button of the page's own form, with an address of its own: a form inside a form is not HTML."""
        if not connection.pk or not self.may_make_keys:
            return NOTHING
        return format_html(
            '<button type="submit" class="button" formnovalidate formaction="{}">{}</button> <p class="help">{}</p>',
            reverse("admin:scalepoint_integration_connection_new_key", args=[connection.pk]),
            _("Create a new key"),
            _("Save first: unsaved changes on this page are lost. Then send the certificate to Scalepoint."),
        )

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = "scalepoint_integration_connection"
        return [
            path("<int:pk>/new-key/", wrap(self.make_new_key), name=f"{name}_new_key"),
            path("<int:pk>/keys/<int:key>/", wrap(self.give_certificate), name=f"{name}_certificate"),
            *super().get_urls(),
        ]

    def make_new_key(self, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        connection = self._for_keys(request, pk)
        key = make_key(connection)
        self.log_change(request, connection, gettext("Created the key %s.") % key)
        self.message_user(
            request,
            gettext(
                "The key was created. Send its certificate to Scalepoint, and tick the box when they have confirmed it."
            ),
            messages.SUCCESS,
        )
        return HttpResponseRedirect(reverse("admin:scalepoint_integration_connection_change", args=[pk]))

    def give_certificate(self, request: HttpRequest, pk: int, key: int) -> HttpResponse:
        """The public half, as Scalepoint wants it sent. No page gives out the private one."""
        connection = self._for_keys(request, pk)
        row = get_object_or_404(ClientKey, pk=key, connection=connection)
        response = HttpResponse(certificate_for_scalepoint(row), content_type="text/plain; charset=us-ascii")
        name = f"scalepoint-{connection.contract_number}-{row.thumbprint[:8]}.txt"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response

    def _for_keys(self, request: HttpRequest, pk: int) -> Connection:
        connection = get_object_or_404(Connection, pk=pk)
        if not may_manage_keys(request) or not self.has_view_permission(request, connection):
            raise PermissionDenied
        return connection

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.request_base = request.build_absolute_uri("/")
        self.may_make_keys = may_manage_keys(request)
        return super().changeform_view(request, *args, **kwargs)


def _to_copy(address: str, label: Any) -> SafeString:
    """An address in a field that can be marked and copied without JavaScript."""
    return format_html(
        '<input type="text" readonly size="72" class="copy-address" value="{}" aria-label="{}" data-office-copy="{}" '
        'data-copied="{}"><p class="help">{}</p>',
        address,
        label,
        _("Copy"),
        _("Copied"),
        _("Copy this address and give it to Scalepoint."),
    )


def register(site: admin.AdminSite) -> None:
    site.register(Connection, ConnectionAdmin)
