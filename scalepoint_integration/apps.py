from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScalepointIntegrationConfig(AppConfig):
    name = "scalepoint_integration"
    verbose_name = _("Scalepoint")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from scalepoint_integration import checks  # noqa: F401  registers the system checks, nothing else
