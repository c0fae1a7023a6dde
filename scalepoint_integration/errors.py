"""The table of errors: a row per code. What happened, what to do, who can, and what else pages and queues ask.

Code names a row (``errors.SEVERAL_CUSTOMERS``), the database keeps its ``code``, and no code is written anywhere else.
With its facts (a phone number, a time) it becomes a sentence here and nowhere else: ``describe(code, facts)``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from scalepoint_integration.places import CASE, CONNECTION, DEFAULTS, INSURER, INSURERS, SETUP, TEMPLATES, Place

ADMINISTRATOR, OFFICE, IT, NOBODY = _("administrator"), _("office"), _("IT"), ""


# ---- The rows -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Error:
    """``what`` and ``todo`` are msgids; %(name)s in them are facts that come with the error. ``who`` is "" where nobody
    has to do anything."""

    code: str
    what: str
    todo: str
    who: str
    # What the person who solves it presses, in the list of cases.
    solve: str = _("See what to do")
    # The places where it is solved, the best one first.
    at: tuple[Place, ...] = ()
    # The choices that the page of the case offers (case_box.html).
    box: str = "retry"
    # The event is tried again by itself once the case works.
    waits: bool = False
    # The fact in brackets is another one in each case, and is left out where several cases are told together.
    per_case: bool = False
    # May stand on an event as its error: a choice of the log's filter.
    on_event: bool = False


# Receiving
UNKNOWN_TOKEN = Error(
    "SP-101",
    _("Unknown security token (ends with %(last4)s)"),
    _(
        "Compare it with the token from Scalepoint or the insurance company. Correct it or add the company, then ask "
        "Scalepoint to resend the case"
    ),
    ADMINISTRATOR,
    at=(INSURERS,),
)
TOKEN_EXPIRED = Error(
    "SP-102",
    _("The security token has expired or is turned off"),
    _("Extend the old one, or ask Scalepoint to use the new one"),
    ADMINISTRATOR,
    at=(INSURERS,),
)
CONNECTION_OFF = Error(
    "SP-103",
    _("The connection is turned off"),
    _("Turn it on, or pause it (the cases are then stored)"),
    ADMINISTRATOR,
    at=(CONNECTION,),
)
UNREADABLE = Error(
    "SP-104",
    _("The content could not be read"),
    _(
        "Send the error report to Scalepoint and ask them to resend. The received content is stored under refused "
        "requests"
    ),
    IT,
    on_event=True,
)
NO_CASE_NUMBER = Error(
    "SP-105", _("The case number is missing"), _("Open the event and link it to a case"), OFFICE, on_event=True
)
UNUSED_TYPE = Error(
    "SP-106",
    _("Unsupported event type"),
    _("No action needed. The event is stored; ask IT if you need it"),
    NOBODY,
    on_event=True,
)
DUPLICATE = Error(
    "SP-107", _("The event has already been received"), _("No action needed. Nothing was created twice"), NOBODY
)
OUTDATED = Error(
    "SP-108",
    _("Older than what we already have"),
    _("No action needed. The latest version applies"),
    NOBODY,
    at=(CASE,),
)
UNKNOWN_CASE = Error(
    "SP-109",
    _("We did not have the case yet"),
    _(
        "The case was created from the event, and gets its task when Scalepoint sends the assignment. If the "
        "assignment does not arrive, ask Scalepoint to resend it"
    ),
    OFFICE,
    at=(CASE,),
)
OTHER_COMPANY = Error(
    "SP-110",
    _("The case names a different insurance company from the one the security token belongs to"),
    _("Ask Scalepoint which company is right. Nothing was created"),
    ADMINISTRATOR,
    at=(INSURERS,),
    on_event=True,
)
UNKNOWN_COMPANY = Error(
    "SP-111",
    _("The insurance company “%(alias)s” is unknown"),
    _("Add the company with this alias or choose the company on the case, then press Retry"),
    ADMINISTRATOR,
    solve=_("Choose insurance company"),
    at=(INSURERS, CASE),
    box="insurer",
    waits=True,
    on_event=True,
)
WRONG_METHOD = Error("SP-112", _("The address was called in the wrong way"), _("Ask Scalepoint to send with POST"), IT)
REQUEST_TOO_LARGE = Error(
    "SP-113", _("The request is too large"), _("Ask Scalepoint to send fewer or smaller images"), IT
)
UNSUPPORTED_CONTENT = Error("SP-114", _("Unsupported content type"), _("Ask Scalepoint to send JSON in UTF-8"), IT)
TOO_MANY_REFUSED = Error(
    "SP-115",
    _("Too many refused requests"),
    _("Wait a minute. Then compare the security token with the one Scalepoint uses"),
    ADMINISTRATOR,
)
DATABASE_AWAY = Error(
    "SP-116", _("The database is not responding"), _("Notify IT. Scalepoint must resend the case"), IT
)
UNKNOWN_CONNECTION = Error(
    "SP-117", _("There is no connection with this number"), _("Compare it with the address that Scalepoint uses"), IT
)
COMPANY_INACTIVE = Error(
    "SP-118",
    _("The insurance company “%(company)s” is inactive"),
    _("Activate the company, then press Retry"),
    ADMINISTRATOR,
    at=(INSURER, INSURERS),
    waits=True,
    on_event=True,
)
SAME_TOKEN = Error(
    "SP-119",
    _("Two cases at Scalepoint have the same case token"),
    _("Ask Scalepoint which one is right. Nothing was created from this one"),
    IT,
    at=(CASE,),
    on_event=True,
)
NOT_ENCRYPTED = Error(
    "SP-120",
    _("The request was not encrypted"),
    _("Ask Scalepoint to use the address that begins with https, then rotate the security token"),
    IT,
    at=(INSURERS,),
)
ACCESS_TOKEN_EXPIRED = Error(
    "SP-130", _("One of our access tokens has expired"), _("No action needed. Scalepoint fetches a new one"), NOBODY
)
# Making customers and tasks
TEMPLATE_INACTIVE = Error(
    "SP-201",
    _("The task template “%(template)s” is inactive"),
    _("Choose another template, then press Retry"),
    ADMINISTRATOR,
    at=(DEFAULTS, CONNECTION, TEMPLATES),
    waits=True,
    on_event=True,
)
RESPONSIBLE_INACTIVE = Error(
    "SP-202",
    _("The responsible user is no longer active"),
    _("Choose a new one, otherwise new cases will be unassigned"),
    ADMINISTRATOR,
    at=(DEFAULTS, CONNECTION),
)
SEVERAL_CUSTOMERS = Error(
    "SP-203",
    _("Several customers match (%(reason)s)"),
    _("Choose the right one on the case"),
    OFFICE,
    solve=_("Choose customer"),
    at=(CASE,),
    box="customer",
    waits=True,
    per_case=True,
    on_event=True,
)
NO_PHONE = Error(
    "SP-204",
    _("The policyholder has no phone number"),
    _("Choose a customer on the case, or create a new one"),
    OFFICE,
    solve=_("Choose customer"),
    at=(CASE,),
    box="customer",
    waits=True,
    on_event=True,
)
CASE_NAME_CUT = Error(
    "SP-205",
    _("The case name was too long and has been shortened"),
    _("Shorten the template"),
    ADMINISTRATOR,
    at=(DEFAULTS, CONNECTION),
)
TASK_IN_PROGRESS = Error(
    "SP-206",
    _("Scalepoint closed the case, but somebody has worked on the task"),
    _("Decide whether to close the task"),
    OFFICE,
    solve=_("Decide what happens to the task"),
    at=(CASE,),
    box="decide",
)
TWO_CASES_ARE_ONE = Error(
    "SP-207",
    _("Two cases turned out to be the same: %(first)s and %(second)s"),
    _("Choose the same customer on both, delete the extra task, then retry"),
    OFFICE,
    at=(CASE,),
    on_event=True,
)
# Images
IMAGE_NOT_FETCHED = Error(
    "SP-301", _("An image could not be fetched"), _("Press Fetch again. The case has been created"), OFFICE
)
IMAGE_REJECTED = Error(
    "SP-302", _("The file is too large or of an unsupported type"), _("Open it in Scalepoint"), OFFICE
)
# Scalepoint's side
SCALEPOINT_AWAY = Error(
    "SP-401", _("Scalepoint is not responding"), _("We will retry automatically. You don't have to do anything"), NOBODY
)
LOGIN_REFUSED = Error(
    "SP-402",
    _("Scalepoint refused our login"),
    _("Check the server name and the user name"),
    ADMINISTRATOR,
    at=(SETUP,),
)
NO_ACCESS = Error(
    "SP-403",
    _("You don't have access to this information in Scalepoint"),
    _("This requires an agreement with Scalepoint or the insurance company"),
    ADMINISTRATOR,
)
CURSOR_LOST = Error(
    "SP-404",
    _("Scalepoint no longer has a record of how far we have fetched"),
    _(
        "Ask Scalepoint whether any events were lost. Then choose Fetch events again on the connection; what we "
        "already have is not created twice"
    ),
    IT,
)
CASE_NUMBER_EXISTS = Error(
    "SP-411",
    _("The case already has a case number at Scalepoint"),
    _("No action needed. Our number was not sent"),
    NOBODY,
)
NO_VALID_TOKEN = Error(
    "SP-412",
    _("%(company)s has no valid security token"),
    _("Add the token to the insurance company, then press Retry"),
    ADMINISTRATOR,
    at=(INSURERS,),
)
FIELD_MISSING = Error(
    "SP-413",
    _("Information is missing from the outbound event (%(field)s)"),
    _("Fill it in and press Retry, or enter it in Scalepoint"),
    OFFICE,
)
FILE_TOO_LARGE = Error(
    "SP-414", _("The file is too large to be sent"), _("Send a smaller file, or upload it to Scalepoint"), OFFICE
)
SAME_EVENTS_AGAIN = Error(
    "SP-415",
    _("Scalepoint keeps giving us the same events"),
    _("We are fetching more slowly for now. Send the error report to Scalepoint if this does not stop"),
    IT,
)
NOT_ACCEPTED = Error(
    "SP-405",
    _("Scalepoint did not accept the outbound event"),
    _("Read Scalepoint's answer to the outbound event, correct it, then press Retry"),
    OFFICE,
)
NOT_READY = Error(
    "SP-409",
    _("The connection is not ready for calls to Scalepoint"),
    _("Fill in the client id, the tenant and the addresses, and create a key that is known to Scalepoint"),
    ADMINISTRATOR,
    at=(SETUP,),
)
NO_USER_NAME = Error(
    "SP-417", _("%(person)s has no Scalepoint user name"), _("Enter the name under My settings, then retry"), OFFICE
)
OTHER_SETTLEMENT = Error(
    "SP-416",
    _("The settlement from Scalepoint belongs to another case"),
    _("Ask Scalepoint which case is right. Nothing was created"),
    IT,
)
# Ourselves
JOB_STOPPED = Error("SP-501", _("The background job is not running"), _("The cases are stored. Notify IT"), IT)
MAIL_NOT_SENT = Error(
    "SP-502",
    _("An email could not be sent"),
    _("We will retry automatically. If this does not stop, check the email settings of the site"),
    IT,
)
UNFORESEEN = Error(
    "SP-900",
    _("Something went wrong on our side"),
    _("Press Retry. If that does not help, copy the error report to support"),
    IT,
    on_event=True,
)

CATALOGUE: dict[str, Error] = {row.code: row for row in list(vars().values()) if isinstance(row, Error)}

# The codes of those whose events are tried again by themselves once the case works.
WAITING = tuple(row.code for row in CATALOGUE.values() if row.waits)


def find(code: str) -> Error:
    """The row of a code out of the database. A code that is not known is treated as something unforeseen."""
    return CATALOGUE.get(code, UNFORESEEN)


# ---- In words -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Problem:
    """``what`` and ``todo`` are in the language of the reader; ``who`` is "" where nobody has to do anything."""

    code: str
    what: str
    todo: str
    who: str

    def __str__(self) -> str:
        said = f"{self.what}. {self.todo}."
        return f"{said} {gettext('Who can')}: {self.who}." if self.who else said


def describe(error: Error | str, facts: Mapping[str, Any] | None = None) -> Problem:
    """The error, or the one of a code, in the reader's language. An unknown code keeps its own code."""
    row, code = (find(error), error) if isinstance(error, str) else (error, error.code)
    known = _Facts(facts or {})
    return Problem(code, gettext(row.what) % known, gettext(row.todo) % known, gettext(row.who) if row.who else "")


class _Facts(dict[str, Any]):
    """A fact that did not come with the error is shown as an ellipsis, rather than breaking the page."""

    def __missing__(self, key: str) -> str:
        return "…"
