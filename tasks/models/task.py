from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.models import ContactFacts
from tasks.models.dimension import Dimension, dimension


class Task(models.Model):
    """The work of a person."""

    class Status(models.TextChoices):
        NEW = "new", _("New")
        IN_PROGRESS = "in_progress", _("In progress")
        DONE = "done", _("Closed")
        CANCELLED = "cancelled", _("Cancelled")

    OPEN = (Status.NEW, Status.IN_PROGRESS)
    ENDED = (Status.DONE, Status.CANCELLED)

    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.NEW, db_index=True)
    template = models.ForeignKey(
        "scalepoint_tasks.TaskTemplate",
        verbose_name=_("task template"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    requisition_number = models.CharField(_("requisition number"), max_length=100, blank=True, db_index=True)
    customer = models.ForeignKey(
        "scalepoint_crm.Customer",
        verbose_name=_("customer"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tasks",
    )
    insurer = models.ForeignKey(
        "scalepoint_crm.InsuranceCompany",
        verbose_name=_("insurance company"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tasks",
    )
    team = models.ForeignKey(
        "scalepoint_crm.Team",
        verbose_name=_("team"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tasks",
    )
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("responsible user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    # Only where the work is done at another place than the customer's own address.
    work_street = models.CharField(_("street and number"), max_length=300, blank=True)
    work_street2 = models.CharField(_("address line 2"), max_length=300, blank=True)
    work_postal_code = models.CharField(_("postcode"), max_length=20, blank=True)
    work_city = models.CharField(_("city"), max_length=200, blank=True)
    work_country = models.CharField(_("country"), max_length=2, blank=True)
    deadline = models.DateField(_("deadline"), null=True, blank=True, db_index=True)

    scalepoint_id = models.CharField(_("Scalepoint ID"), max_length=200, blank=True, db_index=True)
    scalepoint_url = models.URLField(_("Scalepoint URL"), max_length=2000, blank=True)
    responsibility = models.TextField(_("responsibility"), blank=True)
    damage_type = models.CharField(_("damage type"), max_length=300, blank=True)

    order_type = dimension(Dimension.Kind.ORDER_TYPE, _("order type"))
    case_group = dimension(Dimension.Kind.CASE_GROUP, _("case group"))
    price_group = dimension(Dimension.Kind.PRICE_GROUP, _("price group"))
    margin_group = dimension(Dimension.Kind.MARGIN_GROUP, _("margin group"))
    department = dimension(Dimension.Kind.DEPARTMENT, _("department"))
    carrier = dimension(Dimension.Kind.CARRIER, _("carrier"))
    purpose = dimension(Dimension.Kind.PURPOSE, _("purpose"))

    closed_reason = models.CharField(_("reason for closing"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("last changed"), auto_now=True)

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN

    @property
    def work_address(self) -> str:
        """On one line, only what there is."""
        place = f"{self.work_postal_code} {self.work_city}".strip()
        return ", ".join(part for part in (self.work_street, self.work_street2, place) if part)


class TaskCheckItem(models.Model):
    task = models.ForeignKey(Task, verbose_name=_("task"), on_delete=models.CASCADE, related_name="check_items")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    text = models.CharField(_("text"), max_length=300)
    done = models.BooleanField(_("done"), default=False)

    class Meta:
        verbose_name = _("checklist item")
        verbose_name_plural = _("checklist")
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.text


class TaskNote(models.Model):
    """A note: of a person, or of the machine, which names its source so that it writes each only once."""

    task = models.ForeignKey(Task, verbose_name=_("task"), on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("author"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    text = models.TextField(_("text"))
    source_key = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "source_key"], condition=~Q(source_key=""), name="sp_task_note_once"
            )
        ]

    def __str__(self) -> str:
        return self.text[:60]


class TaskContact(ContactFacts):
    """Somebody to speak to about this task."""

    task = models.ForeignKey(Task, verbose_name=_("task"), on_delete=models.CASCADE, related_name="contacts")
    role = models.CharField(_("role"), max_length=200, blank=True)
    source_key = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["task", "source_key"], condition=~Q(source_key=""), name="sp_task_contact_once"
            )
        ]

    def __str__(self) -> str:
        return self.name
