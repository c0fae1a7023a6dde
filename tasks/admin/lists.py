from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from crm.admin.base import OfficeAdmin
from tasks.models import Dimension, TaskTemplate, TaskTemplateItem

if TYPE_CHECKING:
    ItemInlineBase = admin.StackedInline[TaskTemplateItem, TaskTemplate]
else:
    ItemInlineBase = admin.StackedInline


class DimensionAdmin(OfficeAdmin):
    list_display = ("name", "kind", "code", "active")
    list_filter = ("kind", "active")
    search_fields = ("name", "code")
    ordering = ("kind", "code", "name")


class TaskTemplateItemInline(ItemInlineBase):
    model = TaskTemplateItem
    extra = 3
    fields = (("position", "text"),)


class TaskTemplateAdmin(OfficeAdmin):
    list_display = ("name", "title", "days_to_deadline", "team", "responsible", "active")
    list_select_related = ("team", "responsible")
    list_filter = ("active", "team")
    search_fields = ("name", "title")
    ordering = ("name",)
    inlines = [TaskTemplateItemInline]
    fieldsets = (
        (None, {"fields": ("name", "active")}),
        (
            _("On every new task"),
            {"fields": ("title", "description", "days_to_deadline", "team", "responsible")},
        ),
    )


def register(site: admin.AdminSite) -> None:
    site.register(Dimension, DimensionAdmin)
    site.register(TaskTemplate, TaskTemplateAdmin)
