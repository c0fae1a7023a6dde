"""The pages of the register. A host with an admin site of its own calls ``register`` with it."""

from django.contrib import admin

from crm.admin import company, customer

_PAGES = (company, customer)


def register(site: admin.AdminSite) -> None:
    """Register the pages of this app on a site."""
    for page in _PAGES:
        page.register(site)


# Django's autodiscovery imports this module, once.
register(admin.site)
