"""The way between the pages of the office, for their templates."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

register = template.Library()

# label, admin page, permission: in the order of a day's work.
_PAGES = (
    (_("Overview"), "scalepoint_integration_overview_changelist", "scalepoint_integration.view_overview"),
    (_("Cases"), "scalepoint_integration_case_changelist", "scalepoint_integration.view_case"),
    (_("Event log"), "scalepoint_integration_inboundevent_changelist", "scalepoint_integration.view_inboundevent"),
    (_("Insurance companies"), "scalepoint_crm_insurancecompany_changelist", "scalepoint_crm.view_insurancecompany"),
    (
        _("Default values"),
        "scalepoint_integration_defaultvalues_changelist",
        "scalepoint_integration.view_defaultvalues",
    ),
    (_("Setup"), "scalepoint_integration_setup_changelist", "scalepoint_integration.view_setup"),
    (_("My settings"), "scalepoint_integration_usersettings_mine", "scalepoint_integration.view_case"),
    (_("Test"), "scalepoint_integration_testcase_changelist", "scalepoint_integration.send_test"),
)


@dataclass(frozen=True, slots=True)
class Link:
    label: Any
    url: str
    here: bool


@register.inclusion_tag("scalepoint/nav.html", takes_context=True)
def scalepoint_nav(context: template.Context) -> dict[str, Any]:
    """The pages that the reader may open."""
    request = context["request"]
    links = []
    for label, name, permission in _PAGES:
        if not request.user.has_perm(permission):
            continue
        try:
            url = reverse(f"admin:{name}", current_app=getattr(request, "current_app", None))
        except NoReverseMatch:  # a host that left the page out of its own admin site
            continue
        links.append(Link(label, url, request.path.startswith(url)))
    return {"links": links}
