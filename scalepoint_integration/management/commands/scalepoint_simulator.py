"""Runs the stand-in for Scalepoint: gives out images and tokens, is polled and sent to; with --endpoint it posts cases
and whole stories first."""

import json
import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scalepoint_integration.simulator.cases import Case, make_cases
from scalepoint_integration.simulator.sender import send
from scalepoint_integration.simulator.server import Server, start
from scalepoint_integration.simulator.webhooks import push_stories, queue_stories

_INSURER = ("name", "alias", "sub_alias", "token")


class Command(BaseCommand):
    help = "A stand-in for Scalepoint on 127.0.0.1. Everything it sends is invented. Runs until SIGTERM or Ctrl-C."
    # It must run where the site does not: without a database, beside a broken configuration.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="where it listens; 0 is any free port")
        parser.add_argument("--endpoint", help="the address of the site to post cases to; none: it only serves")
        parser.add_argument("--insurers", type=Path, help='a JSON list of {"name", "alias", "sub_alias", "token"}')
        parser.add_argument("--events", type=int, default=10, help="how many cases")
        parser.add_argument("--seed", default="1", help="the same seed gives the same cases")
        parser.add_argument(
            "--stories",
            type=int,
            default=0,
            help="tell what happens to the first N cases: posted with --endpoint, else to be polled",
        )
        parser.add_argument("--client-id", help="who may fetch an access token here")
        parser.add_argument("--certificate", type=Path, help="the client's certificate: base64 of the DER, or PEM")
        parser.add_argument("--client-secret", default="", help="the client's secret, instead of a certificate")
        parser.add_argument("--state", type=Path, help="a file that keeps what it knows over a restart")
        parser.add_argument("--report", type=Path, help="where to write, as JSON, what was posted")
        parser.add_argument("--threads", type=int, default=4, help="how many are posted at a time")
        parser.add_argument("--copies", type=int, default=1, help="how often each case is sent")
        parser.add_argument("--shuffle", type=int, metavar="SEED", help="post in another order")

    def handle(self, *args: Any, **options: Any) -> None:
        stopping, failures = threading.Event(), list[str]()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        needed = options["endpoint"] or options["stories"]
        insurers = _read_insurers(options["insurers"]) if needed else []
        _check_endpoint(options["endpoint"])
        try:
            server = start(options["port"], options["state"])
        except ValueError as error:
            raise CommandError(f"{options['state']} can't be read: {error}") from None
        except (OSError, OverflowError) as error:
            raise CommandError(f"Port {options['port']} or the file can't be had: {error}") from None

        try:
            _register(server, options)
        except CommandError:
            server.stop()
            raise
        if options["stories"] and not options["endpoint"]:
            queue_stories(server.scalepoint, options["stories"], insurers, options["seed"])

        def post() -> None:
            try:
                _post(options, insurers, server, stopping)
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")
                stopping.set()

        with server:
            self.stdout.write(f"Simulator listening on {server.url}")
            self.stdout.flush()
            if options["endpoint"]:
                # Beside the main thread, which listens for the signal and leaves without asking a site that hangs.
                threading.Thread(target=post, name="post", daemon=True).start()
            stopping.wait()
        if failures:
            raise CommandError(failures[0])


def _register(server: Server, options: dict[str, Any]) -> None:
    path, secret = options["certificate"], options["client_secret"]
    if not options["client_id"]:
        if path or secret:
            raise CommandError("--certificate and --client-secret need --client-id.")
        return
    try:
        server.scalepoint.register_client(options["client_id"], [path.read_text()] if path else [], secret)
    except (OSError, ValueError) as error:
        raise CommandError(f"The client can't be registered: {error}") from None


def _post(options: dict[str, Any], insurers: list[dict[str, str]], server: Server, stopping: threading.Event) -> None:
    cases = list(make_cases(options["events"], options["seed"], insurers, server.images_url))
    outcome = send(
        cases,
        options["endpoint"],
        threads=options["threads"],
        copies=options["copies"],
        shuffle=options["shuffle"],
        stopping=stopping,
    )
    told = asdict(outcome) | {"cases": [_told(case) for case in cases]}
    if options["stories"]:
        # Of the same cases: their assignments come a second time, and everything else is news.
        stories = push_stories(
            server.scalepoint,
            options["stories"],
            insurers,
            options["endpoint"],
            options["seed"],
            copies=options["copies"],
            shuffle=options["shuffle"],
        )
        told["stories"] = asdict(stories)
    if options["report"] and not stopping.is_set():
        _write_report(options["report"], told)


def _told(case: Case) -> dict[str, Any]:
    return {"case_number": case.case_number, "service_id": case.service_id, "images": case.images}


def _check_endpoint(endpoint: str | None) -> None:
    try:
        parts = urlsplit(endpoint or "http://none")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(f"{endpoint} is not an address to post to.")


def _read_insurers(path: Path | None) -> list[dict[str, str]]:
    if path is None:
        raise CommandError("--endpoint needs --insurers: whose cases are to be posted? So does --stories.")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} can't be read: {error}") from None
    if not isinstance(found, list) or not found or not all(map(_is_insurer, found)):
        raise CommandError(f"{path} must be a JSON list of objects with {', '.join(_INSURER)}.")
    return found


def _is_insurer(each: Any) -> bool:
    return isinstance(each, dict) and all(isinstance(each.get(name), str) for name in _INSURER)


def _write_report(path: Path, told: dict[str, Any]) -> None:
    """Whole or not at all: somebody may be waiting to read it."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(json.dumps(told, ensure_ascii=False, indent=1))
    half.replace(path)
