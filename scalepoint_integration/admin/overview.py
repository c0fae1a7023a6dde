"""Screen 1, the front page: is it working, and what must I do today? The numbers are figures.py's."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from crm.admin.base import badge
from crm.formats import day, duration, when
from crm.history import Entry
from crm.models import InsuranceCompany
from scalepoint_integration import errors, places, queues
from scalepoint_integration.admin.caselist import LOOKS
from scalepoint_integration.admin.pages import PageAdmin, allow
from scalepoint_integration.admin.places import links as links_to
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, Connection, Overview, heartbeat
from scalepoint_integration.office import figures
from scalepoint_integration.office.connections import State, connection_state, turn_switch
from scalepoint_integration.office.figures import Scope
from scalepoint_integration.office.silence import Silence, silent
from scalepoint_integration.workqueue.drain import drain

_APP = "scalepoint_integration"
_SILENCE_KEPT = 300
_LOOK = {
    State.READY: ("good", "✔"),
    State.MISSING: ("bad", "✖"),
    State.WAITING: ("busy", "◌"),
    State.PAUSED: ("wait", "❚❚"),
    State.OFF: ("", "✖"),
    State.ERROR: ("bad", "⚠"),
}
_KINDS = {
    "+": pgettext_lazy("this row was", "created"),
    "~": pgettext_lazy("this row was", "changed"),
    "-": pgettext_lazy("this row was", "deleted"),
}


def state_badge(state: State) -> SafeString:
    return badge(*_LOOK[state], state.label)


@dataclass(frozen=True, slots=True)
class Link:
    label: Any
    url: str


@dataclass(frozen=True, slots=True)
class Counter:
    label: Any
    number: int
    kind: str  # of the box: "bad", "wait" or ""; only where the number is not 0
    icon: str
    url: str


@dataclass(frozen=True, slots=True)
class Bar:
    """In the units of the drawing, as text: a language's thousands separator is no number in SVG."""

    x: str
    y: str
    height: str
    day: str
    number: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Days beside each other. The drawing is 100 high, and 10 wide per day."""

    title: Any
    heading: Any  # of the column of numbers, for those who do not see the drawing
    width: str
    bars: list[Bar]
    total: int
    most: int


@dataclass(frozen=True, slots=True)
class Share:
    name: Any
    number: int
    width: str  # of 100


@dataclass(frozen=True, slots=True)
class Alert:
    """A bar on top. ``steps`` is what the reader can do, unfolded on request."""

    kind: str
    icon: str
    what: str
    todo: str
    links: list[Link]
    steps: list[Link]


class OverviewAdmin(PageAdmin):
    page_template = "scalepoint/overview.html"
    title = _("Overview")

    class Media:
        css = {"all": ["scalepoint/overview.css"]}

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = f"{_APP}_overview"
        return [
            path("handle/", wrap(self.handle_now), name=f"{name}_handle"),
            path("<int:pk>/switch/", wrap(self.turn_switch), name=f"{name}_switch"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest) -> dict[str, Any]:
        now = timezone.now()
        companies = list(InsuranceCompany.objects.order_by("name", "pk").only("name")[:200])
        scope = _scope(request, now, {company.pk for company in companies})
        connections = list(Connection.objects.select_related("poller_state", "default_values").order_by("pk"))
        alive = heartbeat.alive(now)
        numbers = figures.counters(scope, request.user.pk)
        speed = figures.durations(scope)
        return {
            "scope": scope,
            "periods": figures.PERIODS,
            "companies": companies,
            "connections": [(each, state_badge(connection_state(each, now))) for each in connections],
            "nothing": state_badge(State.MISSING),
            "may_switch": request.user.has_perm(f"{_APP}.change_connection"),
            "setup": next(iter(_places(request, (places.SETUP,))), None),
            "last_event": when(figures.last_event(scope)),
            "empty": not figures.received_any(scope),
            "alerts": _stuck(request, scope) + _silent(request, connections, now),
            "stopped": _stopped(request, connections) if not alive else None,
            "may_handle": request.user.has_perm(f"{_APP}.retry_event"),
            "counters": _counters(request, scope, numbers),
            "charts": [
                _chart(_("Cases per day"), _("cases"), figures.cases_per_day(scope)),
                _chart(_("Errors per day"), _("errors"), figures.errors_per_day(scope)),
            ],
            "shares": _shares(figures.cases_per_insurer(scope)),
            "speed": [
                (_("From received to task, median"), duration(speed.to_task)),
                (_("From received to task, longest"), duration(speed.to_task_longest)),
                (_("Until a person took the case, median"), duration(speed.to_person)),
            ],
            "mine": [_mine(request, case, scope.today) for case in figures.my_cases(scope, request.user.pk)],
            "mine_count": numbers["mine"],
            "mine_url": _cases_url(request, "mine", scope),
            "changes": [_change(each) for each in figures.changes(scope, self._visible(request))],
        }

    def _visible(self, request: HttpRequest) -> list[type[Any]]:
        """The models whose changes the reader may know of: those whose pages are open to them."""
        ours = ("scalepoint_crm", "scalepoint_tasks", _APP)
        registry = self.admin_site._registry.items()
        return [
            model for model, page in registry if model._meta.app_label in ours and page.has_view_permission(request)
        ]

    def handle_now(self, request: HttpRequest) -> HttpResponse:
        """Do the background job's work once, here. What it leaves (images, sendings) waits for the job itself."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        allow(request, f"{_APP}.view_overview", f"{_APP}.retry_event")
        count = drain(queues.EVENTS)
        self.message_user(
            request,
            ngettext("%d event was handled.", "%d events were handled.", count) % count,
            messages.SUCCESS if count else messages.INFO,
        )
        return HttpResponseRedirect(reverse(f"admin:{_APP}_overview_changelist"))

    def turn_switch(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put the connection on hold, or switch it on; switching off stays on its own page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        allow(request, f"{_APP}.view_overview", f"{_APP}.change_connection")
        wanted = request.POST.get("to")
        if wanted not in (Connection.Switch.ON, Connection.Switch.PAUSED):
            return HttpResponseBadRequest()
        connection = get_object_or_404(Connection, pk=pk)
        with transaction.atomic():
            if turn_switch(connection, request.user, Connection.Switch(wanted)):
                self.log_change(request, connection, [{"changed": {"fields": ["switch"]}}])
        if wanted == Connection.Switch.ON:
            told = gettext("The connection was turned on. Everything stored in the meantime is now being handled.")
        else:
            told = gettext("The connection is paused. Cases are stored and will be processed when you turn it on.")
        self.message_user(request, told, messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"admin:{_APP}_overview_changelist"))


