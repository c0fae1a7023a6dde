"""Pages of the office that are no table of their own. As proxies they stand in the admin's index, and have permissions,
like any other page; the rows behind them are the connections."""

from django.utils.translation import gettext_lazy as _

from scalepoint_integration.models.connection import Connection


class Overview(Connection):
    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("overview")
        verbose_name_plural = _("overview")


class Setup(Connection):
    class Meta:
        proxy = True
        default_permissions = ("view", "change")
        verbose_name = _("setup")
        verbose_name_plural = _("setup")


class DefaultValues(Connection):
    class Meta:
        proxy = True
        default_permissions = ("view", "change")
        verbose_name = _("default values and customer rules")
        verbose_name_plural = _("default values and customer rules")


class TestCase(Connection):
    """Sending one. Not to be taken for a test by pytest."""

    __test__ = False

    class Meta:
        proxy = True
        default_permissions = ()  # Case's "send_test" is the one
        verbose_name = _("test case")
        verbose_name_plural = _("test cases")
