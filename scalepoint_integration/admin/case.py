from django.contrib import admin

from scalepoint_integration.admin.big_tables import BigTableAdmin
from scalepoint_integration.admin.caselist import CaseList
from scalepoint_integration.admin.casepage import CasePage
from scalepoint_integration.models import Case


class CaseAdmin(CaseList, CasePage, BigTableAdmin):
    """The inbox (caselist) and the page of one case (casepage)."""

    class Media:
        css = {"all": ["scalepoint/caselist.css", "scalepoint/case.css"]}
        js = ["scalepoint/case.js"]


def register(site: admin.AdminSite) -> None:
    site.register(Case, CaseAdmin)
