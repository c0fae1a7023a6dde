"""Whether this commit is fit for a release: a line for each question, and exit code 1 if one is answered with no."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

APPS = ("crm", "tasks", "scalepoint_integration")
# Asks the models, not a database.
ENVIRONMENT = {**os.environ, "DATABASE_URL": "sqlite://:memory:"}


def run(*command: str, env: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether the command succeeded, and what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def passes(tests: str) -> tuple[bool, str]:
    return run(sys.executable, "-m", "pytest", "-q", "-n", "0", tests)


def clean_tree() -> tuple[bool, str]:
    ran, printed = run("git", "status", "--porcelain")
    return ran and not printed, printed


def changelog_names(version: str, changelog: str) -> tuple[bool, str]:
    """Whether the newest release in the changelog is this version, dated, with nothing unreleased above it."""
    headings = re.findall(r"^## .+$", changelog, re.MULTILINE)
    newest = next((each for each in headings if each != "## [Unreleased]"), "no heading")
    if not re.fullmatch(rf"## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", newest):
        return False, f"pyproject.toml says {version}, CHANGELOG.md says {newest}"
    unreleased = re.search(r"^## \[Unreleased\]$(.*?)(?=^## )", changelog, re.MULTILINE | re.DOTALL)
    return not (unreleased and unreleased[1].strip()), "there are changes below [Unreleased]"


def unsquashed(files: Iterable[str], released: Iterable[str]) -> list[str]:
    """The new migrations of each app that has more than one: since the last release it gets one."""
    new = sorted(set(files) - set(released))
    of_app = {app: [each for each in new if each.startswith(f"{app}/migrations/0")] for app in APPS}
    return [each for migrations in of_app.values() if len(migrations) > 1 for each in migrations]


def migrations_squashed() -> tuple[bool, str]:
    tagged, tag = run("git", "describe", "--tags", "--abbrev=0")
    released = run("git", "ls-tree", "-r", "--name-only", tag)[1].splitlines() if tagged else []
    there = [path.as_posix() for app in APPS for path in Path(app, "migrations").glob("0*.py")]
    left = unsquashed(there, released)
    return not left, "\n".join(left)


def answers() -> Iterator[tuple[str, tuple[bool, str]]]:
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    check = (sys.executable, "manage.py", "makemigrations", "--check", "--dry-run")
    yield "The working tree is clean", clean_tree()
    yield f"CHANGELOG.md has release {version}", changelog_names(version, Path("CHANGELOG.md").read_text())
    yield "Each app has one new migration at most", migrations_squashed()
    yield "The migrations are those of the models", run(*check, env=ENVIRONMENT)
    yield "The wheel holds the three apps", passes("tests/test_packaging.py")
    yield "The lock is whole and installs", passes("tests/test_lock.py")
    yield "The translations are complete", passes("tests/test_translations.py")


def main() -> int:
    fit = True
    for question, (yes, details) in answers():
        fit &= yes
        print(f"{'yes' if yes else 'NO '}  {question}", flush=True)
        if not yes:
            print("\n".join(f"       {line}" for line in details.splitlines()[-10:]), flush=True)
    return 0 if fit else 1


if __name__ == "__main__":
    sys.exit(main())
