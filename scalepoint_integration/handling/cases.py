"""The case an event speaks of: found or made, locked, and its facts merged so that order does not matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from django.db.models import Model, Q, QuerySet

from crm.locks import hold
from crm.models import InsuranceCompany
from scalepoint_integration import errors
from scalepoint_integration.handling import lifecycle, merging
from scalepoint_integration.models import Case, Connection, InboundEvent, Service, registers
from scalepoint_integration.payloads.assignment import CaseFacts
from scalepoint_integration.workqueue import NeedsPerson, NotForUs, PermanentError

# The facts that lead to a person.
PERSONAL = (
    *(each.name for each in fields(CaseFacts) if each.name.startswith("holder_")),
    *("policy_number", "damage_address", "damage_description"),
)
# Why the history says that a case was, or was not, marked as a test. Compared, so not translated.
MARKED = {True: "marked: test", False: "marked: no test"}


@dataclass(frozen=True, slots=True)
class Names:
    """What Scalepoint calls a case, in lower case; "" where it gave no such name. A number counts within an insurer.
    ``pk`` is our row that the event was tied to before: the insurer may have been put right since."""

    case_id: str
    token: str
    number: str
    insurer_id: int | None
    pk: int | None = None

    def __bool__(self) -> bool:
        return bool(self.case_id or self.token or self.number)


def _known(connection: Connection, names: Names) -> QuerySet[Case]:
    """Every case that has any of these names, in the order in which they are locked."""
    any_of = Q(pk=names.pk) if names.pk else Q()
    if names.case_id:
        any_of |= Q(case_id=names.case_id)
    if names.token:
        any_of |= Q(token=names.token)
    if names.number:
        any_of |= Q(number=names.number)
    return Case.objects.filter(any_of, connection=connection).order_by("pk")


def _strongest(found: Sequence[Case], names: Names) -> Case | None:
    """Which of them is meant: our row, Scalepoint's id, its token, the number."""
    return next(
        (case for fits in (_same_row, _same_id, _same_token, _same_number) for case in found if fits(case, names)), None
    )


def _same_row(case: Case, names: Names) -> bool:
    return case.pk == names.pk


def _same_id(case: Case, names: Names) -> bool:
    return bool(names.case_id) and case.case_id == names.case_id


def _same_token(case: Case, names: Names) -> bool:
    # The same token under another id is another case that somebody mixed up: not ours to merge.
    return bool(names.token) and case.token == names.token and (not names.case_id or not case.case_id)


def _same_number(case: Case, names: Names) -> bool:
    # A number alone is weak: it says nothing against another id or token.
    return (
        case.number == names.number
        and case.insurer_id == names.insurer_id
        and not (names.case_id and case.case_id)
        and not (names.token and case.token)
    )


def lock(connection: Connection, names: Names) -> tuple[Case, list[Case]]:
    """The case, made if it is new, and the rows that have others of these names; all locked until the transaction
    ends. Raises NeedsPerson (SP-119)."""
    if names.number:
        # A number is no unique column: without this one event could make a case of it while another adds it to one.
        hold(f"case number {connection.pk} {names.number}")
    for _attempt in range(3):
        # Others may be locked that only share the number; always in the same order, so nobody waits in a circle.
        found = list(_known(connection, names).select_for_update())
        case = _strongest(found, names)
        if case:
            case.connection = connection
            # The history is of what people changed; what the machine does stands in the events.
            case.skip_history_when_saving = True  # type: ignore[attr-defined]
            return case, [each for each in found if each is not case]
        # Somebody may be making the same case: their row makes ours a no-op, after waiting for their commit. And one
        # that became part of another while we waited for it is found as that other, which then takes ours in.
        new = Case(
            connection=connection,
            case_id=names.case_id,
            token=names.token,
            number=names.number,
            insurer_id=names.insurer_id,
        )
        Case.objects.bulk_create([new], ignore_conflicts=True)
    # In the way is a case with the same token and another id. What contradicts itself is never guessed at.
    raise NeedsPerson(errors.SAME_TOKEN, case=found[0].pk if found else None)


def enter(event: InboundEvent, names: Names, insurer: InsuranceCompany | None) -> Case:
    """The locked case that an event of that insurer speaks of, made if it is new; the event is tied to it, and names
    that the case did not have are added. Rows that the event tells to be this case too become one with it.

    Raises PermanentError (SP-105) where it has no name, NeedsPerson (SP-110, SP-119, SP-207), and NotForUs
    (SP-106) where the office takes no events of this type from the company: nothing of the event is kept but itself."""
    if not names and not event.case_id:  # one that a person tied to a case needs no name
        raise PermanentError(errors.NO_CASE_NUMBER)
    case, others = lock(event.connection, replace(names, pk=event.case_id))
    if insurer and case.insurer_id not in (None, insurer.pk):
        # One company's token must not write on another company's case; nothing of it is saved.
        raise NeedsPerson(errors.OTHER_COMPANY)
    company = insurer.pk if insurer else case.insurer_id
    told = [other for other in others if _names_too(other, names)]
    for other in told:
        if company and other.insurer_id not in (None, company):
            if insurer:
                raise NeedsPerson(errors.OTHER_COMPANY)
            raise NeedsPerson(errors.SAME_TOKEN, case=other.pk)
        if _contradict(case, other):
            raise NeedsPerson(errors.SAME_TOKEN, case=other.pk)
    # By the number alone: that is weak, and says nothing against what else is known of the two.
    number = case.number or names.number
    told += [other for other in others if other not in told and (other.number, other.insurer_id) == (number, company)]
    case.insurer = insurer or case.insurer
    taken = case.insurer.event_types if case.insurer else []
    if taken and event.event_type not in taken:
        raise NotForUs(errors.UNUSED_TYPE, f"not taken from this company: {event.event_type}")
    # A case is a test only if nothing but tests ever spoke of it.
    if event.source == InboundEvent.Source.TEST:
        case.is_test = case.is_test or not case.events.exists()
    elif case.is_test:
        case.is_test = marked_by_a_person(case)
    InboundEvent.objects.filter(pk=event.pk).update(case=case)
    for other in told:
        if not _contradict(case, other):
            _become_one(case, other)
    for name in ("case_id", "token", "number"):
        setattr(case, name, getattr(case, name) or getattr(names, name))
    return case


