"""What the pages of the office share that are neither a list nor a form (models/pages.py)."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.errors import Problem
from scalepoint_integration.models import Connection

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class PageAdmin(ModelAdmin):
    """A page in the place of the list of a proxy model: ``page_template`` (extends scalepoint/page.html), ``title`` and
    ``page_context``. What else the page does gets addresses of its own in ``get_urls``; each asks ``allow``."""

    page_template = ""
    title: Any = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        """The page alone. The forms of a ModelAdmin would show, and change, the whole row behind the proxy."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.changelist_view), name=name)]

    def page_context(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.render(request, self.page_template, self.title, {**self.page_context(request)})

    def render(self, request: HttpRequest, template: str, title: Any, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "media": self.media}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, shared | context)


def allow(request: HttpRequest, *permissions: str) -> None:
    """Raises PermissionDenied unless the reader has all of these ("app.codename")."""
    if not request.user.has_perms(permissions):
        raise PermissionDenied


def connection_of(request: HttpRequest) -> Connection | None:
    """The connection that a page is about: the one in the address (?connection=ID), else the first; None where there
    is none yet. Most sites have one and never see the choice."""
    rows = Connection.objects.order_by("pk")
    wanted = request.GET.get("connection") or request.POST.get("connection") or ""
    chosen = rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    return chosen or rows.first()


def told_in_words(problems: list[Problem]) -> SafeString:
    """What happened, what to do, who can: one line each."""
    lines = (
        (each.what, each.todo, format_html(" {}: {}.", _("Can be fixed by"), each.who) if each.who else "")
        for each in problems
    )
    return format_html_join("", "<div><strong>{}.</strong> {}.{}</div>", lines)
