"""Scalepoint's case as we know it, and the services that were ordered on it."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from scalepoint_integration.models import registers
from scalepoint_integration.payloads.assignment import CaseFacts


class Case(models.Model):
    """One damage. ``facts`` holds what Scalepoint told, each fact with the time it was said (registers.merge), so that
    the order of arrival does not matter. ``origins`` says where each default value of the task came from."""

    class Status(models.TextChoices):
        NEW = "new", _("New")
        NEEDS_ACTION = "needs_action", _("Needs action")
        IN_PROGRESS = "in_progress", _("In progress")
        CLOSED = "closed", _("Closed")
        CANCELLED = "cancelled", _("Cancelled")

    # The more there is to do, the later.
    OPEN = (Status.NEW, Status.IN_PROGRESS, Status.NEEDS_ACTION)
    ENDED = (Status.CLOSED, Status.CANCELLED)

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.PROTECT, related_name="cases", verbose_name=_("connection")
    )
    insurer = models.ForeignKey(
        "scalepoint_crm.InsuranceCompany",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
        verbose_name=_("insurance company"),
    )
    customer = models.ForeignKey(
        "scalepoint_crm.Customer",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
        verbose_name=_("customer"),
        help_text=_("If several customers match, choose one here, then retry the case."),
    )
    status = models.CharField(_("status"), max_length=15, choices=Status, default=Status.NEW)
    # Scalepoint's names of the case. Compared without regard to case, so kept in lower case.
    case_id = models.CharField(_("Scalepoint's case id"), max_length=100, blank=True, editable=False)
    token = models.CharField(_("case token"), max_length=100, blank=True, editable=False)
    number = models.CharField(_("case number"), max_length=100, blank=True, db_index=True, editable=False)

    facts = models.JSONField(default=dict, editable=False)
    origins = models.JSONField(default=dict, editable=False)
    # What we last wrote on the customer that was made for this case: a clerk's own words are recognised by it.
    applied = models.JSONField(default=dict, editable=False)
    # The newest closing and the newest reopening: {"closed": {"at", "reason", ...}, "reopened": {"at"}}.
    lifecycle = models.JSONField(default=dict, editable=False)
    # What a closing could not do by itself, because a person had worked on the task.
    flags = models.JSONField(default=list, editable=False)
    notices = models.JSONField(default=list, editable=False)
    problem_code = models.CharField(_("error code"), max_length=10, blank=True, editable=False)
    problem_facts = models.JSONField(default=dict, editable=False)
    is_test = models.BooleanField(_("test"), default=False, editable=False)
    # A test case that is to stay; others go after a day.
    test_kept = models.BooleanField(default=False, editable=False)
    # The office's own: who answers for the case. Its tasks may have others.
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("responsible user"),
    )
    team = models.ForeignKey(
        "scalepoint_crm.Team", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("team")
    )
    deadline = models.DateField(_("deadline"), null=True, blank=True, db_index=True)
    unread = models.BooleanField(_("unread"), default=True, editable=False)
    # When a person first did something about it: taken, assigned, noted or solved.
    taken_at = models.DateTimeField(_("taken"), null=True, editable=False)
    # Where new cases wait in the inbox: when a person let the task be made.
    approved_at = models.DateTimeField(_("approved"), null=True, editable=False)
    anonymised_at = models.DateTimeField(_("anonymised"), null=True, editable=False)
    # What the office searches for in one column, in lower case: names, numbers, addresses, damage, telephone.
    search_text = models.TextField(default="", blank=True, editable=False)
    created_at = models.DateTimeField(_("received"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    # Who changed what in the office. What Scalepoint told is in the events.
    history = HistoricalRecords(
        excluded_fields=[
            "connection",
            "case_id",
            "token",
            "number",
            "facts",
            "origins",
            "applied",
            "lifecycle",
            "flags",
            "notices",
            "problem_code",
            "problem_facts",
            "search_text",
            "unread",
            "created_at",
            "updated_at",
        ]
    )

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        permissions = [
            ("export_cases", "Can export cases"),
            ("anonymise_person", "Can anonymise the person on a case"),
            ("send_test", "Can send test cases"),
            ("delete_test_data", "Can delete test cases"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["connection", "case_id"], condition=~Q(case_id=""), name="sp_case_id_once"),
            models.UniqueConstraint(fields=["connection", "token"], condition=~Q(token=""), name="sp_case_token_once"),
            # Only a case without a name of Scalepoint's own is known by its number alone.
            models.UniqueConstraint(
                "connection",
                Coalesce(F("insurer"), Value(0)),
                "number",
                condition=Q(case_id="", token=""),
                name="sp_case_number_once",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="sp_case_status"),
            models.Index(fields=["responsible", "status", "-id"], name="sp_case_responsible"),
            models.Index(fields=["-id"], condition=Q(unread=True), name="sp_case_unread"),
        ]

    def __str__(self) -> str:
        # Scalepoint's own names are long and say nothing to anybody: enough of one to tell two cases apart.
        name = self.case_id or self.token
        return self.number or (f"{name[:10]}…" if len(name) > 12 else name) or str(self.pk)

    @property
    def known(self) -> CaseFacts:
        """The facts that hold now, each by its newest statement."""
        return registers.read(self.facts, CaseFacts)

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class Service(models.Model):
    """A piece of work ordered on a case; a case can have several, each becomes a task. ``applied`` is what we last
    wrote on the task: a field that differs from it was edited by a person and is left alone."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="services", verbose_name=_("case"))
    service_id = models.CharField(_("Scalepoint's service id"), max_length=100, blank=True, db_index=True)
    reference = models.CharField(_("service reference"), max_length=100, blank=True)
    task = models.OneToOneField(
        "scalepoint_tasks.Task",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="scalepoint_service",
        verbose_name=_("task"),
    )
    facts = models.JSONField(default=dict, editable=False)
    applied = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        constraints = [
            models.UniqueConstraint(
                fields=["case", "service_id"], condition=~Q(service_id=""), name="sp_service_id_once"
            ),
            models.UniqueConstraint(
                fields=["case", "reference"], condition=Q(service_id=""), name="sp_service_reference_once"
            ),
        ]

    def __str__(self) -> str:
        return self.reference or self.service_id or str(self.pk)
