"""The event log: what Scalepoint sent, what became of it, and what was refused. The third list, what we sent, is
outbound.py's; the tabs make the three one log for the reader."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from crm.formats import NOTHING, when
from scalepoint_integration import errors, events, queues
from scalepoint_integration.admin import event_page
from scalepoint_integration.admin.big_tables import BigTableAdmin, queue_state
from scalepoint_integration.admin.pages import allow
from scalepoint_integration.admin.places import links
from scalepoint_integration.errors import describe
from scalepoint_integration.handling import run
from scalepoint_integration.models import Case, Connection, InboundEvent, Refusal
from scalepoint_integration.models.heartbeat import alive
from scalepoint_integration.office import casework
from scalepoint_integration.workqueue.drain import drain

APP = "scalepoint_integration"
VIEW, RETRY, REPLAY, RAW = (
    f"{APP}.{name}" for name in ("view_inboundevent", "retry_event", "replay_event", "view_raw_payload")
)
# A number on a tab is counted no further than this.
_MANY = 999

Status = InboundEvent.Status


# ---- One log for the reader ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Tab:
    label: Any
    url: str
    count: str = ""
    here: bool = False


def log_tabs(request: HttpRequest, here: str) -> list[Tab]:
    """The tabs of the three lists, those that the reader may open. ``here``: failed, waiting, today, all, refused,
    sent."""
    inbound, refused, sent = (
        reverse(f"admin:{APP}_{name}_changelist") for name in ("inboundevent", "refusal", "outboundevent")
    )
    events, user = InboundEvent.objects, request.user
    tabs = []
    if user.has_perm(VIEW):
        tabs += [
            Tab(_("Failed"), f"{inbound}?tab=failed", _count(events.filter(_TABS["failed"]())), here == "failed"),
            Tab(_("Waiting"), f"{inbound}?tab=waiting", _count(events.filter(_TABS["waiting"]())), here == "waiting"),
        ]
    if user.has_perm(f"{APP}.view_refusal"):
        tabs.append(Tab(_("Refused"), refused, _count(Refusal.objects.all()), here == "refused"))
    if user.has_perm(VIEW):
        tabs.append(Tab(_("Today"), f"{inbound}?tab=today", here=here == "today"))
        tabs.append(Tab(_("All"), inbound, here=here == "all"))
    if user.has_perm(f"{APP}.view_outboundevent"):
        tabs.append(Tab(_("Sent by us"), sent, here=here == "sent"))
    return tabs


def _count(rows: "QuerySet[Any]") -> str:
    found = len(rows.order_by().values_list("pk")[: _MANY + 1])
    return f"{_MANY}+" if found > _MANY else str(found)


def _today() -> Q:
    return Q(received_at__gte=timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0))


_TABS: dict[str, Callable[[], Q]] = {
    "failed": lambda: Q(status=Status.FAILED),
    "waiting": lambda: Q(status=Status.PENDING),
    "today": _today,
}


class ReadOnlyAdmin(BigTableAdmin):
    """A list of the log. ``log_tab`` is the tab that it is."""

    change_list_template = "scalepoint/event_list.html"
    log_tab = "all"

    class Media:
        css = {"all": ["scalepoint/event.css"]}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        here = request.GET.get("tab", "") if self.log_tab == "all" else ""
        tabs = log_tabs(request, here if here in _TABS else self.log_tab) if self.has_view_permission(request) else []
        return super().changelist_view(request, {"tabs": tabs, "title": _("Event log"), **(extra_context or {})})

    @admin.display(description=_("direction"))
    def direction(self, row: Any) -> SafeString:
        return format_html('<span aria-hidden="true">⇦</span> {}', pgettext_lazy("direction", "in"))


class TabFilter(admin.SimpleListFilter):
    """The tab in the address. It stands above the list and not among the filters."""

    title = _("tab")
    parameter_name = "tab"
    template = "scalepoint/no_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, name) for name in _TABS]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        condition = _TABS.get(self.value() or "")
        return queryset.filter(condition()) if condition else queryset


class TypeFilter(admin.SimpleListFilter):
    title = _("what happened")
    parameter_name = "event_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, events.words(name)) for name in events.EVENTS]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(event_type=self.value()) if self.value() else queryset


class CodeFilter(admin.SimpleListFilter):
    """Only what is not handled has a code; saying so lets the index on the status find it."""

    title = _("error")
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(row.code, describe(row).what) for row in errors.CATALOGUE.values() if row.on_event]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() is None:
            return queryset
        unfinished = (Status.FAILED, Status.PENDING, Status.IGNORED)
        return queryset.filter(error_code=self.value(), status__in=unfinished)


class InsurerFilter(admin.RelatedOnlyFieldListFilter):
    """All companies: asking which of them the events name would read every event."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        choices: list[tuple[str, Any]] = field.get_choices(include_blank=False)
        return choices


