"""The catalogue of errors: what happened, what to do, who can. Texts for the office; codes for finding them.

A code with facts (a phone number, a time) becomes a sentence here and nowhere else: ``describe(code, facts)``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_noop

ADMINISTRATOR, OFFICE, IT, NOBODY = gettext_noop("administrator"), gettext_noop("office"), gettext_noop("IT"), ""


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


# code -> what happened, what to do, who can. %(name)s are facts that come with the error.
CATALOGUE: dict[str, tuple[str, str, str]] = {
    # Receiving
    "SP-101": (
        gettext_noop("Unknown security token (ends with %(last4)s)"),
        gettext_noop(
            "Compare it with the token from Scalepoint or the insurance company. Correct it or add the company, and "
            "ask Scalepoint to send the case again"
        ),
        ADMINISTRATOR,
    ),
    "SP-102": (
        gettext_noop("The security token has expired or is switched off"),
        gettext_noop("Extend the old one, or ask Scalepoint to use the new one"),
        ADMINISTRATOR,
    ),
    "SP-103": (
        gettext_noop("The connection is switched off"),
        gettext_noop("Switch it on, or put it on hold (then the cases are stored)"),
        ADMINISTRATOR,
    ),
    "SP-104": (
        gettext_noop("The content could not be read"),
        gettext_noop(
            "Send the error report to Scalepoint and ask them to send again. What came is kept under refused tries"
        ),
        IT,
    ),
    "SP-105": (gettext_noop("There is no case number"), gettext_noop("Open the event and tie it to a case"), OFFICE),
    "SP-106": (
        gettext_noop("A type of event that we do not use"),
        gettext_noop("Nothing. It is stored; ask IT if you miss it"),
        NOBODY,
    ),
    "SP-107": (
        gettext_noop("The event was received before"),
        gettext_noop("Nothing. We did not make anything a second time"),
        NOBODY,
    ),
    "SP-108": (gettext_noop("Older than what we already have"), gettext_noop("Nothing. The newest counts"), NOBODY),
    "SP-109": (
        gettext_noop("We did not have the case yet"),
        gettext_noop(
            "The case is made from the event, and gets its task when Scalepoint sends the assignment. If that does not "
            "come, ask Scalepoint to send it again"
        ),
        OFFICE,
    ),
    "SP-110": (
        gettext_noop("The case names another insurance company than the security token belongs to"),
        gettext_noop("Ask Scalepoint which company is right. Nothing was made of it"),
        ADMINISTRATOR,
    ),
    "SP-111": (
        gettext_noop("The insurance company “%(alias)s” is not known"),
        gettext_noop("Add the company with this alias, or choose the company on the case, and press Retry"),
        ADMINISTRATOR,
    ),
    "SP-112": (
        gettext_noop("The address was called in a wrong way"),
        gettext_noop("Ask Scalepoint to send with POST"),
        IT,
    ),
    "SP-113": (
        gettext_noop("What was sent is too large"),
        gettext_noop("Ask Scalepoint to send fewer or smaller images"),
        IT,
    ),
    "SP-114": (
        gettext_noop("What was sent is of a kind we do not take"),
        gettext_noop("Ask Scalepoint to send JSON in UTF-8"),
        IT,
    ),
    "SP-115": (
        gettext_noop("Too many refused tries"),
        gettext_noop("Wait a minute. Then compare the security token with the one Scalepoint uses"),
        ADMINISTRATOR,
    ),
    "SP-116": (
        gettext_noop("The database does not answer"),
        gettext_noop("Tell IT. Scalepoint has to send the case again"),
        IT,
    ),
    "SP-117": (
        gettext_noop("There is no connection with this number"),
        gettext_noop("Compare the address that Scalepoint uses"),
        IT,
    ),
    "SP-118": (
        gettext_noop("The insurance company “%(company)s” is switched off"),
        gettext_noop("Switch the company on, and press Retry"),
        ADMINISTRATOR,
    ),
    "SP-119": (
        gettext_noop("Two cases of Scalepoint's have the same token"),
        gettext_noop("Ask Scalepoint which one is right. Nothing was made of this one"),
        IT,
    ),
    "SP-120": (
        gettext_noop("What was sent was not encrypted"),
        gettext_noop("Ask Scalepoint to use the address that begins with https, and change the security token"),
        IT,
    ),
    "SP-130": (
        gettext_noop("An access token of ours has ended"),
        gettext_noop("Nothing. Scalepoint fetches a new one"),
        NOBODY,
    ),
    # Making customers and tasks
    "SP-201": (
        gettext_noop("The task template “%(template)s” is switched off"),
        gettext_noop("Choose another template, and press Retry"),
        ADMINISTRATOR,
    ),
    "SP-202": (
        gettext_noop("The responsible user is no longer active"),
        gettext_noop("Choose a new one, otherwise new cases have nobody responsible"),
        ADMINISTRATOR,
    ),
    "SP-203": (
        gettext_noop("Several customers fit (%(reason)s)"),
        gettext_noop("Choose the right one on the case"),
        OFFICE,
    ),
    "SP-204": (
        gettext_noop("The policyholder has no phone number"),
        gettext_noop("Choose a customer on the case, or make a new one"),
        OFFICE,
    ),
    "SP-205": (
        gettext_noop("The case name became too long and was cut"),
        gettext_noop("Make the template shorter"),
        ADMINISTRATOR,
    ),
    "SP-206": (
        gettext_noop("Scalepoint closed the case, but somebody has worked on the task"),
        gettext_noop("Decide whether the task is to be closed"),
        OFFICE,
    ),
    "SP-207": (
        gettext_noop("Two cases turn out to be one: %(first)s and %(second)s"),
        gettext_noop("Choose the same customer on both, delete the task that is too many, and retry"),
        OFFICE,
    ),
    # Images
    "SP-301": (
        gettext_noop("An image could not be fetched"),
        gettext_noop("Press Fetch again. The case is made"),
        OFFICE,
    ),
    "SP-302": (
        gettext_noop("The file is too large or of a type we do not take"),
        gettext_noop("Get it in Scalepoint"),
        OFFICE,
    ),
    # Scalepoint's side
    "SP-401": (
        gettext_noop("Scalepoint does not answer"),
        gettext_noop("We try again ourselves. You do not have to do anything"),
        NOBODY,
    ),
    "SP-402": (
        gettext_noop("Scalepoint refused our login"),
        gettext_noop("Check the server name and the user name"),
        ADMINISTRATOR,
    ),
    "SP-403": (
        gettext_noop("You have no access to this in Scalepoint"),
        gettext_noop("It needs an agreement with Scalepoint or the insurance company"),
        ADMINISTRATOR,
    ),
    "SP-404": (
        gettext_noop("Scalepoint no longer knows where we stopped fetching"),
        gettext_noop(
            "Ask Scalepoint whether events were lost. Then choose Fetch events again on the connection; what we have "
            "is not made twice"
        ),
        IT,
    ),
    "SP-411": (
        gettext_noop("The case has a case number at Scalepoint already"),
        gettext_noop("Nothing. Our number was not sent"),
        NOBODY,
    ),
    "SP-412": (
        gettext_noop("There is no valid security token of %(company)s"),
        gettext_noop("Add the token to the insurance company, and press Retry"),
        ADMINISTRATOR,
    ),
    "SP-413": (
        gettext_noop("Something is missing in what should be sent (%(field)s)"),
        gettext_noop("Fill it in and press Retry, or write it in Scalepoint"),
        OFFICE,
    ),
    "SP-414": (
        gettext_noop("The file is too large to be sent"),
        gettext_noop("Send a smaller file, or put it into Scalepoint"),
        OFFICE,
    ),
    "SP-415": (
        gettext_noop("Scalepoint gives us the same events again and again"),
        gettext_noop("We fetch more slowly for now. Send the error report to Scalepoint if it does not stop"),
        IT,
    ),
    "SP-405": (
        gettext_noop("Scalepoint did not accept what we sent"),
        gettext_noop("Read Scalepoint's answer on the sending, correct it and press Retry"),
        OFFICE,
    ),
    "SP-409": (
        gettext_noop("The connection is not ready for calls to Scalepoint"),
        gettext_noop("Fill in the client id, the tenant and the addresses, and make a key that Scalepoint knows"),
        ADMINISTRATOR,
    ),
    "SP-417": (
        gettext_noop("%(person)s has no Scalepoint user name"),
        gettext_noop("Enter the name under My settings, and retry"),
        OFFICE,
    ),
    "SP-416": (
        gettext_noop("The settlement that Scalepoint gave us belongs to another case"),
        gettext_noop("Ask Scalepoint which case is right. Nothing was made of it"),
        IT,
    ),
    # Ourselves
    "SP-501": (gettext_noop("The background job does not run"), gettext_noop("The cases are stored. Tell IT"), IT),
    "SP-502": (
        gettext_noop("A mail could not be sent"),
        gettext_noop("We try again ourselves. If it does not stop, compare the mail settings of the site"),
        IT,
    ),
    "SP-900": (
        gettext_noop("Something went wrong with us"),
        gettext_noop("Press Retry. If that does not help, copy the error report to support"),
        IT,
    ),
}


def describe(code: str, facts: Mapping[str, Any] | None = None) -> Problem:
    """The error in the reader's language. An unknown code is told as SP-900, with its own code."""
    what, todo, who = CATALOGUE.get(code, CATALOGUE["SP-900"])
    known = _Facts(facts or {})
    return Problem(code, gettext(what) % known, gettext(todo) % known, gettext(who) if who else "")


class _Facts(dict[str, Any]):
    """A fact that did not come with the error is shown as an ellipsis, rather than breaking the page."""

    def __missing__(self, key: str) -> str:
        return "…"