def _scope(request: HttpRequest, now: datetime, known: set[int]) -> Scope:
    """As the reader filtered. What nobody offers is not asked for."""
    days, company = request.GET.get("days", ""), request.GET.get("insurer", "")
    periods = {str(each): each for each in figures.PERIODS}
    insurers = {str(each): each for each in known}
    return Scope(now, periods.get(days, 30), insurers.get(company))


def _link(request: HttpRequest, label: Any, page: str, permission: str, *args: Any, **query: Any) -> Link | None:
    """None where the reader may not go there, or the host left the page out."""
    if not request.user.has_perm(permission):
        return None
    try:
        url = reverse(f"admin:{page}", args=args)
    except NoReverseMatch:
        return None
    asked = {name: value for name, value in query.items() if value is not None}
    return Link(label, f"{url}?{urlencode(asked)}" if asked else url)


def _places(request: HttpRequest, found: Iterable[places.Place]) -> list[Link]:
    return [Link(label, address) for label, address in links_to(request.user, found)]


def _cases_url(request: HttpRequest, tab: str, scope: Scope, **query: Any) -> str:
    asked = {"tab": tab, "insurer": scope.insurer, **query}
    link = _link(request, "", f"{_APP}_case_changelist", f"{_APP}.view_case", **asked)
    return link.url if link else ""