class IgnoreForm(forms.Form):
    because = forms.CharField(label=_("Why do you want to ignore this event?"), max_length=300)


class TieForm(forms.Form):
    """The case to tie an event to, by its whole number or Scalepoint's id."""

    number = forms.CharField(label=_("Case number"), max_length=100)

    def __init__(self, *args: Any, event: InboundEvent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.event = event
        self.case: Case | None = None

    def clean_number(self) -> str:
        number: str = self.cleaned_data["number"].strip()
        rows = Case.objects.filter(
            Q(number=number) | Q(case_id=number.lower()), connection=self.event.connection_id
        ).select_related("insurer")
        if self.event.insurer_id:
            # One company's event must not write on another company's case.
            rows = rows.filter(Q(insurer=None) | Q(insurer=self.event.insurer_id))
        found = list(rows[:2])
        if not found:
            raise forms.ValidationError(_("This insurance company has no case with that number."))
        if len(found) > 1:
            raise forms.ValidationError(_("Several cases have that number. Use Scalepoint's case id instead."))
        self.case = found[0]
        return number


class InboundEventAdmin(ReadOnlyAdmin):
    change_form_template = "scalepoint/event.html"
    # How long to wait stands in the status: the list is wide enough.
    list_display = ("time", "direction", "what", "case_number", "state", "button", "insurer", "attempts")
    list_display_links = ("time", "what")
    list_select_related = ("insurer", "connection")
    list_filter = (
        TabFilter,
        TypeFilter,
        ("insurer", InsurerFilter),
        CodeFilter,
        "source",
        "received_at",
        "status",
    )
    search_fields = (
        "case_number__exact",
        "service_reference__exact",
        "correlation_id__exact",
        "vendor_id__exact",
    )
    search_help_text = _("Enter the full case number, service reference, correlation id or event id")
    actions = ["retry", "replay"]
    fields = ("state",)
    readonly_fields = ("state",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body", "connection__secret", "connection__client_secret")

    def get_urls(self) -> Any:
        names = ("retry", "replay", "ignore", "same", "tie", "make_case", "report", "raw")
        wrap = self.admin_site.admin_view
        pages = [
            path(f"<int:pk>/{name}/", wrap(getattr(self, f"{name}_view")), name=f"{APP}_inboundevent_{name}")
            for name in names
        ]
        now = path("handle-now/", wrap(self.handle_now_view), name=f"{APP}_inboundevent_handle_now")
        return [now, *pages, *super().get_urls()]

    # ---- The list --------------------------------------------------------------------------------------------------
    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        told = [event.pk for event in changes.result_list if event.event_type in events.DETAILED]
        # How a case was closed stands in the content alone: read for these rows, and in one go.
        closings = InboundEvent.objects.only("body").in_bulk(told) if told else {}
        for event in changes.result_list:
            closing = closings.get(event.pk)
            event.words = event_page.in_words(event, closing.content() if closing else None)
            event.may_retry = event.status == Status.FAILED and request.user.has_perm(RETRY)
        return changes

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        extra = {"stopped": _stopped(), "may_retry": request.user.has_perm(RETRY), "it": describe(errors.JOB_STOPPED)}
        return super().changelist_view(request, {**extra, **(extra_context or {})})

    @admin.display(description=_("time"), ordering="id")
    def time(self, event: InboundEvent) -> Any:
        return when(event.received_at)

    @admin.display(description=_("what happened"))
    def what(self, event: InboundEvent) -> str:
        words: str = getattr(event, "words", "")
        return words or event_page.in_words(event)

    @admin.display(description=_("status"))
    def state(self, event: InboundEvent) -> SafeString:
        return event_state(event)

    @admin.display(description=_("action"))
    def button(self, event: InboundEvent) -> Any:
        if not getattr(event, "may_retry", False):
            return ""
        # The list is one form, so the button names its own address.
        return format_html(
            '<button type="submit" class="button" formmethod="post" formaction="{}">{}'
            '<span class="sp-hidden"> {}</span></button>',
            self._url("retry", event),
            _("Retry"),
            event,
        )

    @admin.action(description=_("Retry the selected events"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: "QuerySet[InboundEvent]") -> None:
        self._tell_retried(request, run.retry(queryset, request.user))

    @admin.action(description=_("Replay the selected events, including handled ones"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: "QuerySet[InboundEvent]") -> None:
        made = 0
        for event in queryset:
            try:
                run.replay(event)
                made += 1
            except run.NotReplayable as error:
                self.message_user(request, f"{event}: {error}", messages.WARNING)
        if made:
            self.message_user(
                request, ngettext("%d event is being replayed.", "%d events are being replayed.", made) % made
            )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(RETRY))

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(REPLAY))

    # ---- The page --------------------------------------------------------------------------------------------------
    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        event = InboundEvent.objects.select_related("case", "insurer", "connection", "replay_of").get(pk=obj.pk)
        return super().render_change_form(
            request, {**context, **self._page(request, event)}, add, change, form_url, obj
        )

    def _page(self, request: HttpRequest, event: InboundEvent, **forms_given: Any) -> dict[str, Any]:
        body = event.content()
        problem = describe(event.error_code, event.error_facts) if event.error_code else None
        why_not = replay_refused(event)
        may_retry, may_replay = request.user.has_perm(RETRY), request.user.has_perm(REPLAY)
        retryable = body is not None and (event.status == Status.IGNORED or _ignorable(event))
        others = _failed_lately(event)
        same = _same_cause(event)
        return {
            "event": event,
            "title": event_page.in_words(event, body),
            "subtitle": None,
            "state": event_state(event),
            "problem": problem,
            "box": "sp-box-bad" if event.status == Status.FAILED else "sp-box-wait",
            "ignored_because": event.ignored_because if event.status == Status.IGNORED else "",
            "notes": [describe(code) for code in notices_of(event)],
            "duplicate": errors.DUPLICATE.code,
            "todo": todo_steps(problem, may_retry and retryable and event.error_code != errors.NO_CASE_NUMBER.code)
            if problem
            else [],
            "links": event_page.where_to_go(event, request.user),
            "steps": event_page.steps(event),
            "tries": [
                (each, when(each.at), describe(each.error_code).what if each.error_code else "")
                for each in event.tries.select_related("retried_by")
            ],
            "next_attempt": when(event.available_at) if event.status == Status.PENDING and event.error_code else "",
            "readable": event_page.readable(body) if body is not None else None,
            "raw": event_page.pretty(body) if body is not None and request.user.has_perm(RAW) else "",
            "may_raw": request.user.has_perm(RAW),
            "facts": _technical(event),
            "replays": list(event.replays.only("pk", "event_type", "case_number", "received_at")[:20]),
            "report": event_page.report(event),
            "others": others,
            "same": same if may_retry else 0,
            "may_retry": may_retry and retryable,
            "may_ignore": may_retry and _ignorable(event),
            "may_tie": may_retry and event.error_code == errors.NO_CASE_NUMBER.code and event.status == Status.FAILED,
            "may_replay": may_replay,
            "why_not": why_not,
            "ignore_form": IgnoreForm(),
            "tie_form": TieForm(event=event),
            **forms_given,
        }

    # ---- What a person does with one event -------------------------------------------------------------------------
    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, pk, RETRY, self._retry)

    def _retry(self, request: HttpRequest, event: InboundEvent) -> None:
        if event.body is None:
            self.message_user(request, _gone(), messages.WARNING)
        else:
            self._tell_retried(request, run.retry_now(InboundEvent.objects.filter(pk=event.pk), request.user))

    def same_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, pk, RETRY, self._retry_same)

    def _retry_same(self, request: HttpRequest, event: InboundEvent) -> None:
        self._tell_retried(request, run.retry(_alike(event), request.user))

    def ignore_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, pk, RETRY, self._ignore)

    def _ignore(self, request: HttpRequest, event: InboundEvent) -> Any:
        form = IgnoreForm(request.POST)
        if not form.is_valid():
            return {"ignore_form": form}
        if run.ignore(InboundEvent.objects.filter(pk=event.pk), form.cleaned_data["because"]):
            self.message_user(request, _("The event was ignored."))
        else:
            self.message_user(request, _("Only a failed or waiting event can be ignored."), messages.WARNING)
        return None

    def tie_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, pk, RETRY, self._tie)

    def _tie(self, request: HttpRequest, event: InboundEvent) -> Any:
        form = TieForm(request.POST, event=event)
        if not form.is_valid():
            return {"tie_form": form}
        if form.case:
            linked = casework.link_event(event, request.user, form.case)
            self._tell_linked(request, form.case if linked else None)
        return None

    def make_case_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, pk, RETRY, self._make_case)

    def _make_case(self, request: HttpRequest, event: InboundEvent) -> None:
        self._tell_linked(request, casework.create_case(event, request.user))

    def _tell_linked(self, request: HttpRequest, case: Case | None) -> None:
        if case:
            self.message_user(
                request, gettext("The event was linked to case %(case)s and is being retried.") % {"case": case}
            )
        else:
            self.message_user(request, _("This event can't be linked to a case."), messages.WARNING)

    def replay_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks, POST does it. The original is never changed: a replay is a new line."""
        allow(request, VIEW, REPLAY)
        event = self._get(pk)
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "title": gettext("Replay"),
                "event": event,
                "words": event_page.in_words(event, event.content()),
                "why_not": replay_refused(event),
                "handled": event.status == Status.DONE,
                "changed": event_page.changed_settings(event),
            }
            return TemplateResponse(request, "scalepoint/event_replay.html", context)
        try:
            made = run.replay(event)
        except run.NotReplayable as error:
            self.message_user(request, str(error), messages.WARNING)
            return HttpResponseRedirect(self._url("change", event))
        self.message_user(request, ngettext("%d event is being replayed.", "%d events are being replayed.", 1) % 1)
        return HttpResponseRedirect(self._url("change", made))

    def report_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        allow(request, VIEW)
        return _download(event_page.report(self._get(pk)), f"event-{pk}.txt", "text/plain; charset=utf-8")

    def raw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        allow(request, VIEW, RAW)
        event = self._get(pk)
        if event.body is None:
            self.message_user(request, _gone(), messages.WARNING)
            return HttpResponseRedirect(self._url("change", event))
        return _download(event.content() or b"", f"event-{pk}.json", "application/json")

    def handle_now_view(self, request: HttpRequest) -> HttpResponse:
        return require_POST(self._handle_now)(request)

    def _handle_now(self, request: HttpRequest) -> HttpResponse:
        allow(request, VIEW, RETRY)
        count = drain(queues.EVENTS)
        self.message_user(request, ngettext("%d event was handled.", "%d events were handled.", count) % count)
        return HttpResponseRedirect(reverse(f"admin:{APP}_inboundevent_changelist"))

    def _do(
        self, request: HttpRequest, pk: int, permission: str, act: Callable[[HttpRequest, InboundEvent], Any]
    ) -> HttpResponse:
        """POST alone, with the permission. What ``act`` returns is a form filled in wrongly: then the page again."""

        @require_POST
        def view(request: HttpRequest) -> HttpResponse:
            allow(request, VIEW, permission)
            event = self._get(pk)
            wrong = act(request, event)
            if not wrong:
                return HttpResponseRedirect(self._url("change", event))
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "original": event,
                **self._page(request, event, **wrong),
            }
            return TemplateResponse(request, self.change_form_template, context)

        answer: HttpResponse = view(request)
        return answer

    def _get(self, pk: int) -> InboundEvent:
        rows = InboundEvent.objects.select_related("case", "insurer", "connection", "replay_of")
        return get_object_or_404(rows.defer("connection__secret", "connection__client_secret"), pk=pk)

    def _url(self, page: str, event: InboundEvent) -> str:
        return reverse(f"admin:{APP}_inboundevent_{page}", args=[event.pk])

    def _tell_retried(self, request: HttpRequest, count: int) -> None:
        said = ngettext("%d event is being retried.", "%d events are being retried.", count) % count
        self.message_user(request, said, messages.SUCCESS if count else messages.WARNING)


def event_state(event: InboundEvent) -> SafeString:
    """The status, its cause, and beside it what came again and what is worth knowing."""
    shown = queue_state(event)
    if event.status == Status.IGNORED and event.ignored_because:
        shown = format_html('{}<span class="because">{}</span>', shown, event.ignored_because)
    if event.status == Status.PENDING and event.connection.switch != Connection.Switch.ON:
        shown = format_html('{}<span class="because">{}</span>', shown, _("The connection is not turned on."))
    if event.duplicates:
        shown = format_html('{} <span class="state"><span aria-hidden="true">≡</span> {}</span>', shown, _("Duplicate"))
    if event.notice:
        shown = format_html('{}<span class="because">{}</span>', shown, describe(event.notice).what)
    return shown


def notices_of(event: InboundEvent) -> list[str]:
    """Codes of what is worth knowing although nothing is wrong."""
    return [*([errors.DUPLICATE.code] if event.duplicates else []), *([event.notice] if event.notice else [])]


def replay_refused(event: InboundEvent) -> str:
    """Why the event can't be run again now, "" where it can. run.replay asks again, under a lock."""
    origin = event.replay_of or event
    if origin.body is None:
        return _gone()
    waiting = InboundEvent.objects.filter(Q(pk=origin.pk) | Q(replay_of=origin), status=Status.PENDING)
    first = waiting.order_by("pk").first()
    if first is None:
        return ""
    if first.error_code:
        return gettext("The event is waiting for its next attempt. Press Retry, or wait.")
    return gettext("The event is being handled or is waiting its turn.")