def marked_by_a_person(case: Case) -> bool:
    """Whether somebody in the office said that it is a test: a real event does not take that back."""
    said = case.history.filter(history_change_reason__in=MARKED.values()).order_by("-history_id").first()
    return said is not None and said.history_change_reason == MARKED[True]


def _names_too(other: Case, names: Names) -> bool:
    return bool(names.case_id and other.case_id == names.case_id) or bool(names.token and other.token == names.token)


def _contradict(case: Case, other: Case) -> bool:
    """Two ids, or two tokens. A token is written with and without a prefix ("ic.", "b.")."""
    tokens = {row.token.rpartition(".")[2] for row in (case, other) if row.token}
    return bool(case.case_id and other.case_id) or len(tokens) > 1


def _become_one(case: Case, other: Case) -> None:
    try:
        merging.check(case, other)
    except NeedsPerson as problem:
        # The case says so, too: it is where the office looks.
        case.problem_code, case.problem_facts = problem.code, problem.facts
        if not lifecycle.closing(case.lifecycle):
            case.status = Case.Status.NEEDS_ACTION
        case.save(update_fields=["status", "problem_code", "problem_facts", "updated_at"])
        raise
    merging.absorb(case, other)
    case.search_text = _search_text(case.known)
    case.save(update_fields=["search_text"])


def lock_service(case: Case, service_id: str, reference: str) -> Service:
    """The service of a locked case, made if it is new. An id that comes after a reference is added to it.

    An event that names no service speaks of the only one; of several, of the nameless one.
    """
    known = list(case.services.select_related("task__template").order_by("pk"))
    fitting = [each for each in known if service_id and each.service_id == service_id]
    fitting += [
        each for each in known if reference and each.reference == reference and not (service_id and each.service_id)
    ]
    if not service_id and not reference:
        fitting = [each for each in known if not each.service_id and not each.reference] or known[:1] * (
            len(known) == 1
        )
    service = fitting[0] if fitting else Service(case=case)
    service.service_id, service.reference = service.service_id or service_id, service.reference or reference
    return service


def tell(case: Case, said: CaseFacts, at: datetime) -> None:
    """Merge what was said of the case at that time into its facts. Saves nothing. Once the person was taken off the
    case, nothing that is said later brings them back."""
    if case.anonymised_at:
        silent = CaseFacts()
        said = replace(said, **{name: getattr(silent, name) for name in PERSONAL})
    case.facts = registers.merge(case.facts, said, at)
    case.search_text = _search_text(case.known)


def notice(event: InboundEvent, code: str) -> None:
    """What the office may want to know of an event that goes well; "" takes an earlier word back."""
    if event.notice != code:
        InboundEvent.objects.filter(pk=event.pk).update(notice=code)


def untouched(row: Model, wanted: Mapping[str, str], applied: Mapping[str, str]) -> dict[str, str]:
    """What of ``wanted`` may be written on the row: news, in fields that are empty or still hold what we last wrote
    there (``applied``). What a clerk typed wins. Pure."""
    changes = {}
    for name, said in wanted.items():
        empty = _empty(row, name)
        value, ours, current = said or empty, applied.get(name, empty), getattr(row, name)
        if value not in (ours, current) and current in (empty, ours):
            changes[name] = value
    return changes


def remember(row: Model, applied: Mapping[str, str], written: Mapping[str, str]) -> dict[str, str]:
    """``applied`` after this was written on the row. What is as good as empty is left out: never written and written
    empty are the same."""
    return {name: value for name, value in {**applied, **written}.items() if value not in ("", _empty(row, name))}


def _search_text(facts: CaseFacts) -> str:
    """All that the office may search a case by, in one line of lower case."""
    words = [facts.number, facts.policy_number, facts.holder_name, facts.holder_email, facts.damage_type]
    for place in (facts.damage_address, facts.holder_address):
        words += [place.street, place.postal_code, place.city]
    # A telephone number is searched for with and without its spaces.
    phones = [facts.holder_phone, facts.holder_mobile]
    words += phones + ["".join(phone.split()) for phone in phones]
    return " ".join(dict.fromkeys(word.casefold() for word in words if word))


def _empty(row: Model, name: str) -> str:
    """What stands in a field that nobody ever wrote: mostly nothing, in a country the default one."""
    return str(row._meta.get_field(name).get_default() or "")  # type: ignore[union-attr]
