"""The table of places: the pages of the admin where an error is solved. The rows of errors.py name them.

Imports nothing of ours. A place becomes a link in admin/places.py.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as _


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the admin. ``page`` is the name of its address, ``of`` the row that the address names ("case",
    "connection", "insurer"): without such a row the place is none. ``about`` is the row that the page may be opened
    for. ``label`` may name the row of ``of``."""

    label: str
    page: str
    permission: str
    of: str = ""
    about: str = ""


CASE = Place(_("Case %(case)s"), "scalepoint_integration_case_change", "scalepoint_integration.view_case", "case")
DEFAULTS = Place(
    _("Open the default values"),
    "scalepoint_integration_defaultvalues_changelist",
    "scalepoint_integration.view_defaultvalues",
    about="connection",
)
CONNECTION = Place(
    _("The connection"),
    "scalepoint_integration_connection_change",
    "scalepoint_integration.view_connection",
    "connection",
)
INSURER = Place(
    _("Open the insurance company"),
    "scalepoint_crm_insurancecompany_change",
    "scalepoint_crm.view_insurancecompany",
    "insurer",
)
INSURERS = Place(
    _("Go to the insurance companies"),
    "scalepoint_crm_insurancecompany_changelist",
    "scalepoint_crm.view_insurancecompany",
)
SETUP = Place(_("Go to setup"), "scalepoint_integration_setup_changelist", "scalepoint_integration.view_setup")
TEMPLATES = Place(_("Task templates"), "scalepoint_tasks_tasktemplate_changelist", "scalepoint_tasks.view_tasktemplate")
