"""The page of a case: what is known of it, what is wrong, and what a person can do about it.

What is done stands in casework.py. Here: who may, what the form said, and what the reader is told afterwards.
"""

import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm.admin.base import active
from crm.formats import DATE_INPUTS, NOTHING, day, in_words, moment
from crm.models import Customer, InsuranceCompany, Team
from scalepoint_integration import errors, places
from scalepoint_integration.admin import event_page, money
from scalepoint_integration.admin.big_tables import BigTableAdmin
from scalepoint_integration.admin.caselist import LOOKS
from scalepoint_integration.admin.pages import allow
from scalepoint_integration.admin.places import links
from scalepoint_integration.errors import Problem, describe
from scalepoint_integration.handling import followup, lifecycle
from scalepoint_integration.models import Case, Connection, DefaultValues, ImagePull, InboundEvent, Service
from scalepoint_integration.office import casework, timeline
from scalepoint_integration.office.anonymise import anonymise
from scalepoint_integration.workqueue import QueueError
from tasks.models import Task, TaskContact, TaskImage

APP = "scalepoint_integration"
CHANGE, RETRY = f"{APP}.change_case", f"{APP}.retry_event"
ANONYMISE, SEND, IMAGES = f"{APP}.anonymise_person", f"{APP}.send_outbound", "scalepoint_tasks.view_taskimage"
MONEY, RAW = f"{APP}.view_settlement", f"{APP}.view_raw_payload"
_SHOWN = 100  # rows of a kind on the page
_ZIP_FILES, _ZIP_BYTES = 500, 1024 * 1024 * 1024
_LOOKING = 300  # seconds


