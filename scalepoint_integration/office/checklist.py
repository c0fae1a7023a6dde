"""The set-up list: how far a company is from its first real case. Computed from facts; nobody ticks anything.

>>> rows(connection, timezone.now(), "https://company.example/")     # ten rows, and those of settings CHECKLIST
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http.request import validate_host
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from crm.formats import moment
from crm.models import CustomerType, InsuranceCompany, SecurityToken
from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.errors import describe
from scalepoint_integration.fetching.addresses import is_local
from scalepoint_integration.models import Case, Connection, InboundEvent, ScalepointMail
from scalepoint_integration.models.heartbeat import alive

logger = logging.getLogger(__name__)


class Status(StrEnum):
    DONE = "done"
    MISSING = "missing"
    WAITING = "waiting"  # for Scalepoint
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Action:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """``text``: what should be so. ``who`` has the ball. ``proof``: the value or date that shows it, or what is
    lacking. ``problems``: what is wrong in whole sentences, where one line is not enough."""

    key: str
    status: Status
    text: str
    who: str
    proof: str = ""
    action: Action | None = None
    problems: tuple[str, ...] = ()


# What does not hold switching on back: the switch itself, and what can only come after it.
AFTERWARDS = ("switch", "first_case")


def rows(connection: Connection, now: datetime, base: str = "") -> list[Row]:
    """All rows, in order. ``base`` is the address under which the reader uses the site: what Scalepoint would be told
    where PUBLIC_BASE_URL is not set."""
    mail = connection.mails.select_related("sent_by").first()
    ours = [
        _switch(connection),
        _address(connection, now, base),
        _default_values(connection),
        _customer_rules(connection),
        _mail(connection, mail),
        _from_scalepoint(connection, mail),
        _insurers(connection, now),
        _test_case(connection),
        _first_case(connection),
        _told_of_errors(connection),
    ]
    return ours + _rows_of_the_host(connection, now)


def holding_back(found: Iterable[Row]) -> list[Row]:
    """What one should know before switching on."""
    return [row for row in found if row.status != Status.DONE and row.key not in AFTERWARDS]


def endpoint_address(connection: Connection, base: str) -> str:
    """Where Scalepoint sends to: under the public address of the site, else under the one the office uses."""
    path = reverse("scalepoint:endpoint", args=[connection.contract_number]) + "/"
    return (conf().public_base_url or base).rstrip("/") + path


def message_to_it(connection: Connection, row: Row, base: str) -> str:
    """What to write to whoever keeps the site, about the row of the address."""
    lines = [_("Scalepoint needs to send our insurance cases to this address:"), endpoint_address(connection, base), ""]
    if row.problems:
        lines += [_("Please fix the following:"), *(f"- {problem}" for problem in row.problems)]
    else:
        lines += [_("Please make sure that it can be reached from outside over https.")]
    return "\n".join(lines)


def _switch(connection: Connection) -> Row:
    off = connection.switch == Connection.Switch.OFF
    return Row(
        "switch",
        Status.MISSING if off else Status.DONE,
        _("The module is turned on"),
        _("You"),
        str(connection.get_switch_display()),
        _to(_("Change"), "connection_change", connection.pk),
    )


def _address(connection: Connection, now: datetime, base: str) -> Row:
    address = endpoint_address(connection, base)
    host = _host(address)
    problems = []
    if not address.startswith("https://"):
        problems.append(_("The address begins with http. Scalepoint can only send to https."))
    if is_local(host):
        problems.append(
            _("The address points to this computer or your own network (%(host)s). Scalepoint can't reach it.")
            % {"host": host or address}
        )
    if conf().public_base_url and not validate_host(host, settings.ALLOWED_HOSTS):
        problems.append(
            _("The site does not respond to its public name %(host)s (ALLOWED_HOSTS).") % {"host": host or address}
        )
    if not alive(now):
        problem = describe(errors.JOB_STOPPED)
        problems.append(f"{problem.what}. {problem.todo}.")
    status = Status.MISSING if problems else Status.DONE
    if not conf().public_base_url:
        problems.append(
            _(
                "The public name of the site is not set (SCALEPOINT_PUBLIC_BASE_URL), so the address is the one you "
                "are using now."
            )
        )
        status = Status.MISSING if status == Status.MISSING else Status.WARNING
    return Row("address", status, _("Your address is ready"), _("IT"), address, problems=tuple(problems))


def _default_values(connection: Connection) -> Row:
    template, responsible = connection.task_template, connection.responsible
    problems = []
    if template is None:
        problems.append(_("No task template is chosen."))
    elif not template.active:
        problems.append(describe(errors.TEMPLATE_INACTIVE, {"template": template.name}).what + ".")
    if responsible is not None and not responsible.is_active:
        problems.append(_("%(user)s is no longer active. Choose somebody else.") % {"user": responsible})
    if responsible is None and connection.team is None:
        problems.append(_("Neither a team nor a responsible user is chosen, so nobody would get the new cases."))
    chosen = ((_("Team"), connection.team), (_("Responsible user"), responsible), (_("Template"), template))
    return Row(
        "default_values",
        Status.MISSING if problems else Status.DONE,
        _("Default values are chosen"),
        _("You"),
        " · ".join(f"{name}: {value}" for name, value in chosen if value),
        _default_values_page(_("Change"), connection),
        tuple(problems),
    )


def _customer_rules(connection: Connection) -> Row:
    if connection.customer_is == Connection.CustomerIs.INSURER:
        proof = _("Customer = insurance company")
    elif connection.phone_as_customer_number:
        proof = _("Customer = policyholder, phone number as customer number")
    else:
        proof = _("Customer = policyholder, identified by policy number")
    # Each rule has a value from the start; the type of a new customer alone has to be chosen, where there are types.
    chosen = connection.customer_type_id or not CustomerType.objects.exists()
    return Row(
        "customer_rules",
        Status.DONE if chosen else Status.MISSING,
        _("Customer rules are chosen"),
        _("You"),
        proof,
        _default_values_page(_("Change"), connection),
        () if chosen else (_("No customer type is chosen for new customers."),),
    )


def _mail(connection: Connection, mail: ScalepointMail | None) -> Row:
    text = _("The email to Scalepoint has been sent")
    if mail is None:
        return Row(
            "mail", Status.MISSING, text, _("You"), action=_to(_("Write the email"), "setup_mail", of=connection)
        )
    proof = moment(mail.sent_at)
    if mail.sent_by:
        proof = _("%(when)s by %(user)s") % {"when": proof, "user": mail.sent_by}
    return Row("mail", Status.DONE, text, _("You"), proof, _to(_("View email"), "setup_sent_mail", mail.pk))


def _from_scalepoint(connection: Connection, mail: ScalepointMail | None) -> Row:
    missing = [
        name
        for name, value in ((_("server name"), connection.server_name), (_("user name"), connection.user_name))
        if not value
    ]
    if not missing:
        status, who, proof = Status.DONE, _("You"), f"{connection.server_name} · {connection.user_name}"
    elif mail is None:
        status, who, proof = Status.MISSING, _("You"), _("Comes after the email to Scalepoint.")
    else:
        status, who, proof = Status.WAITING, _("Scalepoint"), ", ".join(missing)
    return Row(
        "from_scalepoint",
        status,
        _("The details from Scalepoint have been entered"),
        who,
        proof,
        _to(_("Enter") if missing else _("Change"), "connection_change", connection.pk),
    )


def _insurers(connection: Connection, now: datetime) -> Row:
    text = _("At least one insurance company is ready")
    live = SecurityToken.objects.live(now).filter(company=OuterRef("pk"))
    companies = InsuranceCompany.objects.filter(active=True).annotate(has_token=Exists(live))
    # Whoever proves itself with the connection's own secret needs no token per company.
    ready: list[str] = []
    missing: list[str] = []
    for company in companies.only("name")[:200]:
        (ready if company.has_token or connection.secret_digest else missing).append(company.name)
    lacks = _("No token: %(companies)s") % {"companies": _some(missing)}
    if ready:
        proof = _("Ready: %(companies)s") % {"companies": _some(ready)}
        proof = f"{proof}. {lacks}" if missing else proof
        return Row("insurers", Status.DONE, text, _("You"), proof, _to_insurers(_("View")))
    if missing:
        return Row("insurers", Status.MISSING, text, _("You"), lacks, _to_insurers(_("Change")))
    add = _link(_("Add an insurance company"), "admin:scalepoint_crm_insurancecompany_add")
    problem = _(
        "You have no insurance companies yet. Without at least one company with a token, all cases are refused."
    )
    return Row("insurers", Status.MISSING, text, _("You"), action=add, problems=(problem,))


def _test_case(connection: Connection) -> Row:
    done = InboundEvent.objects.filter(
        connection=connection,
        source=InboundEvent.Source.TEST,
        status=InboundEvent.Status.DONE,
        case__services__task__isnull=False,
    )
    newest = done.order_by("-pk").values_list("finished_at", flat=True).first()
    return Row(
        "test_case",
        Status.DONE if newest else Status.MISSING,
        _("A test case has been completed"),
        _("You"),
        moment(newest) if newest else "",
        _to(_("Test again") if newest else _("Send a test case"), "testcase_changelist", of=connection),
    )


def _first_case(connection: Connection) -> Row:
    text = _("The first real case has been received")
    first = Case.objects.filter(connection=connection, is_test=False).order_by("pk").first()
    if first is None:
        return Row("first_case", Status.WAITING, text, _("Scalepoint"), _("Turns green automatically."))
    proof = f"{first} · {moment(first.created_at)}"
    return Row("first_case", Status.DONE, text, _("Scalepoint"), proof, _to(_("View"), "case_change", first.pk))


def _told_of_errors(connection: Connection) -> Row:
    reached: list[str] = []
    mute: list[str] = []
    for person in connection.failure_recipients.all():
        if person.is_active:
            (reached if getattr(person, person.get_email_field_name(), "") else mute).append(str(person))
    problems: tuple[str, ...] = ()
    if mute:
        problems = (_("Not notified because they have no email address: %(users)s.") % {"users": _some(mute)},)
    return Row(
        "told_of_errors",
        Status.DONE if reached else Status.WARNING,
        _("Somebody is notified of errors"),
        _("You"),
        _some(reached) if reached else _("Nobody is chosen"),
        _default_values_page(_("Change") if reached else _("Choose"), connection),
        problems,
    )


def _rows_of_the_host(connection: Connection, now: datetime) -> list[Row]:
    found: list[Row] = []
    for path in conf().checklist:
        try:
            function: Callable[[Connection, datetime], Iterable[Row]] = import_string(path)
            found += list(function(connection, now))
        except Exception:
            logger.exception("The row %s of the set-up list failed", path)
            text = _("One of your own site's checks could not be run (%(name)s)") % {"name": path}
            found.append(Row(path, Status.WARNING, text, _("IT"), _("The reason is in the site's log.")))
    return found


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" … (+{len(names) - 3})" if len(names) > 3 else "")


def _link(label: str, name: str, *args: Any) -> Action | None:
    """None where the host left the page out of its admin."""
    try:
        return Action(label, reverse(name, args=args))
    except NoReverseMatch:
        return None


def _to(label: str, page: str, *args: Any, of: Connection | None = None) -> Action | None:
    found = _link(label, f"admin:scalepoint_integration_{page}", *args)
    return Action(label, f"{found.url}?connection={of.pk}") if found and of else found


def _to_insurers(label: str) -> Action | None:
    return _link(label, "admin:scalepoint_crm_insurancecompany_changelist")


def _default_values_page(label: str, connection: Connection) -> Action | None:
    own = _to(label, "defaultvalues_changelist", of=connection)
    return own or _to(label, "connection_change", connection.pk)