def _events_url(request: HttpRequest, scope: Scope, **query: Any) -> str:
    asked = {"status__exact": "failed", "source__in": "push,poll", "insurer__id__exact": scope.insurer, **query}
    link = _link(request, "", f"{_APP}_inboundevent_changelist", f"{_APP}.view_inboundevent", **asked)
    return link.url if link else ""


def _counters(request: HttpRequest, scope: Scope, numbers: dict[str, int]) -> list[Counter]:
    def of_cases(label: Any, tab: str, kind: str, icon: str) -> Counter:
        number = numbers[tab]
        return Counter(label, number, kind if number else "", icon if number else "✔", _cases_url(request, tab, scope))

    failed = figures.failed_events(scope)
    return [
        of_cases(_("Needs action"), "needs_action", "bad", "⚠"),
        of_cases(_("New cases"), "new", "", "●"),
        of_cases(_("Unassigned"), "unassigned", "wait", "●"),
        of_cases(pgettext("cases", "Overdue"), "overdue", "bad", "⚠"),
        Counter(
            _("Failed events"),
            failed,
            "bad" if failed else "",
            "✖" if failed else "✔",
            _events_url(request, scope),
        ),
    ]


def _stuck(request: HttpRequest, scope: Scope) -> list[Alert]:
    """A red bar per cause, with the way to where it is solved and the way to what waits for it."""
    alerts = []
    for cause in figures.causes(scope):
        problem = describe(cause.code, cause.facts)
        # A fact that is another one in each case is left out, with the brackets it would stand in.
        said = {"count": cause.count, "what": problem.what.replace(" (…)", "")}
        # The best place that is not the case itself: the way to that one comes next.
        links: list[Link | None] = [*_places(request, errors.find(cause.code).at)[:1]]
        if cause.of_cases:
            what = ngettext(
                "%(count)d case could not be finished: %(what)s.",
                "%(count)d cases could not be finished: %(what)s.",
                cause.count,
            )
            links.append(_to_cases(request, cause, scope))
        else:
            what = ngettext("%(count)d event failed: %(what)s.", "%(count)d events failed: %(what)s.", cause.count)
            url = _events_url(request, scope, error_code__exact=cause.code)
            links.append(Link(_("See the events"), url) if url else None)
        who = f" {gettext('Who can')}: {problem.who}." if problem.who else ""
        alerts.append(Alert("bad", "⚠", what % said, f"{problem.todo}.{who}", [each for each in links if each], []))
    return alerts


def _to_cases(request: HttpRequest, cause: figures.Cause, scope: Scope) -> Link | None:
    if not request.user.has_perm(f"{_APP}.view_case"):
        return None
    if cause.case:
        return Link(_("Open the case"), reverse(f"admin:{_APP}_case_change", args=[cause.case]))
    return Link(_("See the cases"), _cases_url(request, "needs_action", scope, problem_code__exact=cause.code))


def _stopped(request: HttpRequest, connections: list[Connection]) -> dict[str, Any] | None:
    """The background job does not run: what that means, and what to write to IT."""
    if all(each.switch == Connection.Switch.OFF for each in connections):
        return None
    count = figures.waiting_events()
    problem = describe(errors.JOB_STOPPED)
    waits = ngettext(
        "%(count)d event is waiting because the background job is not running.",
        "%(count)d events are waiting because the background job is not running.",
        count,
    )
    mail = gettext(
        "Hello. The background job for Scalepoint on %(site)s has not been seen for two minutes. Events waiting: "
        "%(count)d. They are stored. Please check that the Celery worker and Celery beat are running."
    )
    return {
        "what": waits % {"count": count} if count else f"{problem.what}.",
        "todo": f"{problem.todo}.",
        "mail": mail % {"site": request.get_host(), "count": count},
    }


