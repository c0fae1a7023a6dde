"""The set-up list, the mail to Scalepoint, and switching on."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import badge
from crm.formats import when
from scalepoint_integration.admin.pages import PageAdmin, allow, connection_of
from scalepoint_integration.models import Connection, ScalepointMail, Setup
from scalepoint_integration.office import letter
from scalepoint_integration.office.checklist import Row, Status, endpoint_address, holding_back, message_to_it, rows
from scalepoint_integration.office.connections import turn_switch

if TYPE_CHECKING:
    ConnectionForm = forms.ModelForm[Connection]
else:
    ConnectionForm = forms.ModelForm

VIEW, CHANGE = "scalepoint_integration.view_setup", "scalepoint_integration.change_setup"
_LOOKS = {
    Status.DONE: ("good", "✔", _("Ready")),
    Status.MISSING: ("bad", "✖", _("Missing")),
    Status.WAITING: ("wait", "◌", _("Waiting for Scalepoint")),
    Status.WARNING: ("wait", "⚠", _("Warning")),
}
_SWITCHES = {
    Connection.Switch.ON: ("good", "✔"),
    Connection.Switch.PAUSED: ("wait", "❚❚"),
    Connection.Switch.OFF: ("", "✖"),
}
# Backends of Django that take a mail and deliver it nowhere.
_NOWHERE = ("console", "dummy", "filebased", "locmem")


class FirstConnectionForm(ConnectionForm):
    class Meta:
        model = Connection
        fields = ("contract_number",)


class CompanyForm(ConnectionForm):
    """Who we are: asked for where the mail needs it, and kept on the connection."""

    class Meta:
        model = Connection
        fields = letter.FACTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = True


class MailForm(forms.Form):
    recipient = forms.EmailField(
        label=_("To"),
        max_length=254,
        help_text=_(
            "Scalepoint's email address, for example that of your contact there. If you don't have one, ask Scalepoint."
        ),
    )
    subject = forms.CharField(label=_("Subject"), max_length=200)
    body = forms.CharField(label=_("Text"), max_length=10_000, widget=forms.Textarea(attrs={"rows": 16}))

    def clean_subject(self) -> str:
        return " ".join(str(self.cleaned_data["subject"]).split())  # a line break would begin another header

    def clean_body(self) -> str:
        return str(self.cleaned_data["body"]).replace("\r\n", "\n")


class SetupAdmin(PageAdmin):
    page_template = "scalepoint/setup.html"
    title = _("Scalepoint setup")

    class Media:
        css = {"all": ["scalepoint/setup.css"]}
        js = ["scalepoint/setup.js"]

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "scalepoint_integration_setup"
        return [
            path("first/", wrap(self.make_first), name=f"{name}_first"),
            path("switch-on/", wrap(self.switch_on), name=f"{name}_switch_on"),
            path("mail/", wrap(self.write_mail), name=f"{name}_mail"),
            path("mail/<int:pk>/", wrap(self.sent_mail), name=f"{name}_sent_mail"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest) -> dict[str, Any]:
        connection = connection_of(request)
        context: dict[str, Any] = {
            "connection": connection,
            "connections": Connection.objects.order_by("pk") if _several() else (),
            "may_change": request.user.has_perm(CHANGE),
        }
        if connection is None:
            return context | {"form": FirstConnectionForm()}
        base = request.build_absolute_uri("/")
        found = rows(connection, timezone.now(), base)
        address = next(row for row in found if row.key == "address")
        return context | {
            "rows": [(row, _look(row)) for row in found],
            "ready": sum(row.status == Status.DONE for row in found),
            "state": badge(*_SWITCHES[Connection.Switch(connection.switch)], connection.get_switch_display()),
            "is_on": connection.switch == Connection.Switch.ON,
            "address": endpoint_address(connection, base),
            "to_it": message_to_it(connection, address, base) if address.problems else "",
            "mails": _mails(connection),
            "first_visit": not connection.mails.exists() and connection.switch != Connection.Switch.ON,
        }

    def make_first(self, request: HttpRequest) -> HttpResponse:
        """The first connection; it starts on hold. Later ones are made on the connections' own page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        allow(request, CHANGE)
        if Connection.objects.exists():
            return HttpResponseRedirect(reverse("admin:scalepoint_integration_setup_changelist"))
        form = FirstConnectionForm(request.POST)
        if not form.is_valid():
            context = {"connection": None, "form": form, "may_change": True}
            return self.render(request, self.page_template, self.title, context)
        connection = form.save(commit=False)
        connection.switch = Connection.Switch.PAUSED
        _save(request, connection)
        self.log_addition(request, connection, gettext("Created the first connection."))
        messages.success(request, gettext("The connection was created. It is paused until you turn it on."))
        return _back(connection)

    def switch_on(self, request: HttpRequest) -> HttpResponse:
        """Asks first where something is missing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        allow(request, CHANGE)
        connection = _wanted(request)
        missing = holding_back(rows(connection, timezone.now(), request.build_absolute_uri("/")))
        if missing and "confirmed" not in request.POST:
            shown = [(row, _look(row)) for row in missing]
            return self.render(
                request, "scalepoint/setup_switch.html", _("Turn on?"), {"connection": connection, "rows": shown}
            )
        with transaction.atomic():
            if turn_switch(connection, request.user, Connection.Switch.ON):
                self.log_change(request, connection, gettext("Turned on."))
        messages.success(request, gettext("Scalepoint was turned on. New cases become tasks."))
        return _back(connection)

    def write_mail(self, request: HttpRequest) -> HttpResponse:
        """Ask for what is missing, show the letter, preview, send, or write down that it was sent elsewhere."""
        allow(request, CHANGE)
        connection = _wanted(request)
        wanted = request.POST.get("do", "") if request.method == "POST" else ""
        given = request.POST if request.method == "POST" else request.GET
        language = given.get("language", "")
        if language not in letter.LANGUAGES:
            language = "da" if (get_language() or "").startswith("da") else "en"

        company = CompanyForm(request.POST if wanted == "company" else None, instance=connection)
        if wanted == "company" and company.is_valid():
            _save(request, connection, *letter.FACTS)
            self.log_change(request, connection, gettext("Changed who we are in the email to Scalepoint."))
            return HttpResponseRedirect(f"{_mail_page(connection)}&language={language}")

        if wanted == "company":
            connection.refresh_from_db()  # the form has written on it what was not valid
        complete = not letter.missing_facts(connection)
        form, problem = self._letter(request, connection, language, wanted), ""
        try:
            if complete and self._dispatched(request, connection, form, wanted):
                return _back(connection)
        except letter.MailRefused as refused:
            problem = str(refused)
        text = form.cleaned_data if form.is_valid() else form.initial
        context = {
            "connection": connection,
            "company": company,
            "complete": complete,
            "form": form,
            "preview": form.cleaned_data if wanted == "preview" and form.is_valid() and not problem else None,
            "sender": settings.DEFAULT_FROM_EMAIL,
            "mailto": "" if problem or form.errors else letter.mailto(text["recipient"], text["subject"], text["body"]),
            "problem": problem,
            "language": language,
            "languages": letter.LANGUAGES,
            "nowhere": letter.backend().split(".")[-2] in _NOWHERE,
            "mails": _mails(connection),
        }
        return self.render(request, "scalepoint/setup_mail.html", _("Send mail to Scalepoint"), context)

    def sent_mail(self, request: HttpRequest, pk: int) -> HttpResponse:
        allow(request, VIEW)
        row = get_object_or_404(ScalepointMail.objects.select_related("sent_by", "connection"), pk=pk)
        context = {"mail": row, "sent": when(row.sent_at), "may_change": request.user.has_perm(CHANGE)}
        return self.render(request, "scalepoint/setup_sent.html", _("Email to Scalepoint"), context)

    def _letter(self, request: HttpRequest, connection: Connection, language: str, wanted: str) -> MailForm:
        draft = letter.compose(connection, endpoint_address(connection, request.build_absolute_uri("/")), language)
        former = connection.mails.exclude(recipient="").values_list("recipient", flat=True).first()
        initial = {"recipient": former or "", "subject": draft.subject, "body": draft.body}
        form = MailForm(request.POST if wanted in ("preview", "send", "outside") else None, initial=initial)
        # Whoever sent it elsewhere need not tell us where to; and the first look needs no address yet.
        form.fields["recipient"].required = wanted != "outside"
        return form

    def _dispatched(self, request: HttpRequest, connection: Connection, form: MailForm, wanted: str) -> bool:
        """Do what was wanted. Whether anything is written down now. Raises mail.MailRefused, also where the letter
        would only be shown: the page offers it to the reader's mail program."""
        if form.is_bound and not form.is_valid():
            return False
        text = form.cleaned_data if form.is_bound else form.initial
        if wanted not in ("send", "outside"):
            letter.refuse_secrets(text["recipient"], text["subject"], text["body"])
            return False
        if wanted == "send":
            letter.send(connection, request.user, **text, now=timezone.now())
            told = gettext("The email was sent to %(recipient)s. Waiting for Scalepoint.") % text
        else:
            letter.sent_outside(connection, request.user, **text)
            told = gettext("Recorded: you sent the email yourself. Waiting for Scalepoint.")
        messages.success(request, told)
        return True


def _look(row: Row) -> Any:
    return badge(*_LOOKS[Status(row.status)])


def _mails(connection: Connection) -> list[tuple[ScalepointMail, Any]]:
    return [(row, when(row.sent_at)) for row in connection.mails.select_related("sent_by")[:20]]


def _several() -> bool:
    return Connection.objects.count() > 1


def _wanted(request: HttpRequest) -> Connection:
    """The connection to write on. A wrong number is an error here, and not the first one."""
    connection = connection_of(request)
    given = request.GET.get("connection") or request.POST.get("connection")
    if connection is None or (given and given != str(connection.pk)):
        raise Http404
    return connection


def _save(request: HttpRequest, connection: Any, *names: str) -> None:
    connection._history_user = request.user
    connection.save(update_fields=names or None)


def _back(connection: Connection) -> HttpResponse:
    address = reverse("admin:scalepoint_integration_setup_changelist")
    return HttpResponseRedirect(f"{address}?connection={connection.pk}")


def _mail_page(connection: Connection) -> str:
    return f"{reverse('admin:scalepoint_integration_setup_mail')}?connection={connection.pk}"


def register(site: admin.AdminSite) -> None:
    site.register(Setup, SetupAdmin)
