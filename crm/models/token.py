from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from crm.encryption import EncryptedTextField, digest, digests, without_secrets
from crm.masks import ending, last4


class SecurityTokenQuerySet(models.QuerySet["SecurityToken"]):
    def live(self, now: datetime) -> "SecurityTokenQuerySet":
        """Those that open the door at that time. Whether the company is active is another question."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), valid_from__lte=now)

    def with_value(self, value: str | bytes) -> "SecurityTokenQuerySet":
        return self.filter(digest__in=digests(value))


class SecurityTokenManager(models.Manager.from_queryset(SecurityTokenQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> SecurityTokenQuerySet:
        rows: SecurityTokenQuerySet = super().get_queryset()
        return without_secrets(rows)


class SecurityToken(models.Model):
    """Proves that a delivery comes from the insurance company. Several are live at once, so that one can be changed
    without a gap. Looked up by its digest; the plain value is kept encrypted, to be digested anew with new keys."""

    company = models.ForeignKey(
        "scalepoint_crm.InsuranceCompany",
        verbose_name=_("insurance company"),
        on_delete=models.CASCADE,
        related_name="tokens",
    )
    label = models.CharField(
        _("label"), max_length=100, blank=True, help_text=_("Your own reminder, for example who gave it to you.")
    )
    token = EncryptedTextField(_("token"))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last4 = models.CharField(_("ends with"), max_length=4, blank=True, editable=False)
    valid_from = models.DateTimeField(_("valid from"), default=timezone.now)
    expires_at = models.DateTimeField(
        _("valid until"),
        null=True,
        blank=True,
        help_text=_(
            "Leave empty to keep the token valid until you set a date. When you change to a new token, keep the old "
            "one valid for a few days."
        ),
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = SecurityTokenManager()
    history = HistoricalRecords(excluded_fields=["token", "digest", "last_used_at"])

    class Meta:
        verbose_name = _("security token")
        verbose_name_plural = _("security tokens")
        ordering = ["-id"]
        permissions = [("manage_tokens", "Can add, change and end security tokens")]

    def __str__(self) -> str:
        return ending(self.last4)

    def save(self, *args: Any, **kwargs: Any) -> None:
        named = kwargs.get("update_fields")
        if "token" not in self.get_deferred_fields() and (named is None or "token" in named):
            self.token = self.token.strip()
            if not self.token:
                raise ValidationError(_("A token can't be empty."), code="required")
            self.refuse_double()
            self.digest, self.last4 = digest(self.token), last4(self.token)
            if named is not None:
                kwargs["update_fields"] = {*named, "digest", "last4"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        if "token" not in self.get_deferred_fields():
            self.refuse_double()
        if self.expires_at and self.expires_at <= self.valid_from:
            raise ValidationError({"expires_at": _("This is before the token becomes valid.")})

    def refuse_double(self) -> None:
        """A token names its company, so no two rows may share one: under none of the keys that are live."""
        double = (
            SecurityToken.objects.with_value(self.token.strip()).exclude(pk=self.pk).select_related("company").first()
        )
        if double:
            raise ValidationError(
                _("This token is already used by %(company)s."), params={"company": double.company}, code="double"
            )
