"""The questions that `make release-check` answers by itself."""

import pytest

from devtools.release_check import changelog_names, unsquashed

RELEASED = "# Changelog\n\n## [Unreleased]\n{}\n## [0.1.0] - 2026-12-01\n\n### Added\n\n- All of it.\n"


@pytest.mark.parametrize(
    ("changelog", "fit"),
    [
        (RELEASED.format(""), True),
        (RELEASED.replace("## [Unreleased]\n{}\n", ""), True),
        (RELEASED.format("\n### Fixed\n\n- One more.\n"), False),
        (RELEASED.format("").replace("0.1.0", "0.2.0"), False),
        (RELEASED.format("").replace(" - 2026-12-01", ""), False),
        ("# Changelog\n\n## [Unreleased]\n", False),
        ("# Changelog\n", False),
    ],
)
def test_the_changelog_names_the_release_and_leaves_nothing_above_it(changelog: str, fit: bool) -> None:
    assert changelog_names("0.1.0", changelog)[0] is fit


def test_a_release_brings_one_migration_for_an_app() -> None:
    first, second, third = (f"crm/migrations/000{number}_x.py" for number in (1, 2, 3))
    other = "tasks/migrations/0001_initial.py"
    assert unsquashed([first, other], []) == []
    assert unsquashed([first, second, other], []) == [first, second]
    assert unsquashed([first, second, other], [first, other]) == []
    assert unsquashed([first, second, third], [first]) == [second, third]
