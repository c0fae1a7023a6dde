from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from crm.admin.base import OfficeAdmin, ResponsibleFilter
from crm.models import Contact, Customer, CustomerType, Team

if TYPE_CHECKING:
    ContactInlineBase = admin.StackedInline[Contact, Customer]
else:
    ContactInlineBase = admin.StackedInline

FACTS = (
    "name",
    ("phone", "mobile"),
    "email",
    "street",
    "street2",
    ("postal_code", "city"),
    "country",
)


class ContactInline(ContactInlineBase):
    model = Contact
    extra = 1
    classes = ["collapse"]
    fields = ("role", *FACTS)


class CustomerAdmin(OfficeAdmin):
    list_display = ("name", "customer_number", "phone", "place", "insurer", "policy_number", "responsible", "active")
    list_select_related = ("insurer", "responsible")
    list_filter = ("active", "kind", "customer_type", ResponsibleFilter, "team")
    search_fields = ("name", "customer_number", "policy_number", "phone", "mobile", "email", "street", "city")
    search_help_text = _("Name, customer number, policy number, phone, email or address")
    autocomplete_fields = ("insurer",)
    readonly_fields = ("created_at",)
    inlines = [ContactInline]
    fieldsets = (
        (None, {"fields": ("kind", *FACTS, "company_tax_id")}),
        (_("Customer"), {"fields": ("customer_number", "customer_type", "team", "responsible", "active")}),
        (_("Insurance"), {"fields": ("insurer", "policy_number")}),
        (_("Notes"), {"fields": ("notes", "created_at")}),
    )

    @admin.display(description=_("address"))
    def place(self, customer: Customer) -> str:
        return customer.address


class CustomerTypeAdmin(OfficeAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    ordering = ("name",)


class TeamAdmin(OfficeAdmin):
    list_display = ("name", "active")
    list_filter = ("active",)
    search_fields = ("name",)
    ordering = ("name",)
    filter_horizontal = ("members",)


def register(site: admin.AdminSite) -> None:
    site.register(Customer, CustomerAdmin)
    site.register(CustomerType, CustomerTypeAdmin)
    site.register(Team, TeamAdmin)
