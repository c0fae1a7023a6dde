"""My settings, for everybody; those of all, with who has no Scalepoint user name, for administrators."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import active
from scalepoint_integration.admin.pages import PageAdmin, allow
from scalepoint_integration.models import UserSettings

if TYPE_CHECKING:
    SettingsModelForm = forms.ModelForm[UserSettings]
else:
    SettingsModelForm = forms.ModelForm

NAME = "scalepoint_integration_usersettings"
CHANGE = "scalepoint_integration.change_usersettings"
_PEOPLE = 500


class SettingsForm(SettingsModelForm):
    class Meta:
        model = UserSettings
        fields = (
            "scalepoint_user_name",
            "tell_new_case",
            "tell_team_case",
            "tell_message",
            "tell_failures",
            "tell_silence",
        )


class UserSettingsAdmin(PageAdmin):
    page_template = "scalepoint/people.html"
    title = _("People")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(CHANGE))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(CHANGE))

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("mine/", wrap(self.mine), name=f"{NAME}_mine"),
            path("person/<path:pk>/", wrap(self.person), name=f"{NAME}_person"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest) -> dict[str, Any]:
        user = get_user_model()
        people = user._default_manager.filter(active(user)).select_related("scalepoint_settings").order_by("pk")
        email = user.get_email_field_name()
        rows = [
            {
                "person": person,
                "name": getattr(getattr(person, "scalepoint_settings", None), "scalepoint_user_name", ""),
                "email": getattr(person, email, ""),
                "url": reverse(f"admin:{NAME}_person", args=[person.pk]),
            }
            for person in people[:_PEOPLE]
        ]
        return {"rows": rows, "missing": sum(not row["name"] for row in rows)}

    def mine(self, request: HttpRequest) -> HttpResponse:
        """Whoever works here sets what they are told, and their own name at Scalepoint."""
        if not request.user.has_perm("scalepoint_integration.view_case") and not request.user.has_perm(CHANGE):
            raise PermissionDenied
        return self._edit(request, request.user, _("My settings"), reverse(f"admin:{NAME}_mine"))

    def person(self, request: HttpRequest, pk: str) -> HttpResponse:
        allow(request, CHANGE)
        user = get_user_model()
        person = get_object_or_404(user._default_manager.filter(active(user)), pk=user._meta.pk.to_python(pk))
        title = _("Settings of %(person)s") % {"person": person}
        return self._edit(request, person, title, reverse(f"admin:{NAME}_changelist"))

    def _edit(self, request: HttpRequest, person: Any, title: Any, after: str) -> HttpResponse:
        row = UserSettings.objects.filter(user=person).first() or UserSettings(user=person)
        form = SettingsForm(request.POST if request.method == "POST" else None, instance=row)
        if form.is_valid():
            new = row.pk is None
            form.save()
            log = self.log_addition if new else self.log_change
            log(request, row, [{"changed": {"fields": form.changed_data}}])
            self.message_user(request, gettext("The settings were saved."), messages.SUCCESS)
            return HttpResponseRedirect(after)
        email = getattr(person, get_user_model().get_email_field_name(), "")
        return self.render(request, "scalepoint/usersettings.html", title, {"form": form, "email": email})


def register(site: admin.AdminSite) -> None:
    site.register(UserSettings, UserSettingsAdmin)
