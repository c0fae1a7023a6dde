"""The pages of the office. A host with an admin site of its own calls ``register`` with it, after those of crm and
tasks."""

from django.contrib import admin

from scalepoint_integration.admin import (
    case,
    connection,
    defaultvalues,
    event,
    insurer,
    notice,
    outbound,
    overview,
    setup,
    testcase,
    usersettings,
)

_PAGES = (case, connection, defaultvalues, event, insurer, notice, outbound, overview, setup, testcase, usersettings)


def register(site: admin.AdminSite) -> None:
    """Register the pages of this app on a site."""
    for page in _PAGES:
        page.register(site)


# Django's autodiscovery imports this module, once.
register(admin.site)
