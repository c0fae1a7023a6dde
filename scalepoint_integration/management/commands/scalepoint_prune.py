from typing import Any

from django.core.management.base import BaseCommand

from scalepoint_integration.upkeep.prune import prune


class Command(BaseCommand):
    help = "Delete what the site promised not to keep, as the hourly job does."

    def handle(self, *args: Any, **options: Any) -> None:
        prune()
