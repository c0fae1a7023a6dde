"""Ready-made groups of users. Each can what the one before it can, and more; a host gives and takes what it likes.

>>> set_up("da")      # the groups that were made, under their Danish names
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q


class NotMigrated(Exception):
    """Permissions are rows that `migrate` writes; some are not there."""


@dataclass(frozen=True, slots=True)
class Role:
    """``names``: what the group is called, by language. ``grants``: "app.codename", beside those of the role before."""

    key: str
    names: dict[str, str]
    grants: tuple[str, ...]


def _all(app: str, actions: str, *models: str) -> tuple[str, ...]:
    return tuple(f"{app}.{action}_{model}" for model in models for action in actions.split())


_SP = "scalepoint_integration"
_TASK_PARTS = ("taskcheckitem", "tasknote", "taskcontact")

# The names are here in both languages, and not in the translations: a group that was made in one language must be
# found again by somebody who reads the other.
ROLES = (
    Role(
        "reader",
        {"en": "Scalepoint – reader", "da": "Scalepoint – læser"},
        (
            *_all(_SP, "view", "overview", "case", "service", "casemessage", "caseattachment", "casenote"),
            *_all(_SP, "view", "officenote", "inboundevent", "eventattempt", "refusal", "imagepull", "historicalcase"),
            *_all("scalepoint_crm", "view", "customer", "contact", "customertype", "team", "insurancecompany"),
            *_all(
                "scalepoint_tasks",
                "view",
                "task",
                *_TASK_PARTS,
                "taskimage",
                "tasktemplate",
                "tasktemplateitem",
                "dimension",
            ),
        ),
    ),
    Role(
        "handler",
        {"en": "Scalepoint – case handler", "da": "Scalepoint – sagsbehandler"},
        (
            *_all(_SP, "change", "case", "service"),
            *_all(_SP, "add", "officenote"),
            *_all(_SP, "view", "outboundevent"),
            f"{_SP}.retry_event",
            *_all("scalepoint_crm", "add change", "customer", "contact"),
            *_all("scalepoint_crm", "delete", "contact"),
            *_all("scalepoint_tasks", "add change", "task", *_TASK_PARTS),
            *_all("scalepoint_tasks", "delete", *_TASK_PARTS),
        ),
    ),
    Role(
        "administrator",
        {"en": "Scalepoint – administrator", "da": "Scalepoint – administrator"},
        (
            *_all(_SP, "view change", "setup", "defaultvalues"),
            *_all(_SP, "view add change", "connection"),
            *_all(_SP, "view", "scalepointmail", "historicalconnection", "historicaldefaultvalues"),
            *_all(_SP, "view", "notice", "settlement", "reserve"),
            *_all(_SP, "view add change", "usersettings"),
            *(f"{_SP}.{name}" for name in ("replay_event", "export_cases", "anonymise_person", "send_test")),
            *(f"{_SP}.{name}" for name in ("send_outbound", "manage_keys")),
            *_all("scalepoint_crm", "add change delete", "insurancecompany", "customertype", "team"),
            *_all("scalepoint_crm", "delete", "customer"),
            # The form of a token is write-only: whoever holds this can change one, and never read it.
            *_all("scalepoint_crm", "view add change delete", "securitytoken"),
            *_all("scalepoint_crm", "view", "historicalinsurancecompany", "historicalsecuritytoken"),
            "scalepoint_crm.manage_tokens",
            *_all("scalepoint_tasks", "delete", "task", "taskimage"),
            *_all("scalepoint_tasks", "add change delete", "tasktemplate", "tasktemplateitem", "dimension"),
        ),
    ),
    Role(
        "technician",
        {"en": "Scalepoint – technician", "da": "Scalepoint – teknik"},
        (f"{_SP}.view_raw_payload", f"{_SP}.delete_test_data"),
    ),
)


def permissions_of(role: Role) -> list[str]:
    """All that the role can: its own, and those of the roles before it."""
    return [name for each in ROLES[: ROLES.index(role) + 1] for name in each.grants]


@transaction.atomic
def set_up(language: str = "en") -> list[Group]:
    """Make the groups that are missing, and give each its permissions. Takes nothing away. Returns the new groups.

    A group is found again under its name in any of the languages. Raises NotMigrated, and then nothing was changed.
    """
    made = []
    for role in ROLES:
        rows = _rows(permissions_of(role))
        groups = list(Group.objects.filter(name__in=role.names.values()))
        if not groups:
            name = role.names.get(language[:2], role.names["en"])
            groups = [Group.objects.create(name=name)]
            made += groups
        for group in groups:
            group.permissions.add(*rows)
    return made


def _rows(names: Iterable[str]) -> list[Permission]:
    wanted = {tuple(name.split(".")) for name in names}
    condition = Q()
    for app, codename in wanted:
        condition |= Q(content_type__app_label=app, codename=codename)
    rows: list[Any] = list(Permission.objects.filter(condition).select_related("content_type"))
    missing = wanted - {(row.content_type.app_label, row.codename) for row in rows}
    if missing:
        raise NotMigrated(", ".join(sorted(".".join(pair) for pair in missing)))
    return rows