def _gone() -> str:
    return gettext("The content was deleted by the retention rule and can't be replayed.")


def _ignorable(event: InboundEvent) -> bool:
    return event.status == Status.FAILED or bool(event.status == Status.PENDING and event.error_code)


def todo_steps(problem: Any, with_button: bool) -> list[str]:
    """What to do, sentence by sentence; the last step is the button, where the text has not named it."""
    found = [part.strip().rstrip(".") + "." for part in problem.todo.split(". ") if part.strip()]
    if with_button and problem.who and gettext("Retry") not in problem.todo:
        found.append(gettext("Then press Retry."))
    return found


def _alike(event: InboundEvent) -> "QuerySet[InboundEvent]":
    """The failed events with the very same cause, this one among them."""
    return InboundEvent.objects.filter(
        status=Status.FAILED, error_code=event.error_code, error_facts=event.error_facts, connection=event.connection_id
    )


def _same_cause(event: InboundEvent) -> int:
    if event.status != Status.FAILED or not event.error_code:
        return 0
    return len(_alike(event).exclude(body=None).values_list("pk")[:10_000])


def _failed_lately(event: InboundEvent) -> int:
    """How many other events of the connection failed within a day: one that was run by hand and went well must not
    hide them."""
    lately = InboundEvent.objects.filter(status=Status.FAILED, finished_at__gt=timezone.now() - timedelta(days=1))
    return len(lately.filter(connection=event.connection_id).exclude(pk=event.pk).values_list("pk")[:_MANY])


