from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from scalepoint_integration.office.roles import ROLES, NotMigrated, set_up


class Command(BaseCommand):
    help = "Make the four ready-made groups of users and give them their permissions. Takes nothing away."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--language", choices=sorted(ROLES[0].names), help="of the names; else the site's own")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = set_up(options["language"] or settings.LANGUAGE_CODE)
        except NotMigrated as error:
            raise CommandError(f"Nothing was changed. Run `migrate` first; missing: {error}") from None
        for group in made:
            self.stdout.write(f"Made the group “{group}”.")
        self.stdout.write(f"{len(ROLES)} groups stand. Put people into them on the page of each user.")
