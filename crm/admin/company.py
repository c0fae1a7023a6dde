import secrets
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as gettext
from django.utils.translation import gettext_lazy as _

from crm.admin.base import FORM_FIELDS, OfficeAdmin, badge
from crm.admin.customer import FACTS
from crm.formats import NOTHING
from crm.models import InsuranceCompany, SecurityToken

if TYPE_CHECKING:
    TokenInlineBase = admin.StackedInline[SecurityToken, InsuranceCompany]
    TokenModelForm = forms.ModelForm[SecurityToken]
else:
    TokenInlineBase = admin.StackedInline
    TokenModelForm = forms.ModelForm


def token_state(token: SecurityToken) -> SafeString:
    now = timezone.now()
    if token.expires_at and token.expires_at <= now:
        return badge("", "✖", _("%(token)s has expired") % {"token": token})
    if token.valid_from > now:
        return badge("wait", "⏳", _("%(token)s, not valid yet") % {"token": token})
    return badge("good", "✔", token)


def may_manage_tokens(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("scalepoint_crm.manage_tokens"))


class TokenInline(TokenInlineBase):
    """The tokens there are. Of the value only the last characters, and nothing of it in the form. Who may see the
    company sees how they stand; one that is switched off stays, so that the history can be read."""

    model = SecurityToken
    formfield_overrides = FORM_FIELDS
    verbose_name_plural = _("security tokens")
    extra = max_num = 0
    can_delete = False
    fields = ("state", "label", "valid_from", "expires_at", ("created_at", "last_used_at"))
    readonly_fields = ("state", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_tokens(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if may_manage_tokens(request) else ("state",)

    @admin.display(description=_("token"))
    def state(self, token: SecurityToken) -> SafeString:
        return token_state(token)


class NewTokenForm(TokenModelForm):
    # Not the column itself: what a form knows can end up in initial values, in history and on the page again.
    new_token = forms.CharField(
        label=_("Token"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        help_text=_(
            "Exactly as you received it. It is not shown again; later only its last four characters are shown."
        ),
    )
    make = forms.BooleanField(
        label=_("Generate a strong token for me"),
        required=False,
        help_text=_("For a token that you choose yourselves. It is shown once, after you save."),
    )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.instance.token = self.cleaned_data.get("new_token", "").strip() or secrets.token_urlsafe(32)
        return cleaned


class NewTokenInline(TokenInlineBase):
    """A token to add: typed in as it was given, or else made here."""

    model = SecurityToken
    form = NewTokenForm
    formfield_overrides = FORM_FIELDS
    verbose_name = _("new security token")
    verbose_name_plural = _("new security token")
    extra = 1
    can_delete = False
    fields = ("new_token", "make", "label", "valid_from", "expires_at")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SecurityToken]":
        return super().get_queryset(request).none()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_tokens(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_tokens(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InsuranceCompanyAdmin(OfficeAdmin):
    list_display = ("name", "aliases", "tokens_now", "active", "team", "responsible")
    list_select_related = ("team", "responsible")
    list_filter = ("active", "team")
    search_fields = ("name", "alias", "sub_alias", "company_tax_id")
    ordering = ("name", "id")
    autocomplete_fields = ("customer",)
    inlines = [TokenInline, NewTokenInline]
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "alias", "sub_alias", "active"),
                "description": _(
                    "You get the token, the alias and sometimes a sub-alias from Scalepoint or the insurance company."
                ),
            },
        ),
        (
            _("New cases"),
            {
                "fields": (
                    "customer_is",
                    "phone_as_customer_number",
                    "customer",
                    "team",
                    "responsible",
                    "task_template",
                ),
                "description": _("Leave a field empty to use the default value."),
            },
        ),
        (_("Address"), {"fields": (*FACTS[1:], "company_tax_id"), "classes": ["collapse"]}),
        (_("Notes"), {"fields": ("notes",)}),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[InsuranceCompany]":
        return super().get_queryset(request).prefetch_related("tokens")

    @admin.display(description=_("alias / sub-alias"), ordering="alias")
    def aliases(self, company: InsuranceCompany) -> str:
        return f"{company.alias} / {company.sub_alias or NOTHING}"

    @admin.display(description=_("token"))
    def tokens_now(self, company: InsuranceCompany) -> SafeString:
        now = timezone.now()
        alive = [token for token in company.tokens.all() if not token.expires_at or token.expires_at > now]
        if not alive:
            return badge("bad", "✖", _("Token is missing"))
        return format_html_join(" ", "{}", ((token_state(token),) for token in alive))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if issubclass(formset.form, NewTokenForm):
            for row in formset.extra_forms:
                if row.instance in formset.new_objects:
                    tell_once(request, row.instance, made=not row.cleaned_data.get("new_token"))


def tell_once(request: HttpRequest, token: SecurityToken, *, made: bool) -> None:
    if not made:
        messages.success(request, gettext("The token ending in %s was saved.") % token.last4)
        return
    # The only time that anybody sees it: it is kept encrypted, and no page reads it.
    messages.warning(
        request,
        gettext("The new token for %(company)s is %(token)s. Copy it now: it will not be shown again.")
        % {"company": token.company, "token": token.token},
    )


def register(site: admin.AdminSite) -> None:
    site.register(InsuranceCompany, InsuranceCompanyAdmin)
