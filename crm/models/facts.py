from django.db import models
from django.utils.translation import gettext_lazy as _


class ContactFacts(models.Model):
    """How to reach somebody. Text as it was received: an odd telephone number or e-mail address must never be the
    reason that a case is lost, so only forms judge it."""

    name = models.CharField(_("name"), max_length=300)
    phone = models.CharField(_("phone"), max_length=100, blank=True)
    mobile = models.CharField(_("mobile"), max_length=100, blank=True)
    email = models.EmailField(_("email"), max_length=320, blank=True)
    street = models.CharField(_("street and number"), max_length=300, blank=True)
    street2 = models.CharField(_("address line 2"), max_length=300, blank=True)
    postal_code = models.CharField(_("postcode"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=200, blank=True)
    country = models.CharField(
        _("country"), max_length=2, blank=True, default="DK", help_text=_("Two letters, for example DK.")
    )

    class Meta:
        abstract = True

    @property
    def address(self) -> str:
        """On one line, only what there is."""
        place = f"{self.postal_code} {self.city}".strip()
        return ", ".join(part for part in (self.street, self.street2, place) if part)