def _silences(connection: Connection, now: datetime) -> list[Silence]:
    """Asked anew every few minutes: it reads three months of events, and changes in days."""
    key = f"scalepoint:silent:{connection.pk}:{connection.switch}:{connection.default_values.silence_days}"
    with suppress(Exception):  # a cache that is away
        kept: list[Silence] | None = cache.get(key)
        if kept is not None:
            return kept
    found = silent(connection, now)
    with suppress(Exception):
        cache.set(key, found, _SILENCE_KEPT)
    return found


def _silent(request: HttpRequest, connections: list[Connection], now: datetime) -> list[Alert]:
    alerts = []
    for silence in (each for connection in connections for each in _silences(connection, now)):
        what = ngettext(
            "Nothing has been received from %(company)s for %(days)d working day.",
            "Nothing has been received from %(company)s for %(days)d working days.",
            silence.days,
        )
        usual = ngettext(
            "The usual gap is %(days)d working day.", "The usual gap is %(days)d working days.", silence.usual
        )
        steps = [
            Link(_("Check in Scalepoint whether there are cases from the company that are missing here."), ""),
            _link(
                request,
                _("Check that the company's security token is still valid."),
                "scalepoint_crm_insurancecompany_change",
                "scalepoint_crm.view_insurancecompany",
                silence.insurer.pk,
            ),
            _link(
                request,
                _("Check the refused requests: the company may be using a new token."),
                f"{_APP}_refusal_changelist",
                f"{_APP}.view_refusal",
            ),
            Link(_("If all of this looks right, ask the insurance company or Scalepoint."), ""),
        ]
        alerts.append(
            Alert(
                "wait",
                "⚠",
                what % {"company": silence.insurer.name, "days": silence.days},
                usual % {"days": silence.usual},
                [],
                [each for each in steps if each],
            )
        )
    return alerts


def _chart(title: Any, heading: Any, days: list[tuple[date, int]]) -> Chart:
    most = max((number for _day, number in days), default=0)
    bars = []
    for place, (date_of_bar, number) in enumerate(days):
        height = round(100 * number / most) if most else 0
        bars.append(Bar(str(place * 10 + 1), str(100 - height), str(height), day(date_of_bar), number))
    return Chart(title, heading, str(10 * len(days)), bars, sum(number for _day, number in days), most)


def _shares(rows: list[tuple[str | None, int]]) -> list[Share]:
    most = max((number for _name, number in rows), default=0)
    shown = []
    for name, number in rows:
        label: Any = _("Others") if name is None else name or _("Unknown")
        shown.append(Share(label, number, str(max(1, round(100 * number / most)))))
    return shown


def _mine(request: HttpRequest, case: Case, today: date) -> dict[str, Any]:
    may = request.user.has_perm(f"{_APP}.view_case")
    kind, icon = LOOKS[Case.Status(case.status)]
    return {
        "case": case,
        "url": reverse(f"admin:{_APP}_case_change", args=[case.pk]) if may else "",
        "state": badge(kind, icon, case.get_status_display()),
        "deadline": day(case.deadline),
        "late": case.deadline is not None and case.deadline < today,
    }


def _change(change: Entry) -> dict[str, Any]:
    meta = change.model._meta
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[change.pk])
    except NoReverseMatch:
        url = ""
    return {
        "at": when(change.at),
        "who": change.who or _("Scalepoint or the system"),
        "kind": capfirst(str(meta.verbose_name)),
        "name": change.name,
        "url": "" if change.kind == "-" else url,
        "word": _KINDS.get(change.kind, _KINDS["~"]),
        "what": change.what,
    }


def register(site: admin.AdminSite) -> None:
    site.register(Overview, OverviewAdmin)
