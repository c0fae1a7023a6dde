"""A key pair with which we prove ourselves to Scalepoint (private_key_jwt)."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.encryption import EncryptedTextField, without_secrets


class ClientKeyManager(models.Manager["ClientKey"]):
    def get_queryset(self) -> models.QuerySet["ClientKey"]:
        return without_secrets(super().get_queryset())


class ClientKey(models.Model):
    """Several may be known to Scalepoint at once: that is how keys are changed. ``certificate`` and ``private_key`` are
    PEM; ``thumbprint`` is the SHA-1 of the certificate's DER in base64url without padding (the header x5t)."""

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.CASCADE, related_name="keys", verbose_name=_("connection")
    )
    certificate = models.TextField(_("certificate"), editable=False)
    private_key = EncryptedTextField(_("private key"), editable=False)
    thumbprint = models.CharField(_("thumbprint"), max_length=40, editable=False)
    registered = models.BooleanField(
        _("known to Scalepoint"),
        default=False,
        help_text=_("Tick this when Scalepoint has confirmed the certificate. The newest confirmed key is used."),
    )
    expires_at = models.DateTimeField(_("valid until"), editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ClientKeyManager()

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return self.thumbprint