def _stopped() -> int:
    """How many events wait because the background job does not run; 0 while it does."""
    now = timezone.now()
    if alive(now):
        return 0
    due = InboundEvent.objects.filter(
        status=Status.PENDING, available_at__lte=now, connection__switch=Connection.Switch.ON
    )
    return len(due.values_list("pk")[: _MANY + 1])


def _technical(event: InboundEvent) -> list[tuple[Any, Any]]:
    """Name and value of what only a technician asks for."""
    took = (event.finished_at - event.received_at).total_seconds() if event.finished_at else None
    origin: Any = NOTHING
    if event.replay_of_id:
        address = reverse(f"admin:{APP}_inboundevent_change", args=[event.replay_of_id])
        origin = format_html('<a href="{}">{}</a>', address, event.replay_of)
    return [
        (_("event type"), event.event_type),
        (_("our id"), event.pk),
        (_("Scalepoint's event id"), event.vendor_id or NOTHING),
        (_("correlation id"), event.correlation_id or NOTHING),
        (_("version"), event.payload_version or NOTHING),
        (_("connection"), event.connection),
        (_("source"), event.get_source_display()),
        (_("service reference"), event.service_reference or NOTHING),
        (_("size in bytes"), event.size),
        (_("occurred"), when(event.occurred_at)),
        (_("received"), when(event.received_at)),
        (_("finished"), when(event.finished_at)),
        (
            _("from received to finished"),
            gettext("%(seconds).1f seconds") % {"seconds": took} if took is not None else NOTHING,
        ),
        (_("attempts"), event.attempts),
        (_("received again"), event.duplicates),
        (_("last received again"), when(event.duplicate_at)),
        (_("replay of"), origin),
    ]