# ---- What the forms say -------------------------------------------------------------------------------------------
class AssignForm(forms.Form):
    # Who works in the office, whatever the host's user is; asked when the page is.
    responsible: Any = forms.ModelChoiceField(queryset=None, required=False, label=gettext_lazy("Responsible user"))
    team: Any = forms.ModelChoiceField(queryset=None, required=False, label=gettext_lazy("Team"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = get_user_model()
        rows = (
            ("responsible", user._default_manager.filter(active(user))),
            ("team", Team.objects.filter(active(Team))),
        )
        for name, queryset in rows:
            cast(Any, self.fields[name]).queryset = queryset


class DeadlineForm(forms.Form):
    deadline = forms.DateField(required=False, input_formats=DATE_INPUTS, label=gettext_lazy("Deadline"))


class NoteForm(forms.Form):
    text = forms.CharField(max_length=5000, label=gettext_lazy("Note"), widget=forms.Textarea(attrs={"rows": 3}))
    share = forms.BooleanField(required=False, label=gettext_lazy("Share with Scalepoint"))


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=100, label=gettext_lazy("Reason"))


class LinkForm(forms.Form):
    service = forms.IntegerField(label=gettext_lazy("Service"))
    task = forms.IntegerField(min_value=1, label=gettext_lazy("Task number"))


class InvoiceForm(forms.Form):
    number = forms.CharField(max_length=100, label=gettext_lazy("Invoice number"))
    date = forms.DateField(input_formats=DATE_INPUTS, label=gettext_lazy("Invoice date"))
    due = forms.DateField(input_formats=DATE_INPUTS, label=gettext_lazy("Due"))
    title = forms.CharField(max_length=200, label=gettext_lazy("What the invoice is for"))
    amount = forms.DecimalField(max_digits=12, decimal_places=2, localize=True, label=gettext_lazy("Amount"))


class Said(Exception):
    """Nothing was done, and why: shown to the reader."""


def _valid(form: forms.Form) -> dict[str, Any]:
    if not form.is_valid():
        lines = (f"{form.fields[name].label}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())
        raise Said(" ".join(map(str, lines)))
    return form.cleaned_data


# ---- The buttons: each gets the case and says what came of it -----------------------------------------------------
def _assign(request: HttpRequest, case: Case) -> str:
    chosen = _valid(AssignForm(request.POST))
    casework.assign(case, request.user, responsible=chosen["responsible"], team=chosen["team"])
    return _("Assigned to %(who)s.") % {"who": chosen["responsible"] or chosen["team"] or _("nobody")}


def _take(request: HttpRequest, case: Case) -> str:
    casework.take(case, request.user)
    return _("The case was assigned to you.")


def _deadline(request: HttpRequest, case: Case) -> str:
    casework.set_deadline(case, request.user, _valid(DeadlineForm(request.POST))["deadline"])
    return _("The deadline was set.")


def _customer(request: HttpRequest, case: Case) -> str:
    casework.choose_customer(case, request.user, _chosen_customer(request.POST))
    return _made(case)


def _chosen_customer(said: Any) -> Customer | None:
    """Raises Said where none or several are meant."""
    wanted = said.get("customer", "")
    if wanted == "new":
        return None
    rows = Customer.objects.filter(active=True)
    if wanted == "other":
        number = said.get("customer_number", "").strip()
        found = list(rows.filter(customer_number=number)[:2]) if number else []
        if len(found) != 1:
            raise Said(_("The number “%(number)s” does not match exactly one customer.") % {"number": number})
        return found[0]
    customer = rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    if customer is None:
        raise Said(_("Choose one of the customers."))
    return customer


def _insurer(request: HttpRequest, case: Case) -> str:
    wanted = request.POST.get("insurer", "")
    rows = InsuranceCompany.objects.filter(active=True)
    insurer = rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    if insurer is None:
        raise Said(_("Choose an insurance company."))
    casework.choose_insurer(case, request.user, insurer)
    return _made(case)


def _make(request: HttpRequest, case: Case) -> str:
    casework.make_task(case, request.user)
    return _made(case)


def _link(request: HttpRequest, case: Case) -> str:
    said = _valid(LinkForm(request.POST))
    service, task = case.services.filter(pk=said["service"]).first(), Task.objects.filter(pk=said["task"]).first()
    if service is None or task is None:
        raise Said(_("Task %(number)s does not exist.") % {"number": said["task"]})
    casework.link_task(service, request.user, task)
    return _("The case was linked to task %(number)s.") % {"number": task.pk}


def _retry(request: HttpRequest, case: Case) -> str:
    count = casework.retry(case, request.user)
    if not count:
        raise Said(_("There is nothing to retry."))
    return _made(case)


def _images(request: HttpRequest, case: Case) -> str:
    count = casework.fetch_images(Case.objects.filter(pk=case.pk))
    return ngettext("%d image is being fetched again.", "%d images are being fetched again.", count) % count


def _note(request: HttpRequest, case: Case) -> str:
    said = _valid(NoteForm(request.POST))
    if said["share"]:
        allow(request, SEND)
    casework.add_note(case, request.user, said["text"], share=said["share"])
    return _("The note was saved and will be sent to Scalepoint.") if said["share"] else _("The note was saved.")


def _close(request: HttpRequest, case: Case) -> str:
    casework.close(case, request.user, _valid(ReasonForm(request.POST))["reason"])
    return _("The case was closed.")


def _reopen(request: HttpRequest, case: Case) -> str:
    casework.reopen(case, request.user)
    return _("The case was reopened.")


def _decide(request: HttpRequest, case: Case) -> str:
    close = request.POST.get("choice") == "close"
    if not close and request.POST.get("choice") != "keep":
        raise Said(_("Choose whether to close the task or keep it open."))
    casework.decide(case, request.user, close_tasks=close)
    return _("The task was closed.") if close else _("The task stays open.")


def _test(request: HttpRequest, case: Case) -> str:
    casework.mark_test(case, request.user, not case.is_test)
    return _("The case is no longer a test.") if case.is_test else _("The case was marked as a test.")


def _anonymise(request: HttpRequest, case: Case) -> str:
    anonymise(case, request.user)
    return _("The person was anonymised.")


def _payment(request: HttpRequest, case: Case) -> str:
    payment, status = _payment_of(request, case)
    casework.tell_payment(case, request.user, payment, status)
    return _("The payment status will be sent to Scalepoint.")


def _payment_of(request: HttpRequest, case: Case) -> tuple[Any, str]:
    wanted, status = request.POST.get("payment", ""), request.POST.get("status", "")
    payment = case.payments.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    if payment is None or not payment.uuid or status not in ("processed", "cancelled"):
        raise Said(_("The case has no such payment."))
    return payment, status


def _invoice(request: HttpRequest, case: Case) -> str:
    casework.send_invoice(case, request.user, casework.invoice(case, **_valid(InvoiceForm(request.POST))))
    return _("The invoice will be sent to Scalepoint.")


def _made(case: Case) -> str:
    """What the case came to, or what it waits for now."""
    now = Case.objects.select_related("connection").get(pk=case.pk)
    tasks = [
        str(pk) for pk in Task.objects.filter(scalepoint_service__case=now).order_by("pk").values_list("pk", flat=True)
    ]
    if now.problem_code:
        raise Said(str(describe(now.problem_code, now.problem_facts)))
    if tasks:
        return _("Task %(number)s was created.") % {"number": ", ".join(tasks)}
    if now.connection.switch != Connection.Switch.ON:
        raise Said(_("Saved. The task will be created when the connection is turned on."))
    return _("Saved. There is no task yet.")


@dataclass(frozen=True, slots=True)
class Act:
    do: Callable[[HttpRequest, Case], str]
    needs: str = CHANGE
    # Asked before it is done; the words of the page that asks.
    question: Any = ""
    explained: Any = ""
    button: Any = ""


ACTS = {
    "assign": Act(_assign),
    "take": Act(_take),
    "deadline": Act(_deadline),
    "customer": Act(_customer),
    "insurer": Act(_insurer),
    "make": Act(_make),
    "link": Act(_link),
    "retry": Act(_retry, RETRY),
    "images": Act(_images, RETRY),
    "note": Act(_note),
    "decide": Act(_decide),
    "reopen": Act(_reopen),
    "close": Act(
        _close,
        CHANGE,
        gettext_lazy("Close the case?"),
        gettext_lazy("Its open tasks will be closed too. You can reopen the case."),
        gettext_lazy("Close the case"),
    ),
    "test": Act(
        _test,
        CHANGE,
        gettext_lazy("Change whether this is a test case?"),
        gettext_lazy("Test cases are not counted in the figures. Nothing received from Scalepoint is deleted."),
        gettext_lazy("Change it"),
    ),
    "anonymise": Act(
        _anonymise,
        ANONYMISE,
        gettext_lazy("Anonymise the person on this case?"),
        gettext_lazy(
            "The name, phone number, email, address, policy number, damage description, messages and contacts are "
            "removed, also from the tasks and from what Scalepoint sent. Images, settlements and your own notes "
            "remain: check them yourself. This can't be undone."
        ),
        gettext_lazy("Anonymise the person"),
    ),
    "payment": Act(
        _payment,
        SEND,
        gettext_lazy("Send the status of this payment to Scalepoint?"),
        gettext_lazy("This will be sent to Scalepoint:"),
        gettext_lazy("Send to Scalepoint"),
    ),
    "invoice": Act(
        _invoice,
        SEND,
        gettext_lazy("Send this invoice to Scalepoint?"),
        gettext_lazy("This will be sent to Scalepoint:"),
        gettext_lazy("Send to Scalepoint"),
    ),
}


# ---- What the page shows ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Box:
    """Something to be put right. ``kind`` says which choices stand in it (case_box.html); ``needs`` who may choose."""

    problem: Problem
    kind: str = ""
    needs: str = CHANGE
    choices: Any = ()
    links: Any = ()


def boxes(case: Case, services: list[Service], pulls: list[ImagePull], user: Any, site: str) -> list[Box]:
    found = []
    if case.problem_code and case.is_open:
        found.append(_problem_box(case, user, site))
    found += [
        Box(describe(flag["code"]), errors.find(flag["code"]).box)
        for flag in case.flags
        if followup.still_true(case, flag)
    ]
    found += [Box(describe(code), "", CHANGE, (), _elsewhere(case, code, user, site)) for code in case.notices]
    if not services:
        found.append(Box(describe(errors.UNKNOWN_CASE), errors.UNKNOWN_CASE.box, RETRY))
    elif not case.problem_code and any(service.task is None and service.applied for service in services):
        deleted = Problem(
            "", _("The task was deleted"), _("Create it again, or link the case to another task"), _("office")
        )
        found.append(Box(deleted, "make"))
    elif (
        not case.approved_at
        and not case.problem_code
        and case.connection.default_values.new_cases == DefaultValues.NewCases.INBOX
    ):
        waits = Problem("", _("The case is waiting for you"), _("Check it, and create the task"), _("office"))
        found.append(Box(waits, "make"))
    codes = sorted({pull.error_code for pull in pulls if pull.status == ImagePull.Status.FAILED})
    found += [Box(describe(code), "images", RETRY) for code in codes]
    return found


def _problem_box(case: Case, user: Any, site: str) -> Box:
    problem, kind = describe(case.problem_code, case.problem_facts), errors.find(case.problem_code).box
    if kind == "customer":
        fit = case.problem_facts.get("customers") or []
        return Box(problem, kind, CHANGE, list(Customer.objects.filter(pk__in=fit[:_SHOWN]).order_by("pk")))
    if kind == "insurer":
        return Box(problem, kind, CHANGE, list(InsuranceCompany.objects.filter(active=True).order_by("name")))
    return Box(problem, kind, RETRY, (), _elsewhere(case, case.problem_code, user, site))


def _elsewhere(case: Case, code: str, user: Any, site: str) -> list[tuple[str, str]]:
    """The best place where it is solved that is not this page, nothing where there is none."""
    places = (place for place in errors.find(code).at if place != places.CASE)
    return links(user, places, site, connection=case.connection, insurer=case.insurer)[:1]


def facts(case: Case, services: list[Service]) -> list[tuple[Any, Any, Any]]:
    """Label, value, and where it came from."""
    told, insurer = case.known, _("source: %(who)s") % {"who": case.insurer or _("Scalepoint")}
    reach = " · ".join(filter(None, (told.holder_phone, told.holder_mobile, told.holder_email)))
    closed = lifecycle.closing(case.lifecycle)
    ended = f"{moment(datetime.fromisoformat(closed['at']))} · {lifecycle.in_words(closed)}" if closed else ""
    policy = " · ".join(filter(None, (told.policy_number, told.number)))
    rows = [
        (_("Policyholder"), told.holder_name, insurer),
        (_("Phone and email"), reach, insurer),
        (_("Insurance company"), case.insurer, ""),
        (_("Policy and claim number"), policy, insurer),
        (_("Damage address"), told.place.line, insurer),
        (_("Damage type"), told.damage, insurer),
        (_("Date of loss"), told.accident_date and day(told.accident_date), insurer),
        (_("Responsibility"), told.responsibility, insurer),
        (_("Description"), told.damage_description, insurer),
        (_("Customer"), case.customer, ""),
        (_("Responsible user"), case.responsible, _origin(case, "responsible")),
        (_("Team"), case.team, _origin(case, "team")),
        (_("Deadline"), case.deadline and day(case.deadline), ""),
        (_("Task template"), _template_of(services), _origin(case, "task_template")),
        (_("Closed by Scalepoint"), ended, insurer if ended else ""),
    ]
    return [(label, value or NOTHING, origin if value else "") for label, value, origin in rows]


def _template_of(services: list[Service]) -> str:
    names = {str(each.task.template) for each in services if each.task and each.task.template}
    return ", ".join(sorted(names))


def _origin(case: Case, name: str) -> str:
    said = {
        "insurer": _("the insurance company"),
        "connection": _("default value"),
        "customer": _("the customer"),
        "task_template": _("the task template"),
    }
    origin = case.origins.get(name)
    changed = name in ("responsible", "team") and case.taken_at
    if not origin or changed:
        return ""
    return _("source: %(who)s") % {"who": said.get(origin, origin)}


def looking_too(case: Case, user: Any) -> list[str]:
    """Who else opened the page in the last minutes; writes down that this user did. A cache that is away tells
    nobody, and stops nothing."""
    key, now = f"scalepoint:looking:{case.pk}", time.time()
    try:
        seen = {who: at for who, at in (cache.get(key) or {}).items() if now - at[1] < _LOOKING}
        others = [name for who, (name, _at) in seen.items() if who != str(user.pk)]
        cache.set(key, {**seen, str(user.pk): (str(user), now)}, timeout=_LOOKING)
    except Exception:
        return []
    return others


class CasePage(BigTableAdmin):
    """What CaseAdmin is made of for its page. The form holds what the office may correct by hand; all else are
    buttons under /<id>/<action>/."""

    change_form_template = "scalepoint/case.html"
    autocomplete_fields = ("insurer", "customer")
    inlines = [*money.INLINES]
    readonly_fields = ("number", "connection", "created_at", "updated_at")
    fieldsets = (
        (gettext_lazy("Correct manually"), {"fields": ("status", "insurer", "customer")}),
        (
            gettext_lazy("About this case"),
            {"fields": ("number", "connection", "created_at", "updated_at"), "classes": ["collapse"]},
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        act, images = self.admin_site.admin_view(self.act), self.admin_site.admin_view(self.images_zip)
        return [
            path("<int:pk>/images.zip", images, name=f"{APP}_case_zip"),
            *(path(f"<int:pk>/{name}/", act, {"name": name}, name=f"{APP}_case_{name}") for name in ACTS),
            *super().get_urls(),
        ]

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        act = ACTS[name]
        allow(request, f"{APP}.view_case", act.needs)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        case = self._case(request, pk)
        try:
            if act.question and "confirmed" not in request.POST:
                return self._ask(request, case, name, act)
            self.message_user(request, act.do(request, case), messages.SUCCESS)
        except (Said, casework.NotPossible) as said:
            self.message_user(request, str(said), messages.WARNING)
        except QueueError as error:
            self.message_user(request, str(describe(error.code, error.facts)), messages.WARNING)
        return HttpResponseRedirect(self._url(pk))

    def _case(self, request: HttpRequest, pk: int) -> Case:
        case: Case | None = self.get_queryset(request).select_related("insurer").filter(pk=pk).first()
        if case is None:
            raise Http404
        return case

    def _url(self, pk: int) -> str:
        return reverse(f"admin:{APP}_case_change", args=[pk], current_app=self.admin_site.name)

    def _ask(self, request: HttpRequest, case: Case, name: str, act: Act) -> HttpResponse:
        told = _what_leaves(name, request, case)
        page = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": act.question,
            "media": self.media,
            "case": case,
            "act": act,
            "told": told,
            "form": ReasonForm() if name == "close" else None,
            "kept": [pair for pair in request.POST.items() if pair[0] != "csrfmiddlewaretoken"],
            "back": self._url(case.pk),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "scalepoint/case_confirm.html", page)

    def images_zip(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        allow(request, f"{APP}.view_case", IMAGES)
        case = self._case(request, pk)
        rows = TaskImage.objects.filter(task__scalepoint_service__case=case).order_by("pk")[:_ZIP_FILES]
        packed = tempfile.TemporaryFile()  # noqa: SIM115  the answer closes it
        left = _ZIP_BYTES
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as bundle:
            for place, image in enumerate(rows, 1):
                left -= image.size
                if left < 0:
                    break
                try:
                    with image.file.storage.open(str(image.file.name), "rb") as content:
                        bundle.writestr(_name_in_zip(place, image), content.read())
                except FileNotFoundError:
                    continue
        packed.seek(0)
        name = f"{slugify(str(case)) or case.pk}.zip"
        answer = FileResponse(packed, as_attachment=True, filename=name, content_type="application/zip")
        answer["Cache-Control"] = "private, no-store"
        answer["X-Content-Type-Options"] = "nosniff"
        return answer

    def save_model(self, request: HttpRequest, obj: Case, form: Any, change: bool) -> None:
        if "customer" in form.changed_data:
            obj.applied = {}  # what was written on the former one
        obj.taken_at = obj.taken_at or timezone.now()
        super().save_model(request, obj, form, change)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        case = kwargs.get("obj")
        if case is not None:
            context.update(self._page(request, case))
        return super().render_change_form(request, context, *args, **kwargs)

    def _page(self, request: HttpRequest, case: Case) -> dict[str, Any]:
        may = {
            name: request.user.has_perm(permission)
            for name, permission in (
                *(("change", CHANGE), ("retry", RETRY), ("send", SEND), ("anonymise", ANONYMISE)),
                *(("images", IMAGES), ("money", MONEY), ("raw", RAW), ("tasks", "scalepoint_tasks.view_task")),
                ("events", f"{APP}.view_inboundevent"),
            )
        }
        if may["change"] and case.unread:
            casework.mark(Case.objects.filter(pk=case.pk), unread=False)
        services = list(case.services.select_related("task__template").order_by("pk"))
        pulls = list(
            ImagePull.objects.filter(service__case=case).select_related("image").defer("content").order_by("pk")[:500]
        )
        shown = boxes(case, services, pulls, request.user, self.admin_site.name)
        kind, icon = LOOKS[Case.Status(case.status)]
        told = case.known
        open_case = case.is_open
        assign = AssignForm(initial={"responsible": case.responsible_id, "team": case.team_id})
        place = told.place.line
        events: list[Any] = list(InboundEvent.objects.filter(case=case).defer("body").order_by("-pk")[:_SHOWN])
        for event in events:
            event.words = event_page.in_words(event)
        return {
            "case": case,
            "may": may,
            "title": " · ".join(filter(None, (str(case), told.damage, place))),
            "subtitle": "",
            "look": {"kind": kind, "icon": icon, "word": case.get_status_display()},
            "overdue": open_case and case.deadline is not None and case.deadline < timezone.localdate(),
            "open_case": open_case,
            "looking": looking_too(case, request.user),
            "boxes": [(box, request.user.has_perm(box.needs)) for box in shown],
            "facts": facts(case, services),
            "place": place,
            "url": told.url if told.url.startswith("https://") else "",
            "services": services,
            "without_task": [service for service in services if service.task is None],
            "assign_form": assign,
            "deadline_form": DeadlineForm(initial={"deadline": case.deadline}),
            "note_form": NoteForm(auto_id="note_%s"),
            "invoice_form": InvoiceForm(auto_id="invoice_%s"),
            "pulls": pulls,
            "fetched": sum(pull.status == ImagePull.Status.DONE for pull in pulls),
            "files": list(case.attachments.order_by("-said_at", "-pk")[:_SHOWN]),
            "said": list(case.messages.order_by("-sent_at", "-pk")[:_SHOWN]),
            "told": list(case.case_notes.order_by("-said_at", "-pk")[:_SHOWN]),
            "notes": list(case.office_notes.select_related("author", "sending").order_by("-pk")[:_SHOWN]),
            "contacts": list(TaskContact.objects.filter(task__scalepoint_service__case=case).order_by("pk")[:_SHOWN]),
            "payments": list(case.payments.exclude(uuid="").order_by("pk")[:_SHOWN]) if may["money"] else [],
            "entries": timeline.of(case),
            "events": events,
        }


def _what_leaves(name: str, request: HttpRequest, case: Case) -> list[tuple[Any, Any]]:
    """What the reader sees before it leaves the house. Raises Said."""
    if name == "payment":
        payment, status = _payment_of(request, case)
        words = dict(payment._meta.get_field("status").choices)[status]
        amount = f"{payment.total or ''} {payment.currency}".strip()
        return [(_("Payment"), payment.uuid), (_("Amount"), amount), (_("Status"), words)]
    if name == "invoice":
        said = _valid(InvoiceForm(request.POST))
        labels = InvoiceForm.base_fields
        rows = [(labels[key].label, in_words(value)) for key, value in said.items()]
        sender = [(_("From"), case.connection.company_name), (_("To"), str(case.insurer or ""))]
        return rows + sender
    return []


def _name_in_zip(place: int, image: TaskImage) -> str:
    """Never the sender's own path."""
    kinds = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
    stem = slugify(PurePath(image.original_name).stem) or "image"
    return f"{place:03d}-{stem}{kinds.get(image.content_type, '.bin')}"
