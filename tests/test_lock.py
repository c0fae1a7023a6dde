"""The lock: it installs although the index has moved on, and nothing that a pinned package needs is missing in it."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devtools import lock_check

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")


class Index:
    """A folder of tiny wheels, laid out as a package index that pip reads from a file: address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, version: str, *requires: str, extras: tuple[str, ...] = ()) -> str:
        """Add a wheel. Returns its hash as a lock writes it."""
        info = f"{name}-{version}.dist-info"
        head = [f"Name: {name}", f"Version: {version}", *(f"Provides-Extra: {extra}" for extra in extras)]
        head += [f"Requires-Dist: {each}" for each in requires]
        files = {
            f"{name}.py": f'VERSION = "{version}"\n',
            f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *head, ""]),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{info}/RECORD"] = "".join([*map(_record, files.items()), f"{info}/RECORD,,\n"])
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        links = "".join(f'<a href="{each.name}">{each.name}</a>\n' for each in sorted(folder.glob("*.whl")))
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")
        return f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def _record(file: tuple[str, str]) -> str:
    path, text = file
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(text)}\n"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing but pip. It takes seconds to make, and is copied in a tenth of one."""
    folder = tmp_path_factory.mktemp("fresh") / ".venv"
    venv.create(folder, with_pip=True, symlinks=True)
    return folder


def install(folder: Path, fresh: Path, index: Index, lock: str, makefile: str) -> subprocess.CompletedProcess[str]:
    """What a clone does on its first `make`: the Makefile's own commands, on another lock and another index."""
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "home"
    home.mkdir(parents=True)
    folder.chmod(0o700)
    shutil.copytree(fresh, folder / ".venv", symlinks=True)
    (folder / "Makefile").write_text(makefile)
    (folder / "requirements-dev.txt").write_text(lock)
    # Nothing of this machine's: no pip.conf, no cache, no make around this one.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.folder.as_uri(),
    }
    command = ["make", ".venv/.ready", f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def installed(folder: Path) -> dict[str, str]:
    infos = folder.glob(".venv/lib/python*/site-packages/*.dist-info")
    found = dict(info.name.removesuffix(".dist-info").split("-")[:2] for info in infos)
    return {name: version for name, version in found.items() if name not in ("pip", "setuptools")}


@pytest.fixture
def makefile() -> str:
    return (ROOT / "Makefile").read_text()


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "simple")


def test_the_lock_installs_when_newer_versions_of_what_it_pins_have_come_out(
    tmp_path: Path, fresh: Path, index: Index, makefile: str
) -> None:
    clone = tmp_path / "clone"
    cover = index.add("cover", "1.0", 'tomlish; extra == "toml"', extras=("toml",))
    tomlish = index.add("tomlish", "1.0")
    plugin = index.add("plugin", "1.0", "cover[toml]>=1.0")
    lock = f"cover==1.0 {cover}\nplugin==1.0 {plugin}\ntomlish==1.0 {tomlish}\n"
    index.add("cover", "1.1", 'tomlish; extra == "toml"', extras=("toml",))
    index.add("tomlish", "1.1")
    index.add("plugin", "1.1", "cover[toml]>=1.1")

    done = install(clone, fresh, index, lock, makefile)
    assert done.returncode == 0, done.stderr
    assert (clone / ".venv" / ".ready").exists()
    assert installed(clone) == {"cover": "1.0", "plugin": "1.0", "tomlish": "1.0"}

    # With a resolver it fails: so the index above is one that tells the two ways from each other.
    resolving = makefile.replace(" --no-deps", "")
    assert resolving != makefile
    failed = install(clone, fresh, index, lock, resolving)
    assert failed.returncode != 0
    assert "--require-hashes" in failed.stderr
    assert not (clone / ".venv" / ".ready").exists()


def test_a_lock_with_a_gap_is_named_and_not_called_ready(
    tmp_path: Path, fresh: Path, index: Index, makefile: str
) -> None:
    plugin = index.add("plugin", "1.0", "tomlish")
    index.add("tomlish", "1.0")
    done = install(tmp_path / "clone", fresh, index, f"plugin==1.0 {plugin}\n", makefile)
    assert done.returncode != 0
    assert "plugin 1.0 requires tomlish, which is not installed" in done.stdout + done.stderr
    assert not (tmp_path / "clone" / ".venv" / ".ready").exists()


def locked(lock: str) -> dict[str, Requirement]:
    return {canonicalize_name(pin.name): pin for pin, _hashes in pins(lock)}


