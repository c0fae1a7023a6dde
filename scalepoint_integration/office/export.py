"""Cases as a table for Excel. What may be exported is what the list shows and the office works with: no numbers of
persons or accounts, no security tokens, no free texts (any of these may stand in a description)."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from typing import IO, Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from crm.masks import hide
from scalepoint_integration.errors import describe
from scalepoint_integration.handling import lifecycle
from scalepoint_integration.models import Case, Connection, ImagePull, Service
from scalepoint_integration.payloads.assignment import CaseFacts

LIMIT = 20_000  # cases in one file: 17 s on a busy machine with two cores, before a proxy gives up
_BATCH = 500
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in a workbook
# What a spreadsheet takes for a formula, also behind white space; the wide forms are folded into these by some.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")

NO_EXCEL = _("Exporting to Excel needs the Python package openpyxl, which is not installed. CSV works without it.")

Cell = str | int | Decimal | date | datetime | None


class TooMany(Exception):
    """More than LIMIT cases."""


# Each with what it is called and how it is read from the case and its facts.
_COLUMNS: tuple[tuple[Any, Callable[[Case, CaseFacts], Cell]], ...] = (
    (_("Test"), lambda case, facts: "TEST" if case.is_test else ""),
    (_("Case number"), lambda case, facts: case.number),
    (_("Status"), lambda case, facts: case.get_status_display()),
    (_("What is wrong"), lambda case, facts: _problem(case)),
    (_("Reason for closing"), lambda case, facts: _closing(case)),
    (_("Received"), lambda case, facts: case.created_at),
    (_("Deadline"), lambda case, facts: case.deadline),
    (_("Responsible user"), lambda case, facts: str(case.responsible or "")),
    (_("Team"), lambda case, facts: str(case.team or "")),
    (_("Insurance company"), lambda case, facts: str(case.insurer or "")),
    (_("Policy number"), lambda case, facts: facts.policy_number),
    (_("Policyholder"), lambda case, facts: facts.holder_name),
    (_("Phone"), lambda case, facts: facts.holder_phone or facts.holder_mobile),
    (_("Damage address"), lambda case, facts: facts.place.street),
    (_("Postcode"), lambda case, facts: facts.place.postal_code),
    (_("City"), lambda case, facts: facts.place.city),
    (_("Damage type"), lambda case, facts: facts.damage),
    (_("Date of loss"), lambda case, facts: facts.accident_date),
    (_("Customer number"), lambda case, facts: case.customer.customer_number if case.customer else ""),
    (_("Customer"), lambda case, facts: case.customer.name if case.customer else ""),
)
_TASKS, _IMAGES = _("Tasks"), _("Images")


def chosen(found: QuerySet[Case]) -> list[int]:
    """The keys of the cases to export, in their order. Raises TooMany."""
    keys = list(found.values_list("pk", flat=True)[: LIMIT + 1])
    if len(keys) > LIMIT:
        raise TooMany
    return keys


def can_excel() -> bool:
    """Whether openpyxl is installed, the extra ``excel``. Without it there is CSV only."""
    return find_spec("openpyxl") is not None


def write_csv(keys: Sequence[int]) -> Iterator[bytes]:
    """The file in pieces, as Danish Excel opens it with a double click: UTF-8 with a byte order mark, semicolons,
    lines that end with CR LF, dates as 12.03.2026, a comma in decimal numbers."""
    yield b"\xef\xbb\xbf"
    for batch in _batches(keys):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
        writer.writerows([as_text(cell) for cell in row] for row in batch)
        yield text.getvalue().encode()


def write_xlsx(keys: Sequence[int], file: IO[bytes]) -> None:
    """An Excel workbook with one sheet. Rows are written as they come, not held in memory."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet(gettext("Cases"))
    sheet.freeze_panes = "A2"
    for batch in _batches(keys):
        for row in batch:
            sheet.append([_xlsx_cell(sheet, cell) for cell in row])
    book.save(file)