def _download(content: str | bytes, name: str, kind: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type=kind, headers=headers)


# ---- What was refused ---------------------------------------------------------------------------------------------
class RefusalAdmin(ReadOnlyAdmin):
    change_form_template = "scalepoint/refusal.html"
    log_tab = "refused"
    list_display = ("time", "direction", "what", "state", "remote_address", "token_last4", "size", "connection")
    list_display_links = ("time", "what")
    list_select_related = ("connection",)
    list_filter = ("http_status", "received_at")
    search_fields = ("incident__exact",)
    search_help_text = _("Enter the full incident number")
    fields = ("what",)
    readonly_fields = ("what",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body", "connection__secret", "connection__client_secret")

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        report = path("<int:pk>/report/", wrap(self.report_view), name=f"{APP}_refusal_report")
        return [report, *super().get_urls()]

    @admin.display(description=_("time"), ordering="id")
    def time(self, refusal: Refusal) -> Any:
        return when(refusal.received_at)

    @admin.display(description=_("what happened"))
    def what(self, refusal: Refusal) -> str:
        return describe(refusal.code, {"last4": refusal.token_last4 or "…"}).what

    @admin.display(description=_("status"))
    def state(self, refusal: Refusal) -> SafeString:
        return refused_badge(refusal)

    def report_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        allow(request, f"{APP}.view_refusal")
        refusal = get_object_or_404(Refusal, pk=pk)
        return _download(_refusal_report(refusal), f"refusal-{pk}.txt", "text/plain; charset=utf-8")

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        refusal: Refusal = obj
        problem = describe(refusal.code, {"last4": refusal.token_last4 or "…"})
        may_raw = request.user.has_perm(RAW)
        shown = {
            "title": problem.what,
            "subtitle": None,
            "state": refused_badge(refusal),
            "problem": problem,
            "todo": todo_steps(problem, False),
            "links": links(request.user, errors.find(refusal.code).at, connection=refusal.connection),
            "facts": [
                (_("received"), when(refusal.received_at)),
                (_("response"), refusal.http_status),
                (_("error code"), refusal.code),
                (_("technical reason"), refusal.detail or NOTHING),
                (_("address"), refusal.remote_address or NOTHING),
                (_("token ends with"), refusal.token_last4 or NOTHING),
                (_("size in bytes"), NOTHING if refusal.size is None else refusal.size),
                (_("connection"), refusal.connection or NOTHING),
                (_("incident"), refusal.incident),
            ],
            "report": _refusal_report(refusal),
            "may_raw": may_raw,
            "raw": (refusal.content() or b"").decode("utf-8", "replace") if may_raw else "",
        }
        return super().render_change_form(request, {**context, **shown}, add, change, form_url, obj)


def refused_badge(refusal: Refusal) -> SafeString:
    return format_html(
        '<span class="state state-bad"><span aria-hidden="true">✖</span> {}</span>',
        pgettext_lazy("status of an event", "Refused"),
    )


def _refusal_report(refusal: Refusal) -> str:
    """For Scalepoint and for support. Never what was sent."""
    return "\n".join(
        (
            "Scalepoint report of a refused request",
            f"incident: {refusal.incident}",
            f"received: {refusal.received_at.isoformat(timespec='seconds')}",
            f"answer: {refusal.http_status} {refusal.code}",
            f"reason: {refusal.detail or '-'}",
            f"from: {refusal.remote_address or '-'}",
            f"size: {'-' if refusal.size is None else refusal.size} bytes",
        )
    )


def register(site: admin.AdminSite) -> None:
    site.register(InboundEvent, InboundEventAdmin)
    site.register(Refusal, RefusalAdmin)