def pins(lock: str) -> Iterator[tuple[Requirement, str]]:
    """Each pin for this Python and this system, with the lines of its hashes."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        pin, *hashes = line.split(" --hash=")
        requirement = Requirement(pin)
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement, " ".join(hashes)


def gaps(wanted: list[Requirement], extras: frozenset[str], lock: Mapping[str, Requirement]) -> list[str]:
    """Which of these requirements the lock does not meet: none at all, another version, or without an extra."""
    found = []
    for requirement in wanted:
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        pin = lock.get(canonicalize_name(requirement.name))
        if pin is None:
            found.append(f"{requirement}: not in the lock")
        elif not requirement.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True):
            found.append(f"{requirement}: the lock has {pin}")
        elif not requirement.extras <= pin.extras:
            found.append(f"{requirement}: the lock has {pin}, without the extra")
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_all_that_its_packages_need(name: str) -> None:
    lock = locked(name)
    assert len(lock) > 30
    for key, pin in lock.items():
        # The metadata is that of the installed version, so it must be the pinned one: `make` installs it.
        assert pin.specifier.contains(metadata.version(key), prereleases=True), f"{pin} is not what is installed"
        requires = [Requirement(each) for each in metadata.requires(key) or ()]
        assert not gaps(requires, frozenset(pin.extras), lock), key


@pytest.mark.parametrize(("name", "extras"), [(LOCKS[0], ("site",)), (LOCKS[1], ("site", "dev"))])
def test_the_lock_is_that_of_pyproject(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    wanted: list[Requirement] = [Requirement(each) for each in project["dependencies"]]
    names = list(extras)
    for extra in names:
        for requirement in map(Requirement, optional[extra]):
            if requirement.name == project["name"]:
                names += [each for each in requirement.extras if each not in names]
            else:
                wanted.append(requirement)
    assert not gaps(wanted, frozenset(), locked(name))


def test_a_site_installs_the_same_versions_as_the_tests() -> None:
    site, dev = ({pin.name: pin.specifier for pin, _hashes in pins(name)} for name in LOCKS)
    assert site.items() <= dev.items()
    assert set(dev) - set(site)


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_one_version_and_a_hash(name: str) -> None:
    for pin, hashes in pins(name):
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert re.fullmatch(r"(sha256:[0-9a-f]{64}\s*)+", hashes), pin


def test_a_gap_is_seen() -> None:
    lock = {"cover": Requirement("cover==1.0"), "plugin": Requirement("plugin[fast]==2.0")}
    assert gaps([Requirement("tomlish")], frozenset(), lock) == ["tomlish: not in the lock"]
    assert gaps([Requirement("cover>1")], frozenset(), lock) == ["cover>1: the lock has cover==1.0"]
    assert gaps([Requirement("cover[toml]")], frozenset(), lock)
    assert gaps([Requirement('tomlish; extra == "toml"')], frozenset({"toml"}), lock)
    assert not gaps([Requirement('tomlish; extra == "toml"')], frozenset({"fast"}), lock)
    assert not gaps([Requirement("plugin[fast]>=1.5")], frozenset(), lock)


def test_the_report_on_the_lock_says_what_it_could_not_ask() -> None:
    assert lock_check.newer(None) == ["Newer versions: PyPI could not be reached."]
    assert lock_check.newer([]) == ["Newer versions: none."]
    row = {"name": "django", "version": "5.2.19", "latest_version": "5.2.20"}
    assert lock_check.newer([row])[1] == "  django 5.2.19 -> 5.2.20"
    assert lock_check.newer([{**row, "name": "pip"}]) == ["Newer versions: none."]

    skipped = {"name": "django", "version": "5.2.19", "skip_reason": "not found"}
    for report in (None, {"dependencies": [skipped]}):
        lines, found = lock_check.advisories(report)
        assert lines == ["Known advisories: not checked, the advisory service could not be reached."]
        assert not found
    clean = {"name": "redis", "version": "8.1.0", "vulns": []}
    lines, found = lock_check.advisories({"dependencies": [skipped, clean]})
    assert lines == ["Known advisories: none in 1 pins; 1 could not be checked."]
    assert not found
    hit = {"name": "pillow", "version": "13.0.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["13.0.1"]}]}
    lines, found = lock_check.advisories({"dependencies": [clean, hit]})
    assert lines[1:] == ["  pillow 13.0.0: PYSEC-1, fixed in: 13.0.1"]
    assert found
