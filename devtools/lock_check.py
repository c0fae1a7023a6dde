"""Which pins of the lock have a newer version, and which have a known advisory. Asks PyPI, so it is no test.

Exits with 1 if there is an advisory, else with 0, also when PyPI can't be asked.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = "requirements-dev.txt"
TOOLS = Path(sys.executable).parent
SECONDS = 180
# Tells this environment from what uv would otherwise look for.
ENVIRONMENT = {**os.environ, "VIRTUAL_ENV": sys.prefix}


def ask(*command: str) -> Any:
    """The JSON that a command prints, or None if there is none: no network, no answer in time."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env=ENVIRONMENT, stdin=subprocess.DEVNULL
        )
        return json.loads(answer.stdout)
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None


def newer(rows: list[dict[str, str]] | None) -> list[str]:
    """The report on newer versions. ``rows``: what ``uv pip list --outdated`` prints."""
    if rows is None:
        return ["Newer versions: PyPI could not be reached."]
    pinned = set(re.findall(r"^[\w.-]+", Path(LOCK).read_text(), re.MULTILINE))
    rows = [row for row in rows if row["name"] in pinned]  # pip itself is the venv's, not the lock's
    if not rows:
        return ["Newer versions: none."]
    lines = [f"  {row['name']} {row['version']} -> {row['latest_version']}" for row in rows]
    return [f"Newer versions: {len(rows)}. `make lock ARGS=--upgrade` takes those that pyproject.toml allows.", *lines]


def advisories(report: dict[str, Any] | None) -> tuple[list[str], bool]:
    """The report on advisories, and whether there is one. ``report``: what pip-audit prints."""
    pins = report["dependencies"] if report else []
    looked_up = [pin for pin in pins if "skip_reason" not in pin]
    if not looked_up:
        return ["Known advisories: not checked, the advisory service could not be reached."], False
    lines = [
        f"  {pin['name']} {pin['version']}: {advisory['id']}, fixed in: {', '.join(advisory['fix_versions'])}"
        for pin in looked_up
        for advisory in pin["vulns"]
    ]
    left_out = len(pins) - len(looked_up)
    head = f"Known advisories: {len(lines) or 'none'} in {len(looked_up)} pins"
    return [f"{head}; {left_out} could not be checked." if left_out else f"{head}.", *lines], bool(lines)


def main() -> int:
    outdated = newer(ask(str(TOOLS / "uv"), "pip", "list", "--quiet", "--outdated", "--format", "json"))
    # pip-audit is fetched for the occasion: its own thirty packages have no place in the lock.
    audit = (str(TOOLS / "uvx"), "--quiet", "pip-audit", "--requirement", LOCK, "--no-deps", "--disable-pip")
    known, found = advisories(ask(*audit, "--format", "json", "--progress-spinner", "off"))
    print("\n".join([*outdated, *known]))
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