def as_text(cell: Cell) -> str:
    """A cell of the CSV file."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{timezone.localtime(cell):%d.%m.%Y %H:%M}"
    if isinstance(cell, date):
        return f"{cell:%d.%m.%Y}"
    if isinstance(cell, Decimal):
        return f"{cell:f}".replace(".", ",")
    return safe(cell) if isinstance(cell, str) else str(cell)


def safe(text: str) -> str:
    """Text that no spreadsheet runs as a formula, and that shows no number of a person or an account."""
    text = hide(_ILLEGAL.sub("", text))
    return f"'{text}" if _FORMULA.match(text) else text


def log(user: Any, keys: Sequence[int], kind: str, query: str) -> None:
    """Write down who exported how many cases with which filter: on the history of each connection they belong to."""
    message = ngettext(
        "Exported %(count)d case as %(kind)s. Filter: %(filter)s",
        "Exported %(count)d cases as %(kind)s. Filter: %(filter)s",
        len(keys),
    ) % {"count": len(keys), "kind": kind, "filter": query[:500] or gettext("none")}
    content_type = ContentType.objects.get_for_model(Connection)
    used = set()
    for start in range(0, len(keys), 10_000):
        part = Case.objects.filter(pk__in=keys[start : start + 10_000])
        used |= set(part.order_by().values_list("connection", flat=True).distinct())
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user.pk,
            content_type=content_type,
            object_id=str(connection.pk),
            object_repr=str(connection)[:200],
            action_flag=CHANGE,
            change_message=message,
        )
        for connection in Connection.objects.filter(pk__in=used)
    )


def _batches(keys: Sequence[int]) -> Iterator[list[list[Cell]]]:
    """The heading, then the rows. Read batch by batch: no cursor is held open while somebody downloads slowly."""
    language = translation.get_language()  # the pieces are made after the request's own language is gone
    for start in range(0, max(len(keys), 1), _BATCH):
        with translation.override(language):
            batch = _rows(keys[start : start + _BATCH])
            if start == 0:
                batch.insert(0, [str(label) for label in (*(label for label, _read in _COLUMNS), _TASKS, _IMAGES)])
        yield batch


def _rows(keys: Sequence[int]) -> list[list[Cell]]:
    found = Case.objects.select_related("responsible", "team", "insurer", "customer").in_bulk(keys)
    tasks: dict[Any, list[str]] = {}
    named = Service.objects.filter(case__in=keys, task__isnull=False).order_by("pk")
    for key, title in named.values_list("case", "task__title"):
        tasks.setdefault(key, []).append(title)
    images = image_counts(keys)
    rows: list[list[Cell]] = []
    for case in (found[key] for key in keys if key in found):
        facts = case.known
        row = [read(case, facts) for _label, read in _COLUMNS]
        rows.append([*row, "; ".join(tasks.get(case.pk, ())), images.get(case.pk, 0)])
    return rows


def image_counts(keys: Iterable[int]) -> dict[int, int]:
    """How many images we have of each of these cases; without those that have none."""
    have = ImagePull.objects.filter(service__case__in=list(keys), status=ImagePull.Status.DONE).order_by()
    return dict(have.values_list("service__case").annotate(Count("pk")))


def _problem(case: Case) -> str:
    return describe(case.problem_code, case.problem_facts).what if case.problem_code else ""


def _closing(case: Case) -> str:
    closed = lifecycle.closing(case.lifecycle)
    return lifecycle.in_words(closed) if closed else ""


def _xlsx_cell(sheet: Any, cell: Any) -> Any:
    if isinstance(cell, str):
        return safe(cell)
    if not isinstance(cell, date):
        return cell
    from openpyxl.cell import WriteOnlyCell

    at: Any = timezone.make_naive(cell) if isinstance(cell, datetime) else cell  # Excel knows no time zones
    shown = WriteOnlyCell(sheet, at)
    shown.number_format = "dd\\.mm\\.yyyy\\ hh:mm" if isinstance(cell, datetime) else "dd\\.mm\\.yyyy"
    return shown
