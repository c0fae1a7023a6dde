from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from crm import formats
from crm.admin.base import FORM_FIELDS, OfficeAdmin, ResponsibleFilter, badge
from crm.admin.customer import FACTS
from crm.formats import NOTHING
from tasks.models import Task, TaskCheckItem, TaskContact, TaskImage, TaskNote
from tasks.services import remove_images

if TYPE_CHECKING:
    CheckItemInlineBase = admin.StackedInline[TaskCheckItem, Task]
    ContactInlineBase = admin.StackedInline[TaskContact, Task]
    NoteInlineBase = admin.StackedInline[TaskNote, Task]
else:
    CheckItemInlineBase = ContactInlineBase = NoteInlineBase = admin.StackedInline

LOOKS = {
    Task.Status.NEW: ("wait", "●"),
    Task.Status.IN_PROGRESS: ("busy", "▶"),
    Task.Status.DONE: ("good", "✔"),
    Task.Status.CANCELLED: ("", "✖"),
}


class DeadlineFilter(admin.SimpleListFilter):
    title = _("deadline")
    parameter_name = "late"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Overdue"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() != "1":
            return queryset
        return queryset.filter(deadline__lt=timezone.localdate(), status__in=Task.OPEN)


class CheckItemInline(CheckItemInlineBase):
    model = TaskCheckItem
    extra = 1
    fields = (("done", "text"),)


class ContactInline(ContactInlineBase):
    model = TaskContact
    extra = 1
    classes = ["collapse"]
    fields = ("role", *FACTS)


class NoteInline(NoteInlineBase):
    """What was written stays as it was written; a new note is added below."""

    model = TaskNote
    extra = 1
    formfield_overrides = FORM_FIELDS
    fields = ("text", "written")
    readonly_fields = ("written",)

    @admin.display(description=_("written"))
    def written(self, note: TaskNote) -> str:
        if not note.pk:
            return NOTHING
        moment = formats.moment(note.created_at)
        return f"{moment}, {note.author}" if note.author else moment

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TaskNote]":
        return super().get_queryset(request).select_related("author")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TaskAdmin(OfficeAdmin):
    list_display = ("state", "title", "customer", "place", "insurer", "responsible", "team", "deadline", "created_at")
    list_display_links = ("title",)
    list_select_related = ("customer", "insurer", "responsible", "team")
    list_filter = ("status", DeadlineFilter, ResponsibleFilter, "team", "insurer")
    search_fields = (
        "title",
        "requisition_number",
        "scalepoint_id",
        "customer__name",
        "customer__phone",
        "customer__street",
        "work_street",
    )
    search_help_text = _("Title, requisition number, Scalepoint ID, customer, phone or address")
    autocomplete_fields = ("customer", "insurer")
    readonly_fields = ("scalepoint_link", "pictures", "template", "created_at", "updated_at")
    inlines = [CheckItemInline, NoteInline, ContactInline]
    fieldsets = (
        (None, {"fields": ("scalepoint_link", "status", "title", "description", "deadline", "closed_reason")}),
        (_("Who"), {"fields": ("customer", "insurer", "team", "responsible")}),
        # Without a name: the row has one.
        (None, {"fields": ("pictures",)}),
        (
            _("Where"),
            {
                "fields": ("work_street", "work_street2", ("work_postal_code", "work_city"), "work_country"),
                "description": _("Only if the work is done somewhere other than the customer's address."),
            },
        ),
        (
            _("The damage"),
            {"fields": ("damage_type", "responsibility", "requisition_number", "scalepoint_id", "scalepoint_url")},
        ),
        (
            _("Lists"),
            {
                "fields": (
                    "order_type",
                    "case_group",
                    "price_group",
                    "margin_group",
                    "department",
                    "carrier",
                    "purpose",
                ),
                "classes": ["collapse"],
            },
        ),
        (_("About this task"), {"fields": ("template", "created_at", "updated_at"), "classes": ["collapse"]}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = super().get_fieldsets(request, obj)
        # Whoever may not see pictures gets no row of broken ones.
        may_see = request.user.has_perm("scalepoint_tasks.view_taskimage")
        return sets if may_see else [each for each in sets if "pictures" not in each[1]["fields"]]

    @admin.display(description=_("status"), ordering="status")
    def state(self, task: Task) -> SafeString:
        kind, icon = LOOKS.get(Task.Status(task.status), ("", "?"))
        return badge(kind, icon, task.get_status_display())

    @admin.display(description=_("place"))
    def place(self, task: Task) -> str:
        return task.work_address or (task.customer.address if task.customer else "")

    @admin.display(description=_("Scalepoint"))
    def scalepoint_link(self, task: Task) -> str:
        url = task.scalepoint_url
        # Anything else, "javascript:" above all, stays text.
        if not url.lower().startswith(("https://", "http://")):
            return url or NOTHING
        return format_html(
            '<a href="{}" target="_blank" rel="noopener noreferrer">{} <span aria-hidden="true">↗</span></a>',
            url,
            _("Open in Scalepoint"),
        )

    @admin.display(description=_("images"))
    def pictures(self, task: Task) -> SafeString:
        images = list(task.images.all()) if task.pk else []
        return render_to_string("scalepoint_tasks/pictures.html", {"images": images})

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.extra_forms if formset.model is TaskNote else ():
            row.instance.author = request.user
        if formset.model is TaskCheckItem:
            # What is added comes last; the template decides the order of the rest.
            last = form.instance.check_items.aggregate(last=Max("position"))["last"]
            for place, row in enumerate(formset.extra_forms, start=0 if last is None else last + 1):
                row.instance.position = place
        super().save_formset(request, form, formset, change)

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        remove_images(obj.images.all())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Task]") -> None:
        with transaction.atomic():
            remove_images(TaskImage.objects.filter(task__in=queryset))
            super().delete_queryset(request, queryset)


def register(site: admin.AdminSite) -> None:
    site.register(Task, TaskAdmin)
