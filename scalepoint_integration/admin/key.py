"""The keys with which we prove ourselves to Scalepoint, on the page of their connection. What can be seen of one is
its public half; it is made, and given out, by addresses of the connection's page."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.models import ClientKey, Connection

if TYPE_CHECKING:
    InlineBase = admin.TabularInline[ClientKey, Connection]
else:
    InlineBase = admin.TabularInline


def may_manage_keys(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("scalepoint_integration.manage_keys"))


class ClientKeyInline(InlineBase):
    model = ClientKey
    extra = max_num = 0
    ordering = ("-id",)
    fields = ("thumbprint", "created_at", "expires_at", "certificate_file", "registered")
    readonly_fields = ("thumbprint", "created_at", "expires_at", "certificate_file")

    @admin.display(description=_("certificate"))
    def certificate_file(self, key: ClientKey) -> Any:
        address = reverse("admin:scalepoint_integration_connection_certificate", args=[key.connection_id, key.pk])
        return format_html('<a href="{}">{}</a>', address, _("Download for Scalepoint"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_keys(request)

    has_change_permission = has_delete_permission = has_view_permission
