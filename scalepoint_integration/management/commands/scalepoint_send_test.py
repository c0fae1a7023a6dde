import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import NoReverseMatch, reverse

from crm.models import InsuranceCompany, SecurityToken
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Case, Connection
from scalepoint_integration.test_cases import examples, outcome
from scalepoint_integration.test_cases.send import NoToken, send

_ICONS = {"good": "+", "bad": "!", "wait": "."}


class Command(BaseCommand):
    help = (
        "Send a test case through the real endpoint and print what became of it. Where there is no connection or no "
        "insurance company with a token yet, an example of each is made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--example", default="water", choices=list(examples.EXAMPLES), help="Default: water.")
        parser.add_argument("--contract", help="Contract number. Default: that of the first connection.")
        parser.add_argument("--alias", help="Alias of the insurance company. Default: the first that has a token.")
        parser.add_argument("--keep", action="store_true", help="Do not delete the test case after a day.")

    def handle(self, *args: Any, example: str, contract: str | None, alias: str | None, keep: bool, **o: Any) -> None:
        connection = self._connection(contract)
        insurer = self._insurer(alias)
        try:
            sent = send(connection, insurer, example, keep=keep)
        except NoToken as error:
            raise CommandError(str(error.problem)) from error
        self.stdout.write(f"{sent.case_number} to contract {connection}, as {insurer}:")
        steps = outcome.steps(sent)
        for step in steps:
            self.stdout.write(f"  {_ICONS[step.state]} {step.text}")
            if step.problem:
                self.stdout.write(f"      {step.problem.todo}.")
        case = Case.objects.filter(events__in=sent.event_ids).first()
        if case:
            self.stdout.write(f"Look at it: {_address(case)}")
        if any(step.state == "bad" for step in steps) and not examples.EXAMPLES[example].fails:
            raise CommandError("The test case did not get through.")

    def _connection(self, contract: str | None) -> Connection:
        if contract:
            found = Connection.objects.filter(contract_number=contract).first()
            if not found:
                raise CommandError(f"There is no connection with the contract number {contract}.")
            return found
        found = Connection.objects.order_by("pk").first()
        if not found:
            found = Connection.objects.create(contract_number="test")
            self.stdout.write("There was no connection: made the connection “test”, on hold.")
        return found

    def _insurer(self, alias: str | None) -> InsuranceCompany:
        rows = InsuranceCompany.objects.filter(active=True).order_by("pk")
        if alias:
            found = rows.filter(alias__iexact=alias).first()
            if not found:
                raise CommandError(f"There is no active insurance company with the alias {alias}.")
            return found
        found = rows.filter(tokens__isnull=False).first()
        if not found:
            found = InsuranceCompany.objects.create(name="TEST Forsikring (eksempel)", alias="test-eksempel")
            SecurityToken.objects.create(company=found, label="test", token=secrets.token_urlsafe(32))
            self.stdout.write(f"There was no insurance company with a token: made “{found}”.")
        return found


def _address(case: Case) -> str:
    try:
        path = reverse("admin:scalepoint_integration_case_change", args=[case.pk])
    except NoReverseMatch:
        return f"case {case.pk}"
    return conf().public_base_url.rstrip("/") + path
