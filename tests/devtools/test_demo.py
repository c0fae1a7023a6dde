"""The demo, as `make demo` runs it: what dies comes back on the same address, and nothing is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from devtools.demo import _answers, read_options
from devtools.processes import free_port, is_free, members, wait_for
from devtools.supervisor import Failed
from tests.support.servers import under

ROOT = Path(__file__).parent.parent.parent
PARTS = {"web", "worker", "image_worker", "beat", "simulator", "postgres", "redis"}


@pytest.fixture
def demo(tmp_path):
    """A running demo: its process, what READY says, and the folder it lives in."""
    ready = tmp_path / "ready.json"
    places = {"TMPDIR": str(tmp_path), "READY": str(ready), "PORT": str(free_port()), "EVENTS": "3", "WORKERS": "1"}
    if os.geteuid() == 0:
        places.pop("TMPDIR")
    strange = {"PYTHONPATH": "/nonexistent", "DJANGO_SETTINGS_MODULE": "of.somebody.else", "GRANIAN_PORT": "1"}
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "ONCE")}
    log = (tmp_path / "demo.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "devtools.demo"],
        env=environment | strange | places,
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None, 120)
        assert ready.exists(), (tmp_path / "demo.log").read_text()
        facts = json.loads(ready.read_bytes())
        place = Path(f"/proc/{facts['pids']['redis']}/cwd").readlink().parent
        yield process, ready, place
    finally:
        process.terminate()
        process.wait(60)


def pids(ready):
    return json.loads(ready.read_bytes())["pids"]


@pytest.mark.faults
def test_whatever_is_killed_comes_back_on_the_same_address(demo):
    process, ready, place = demo
    facts = json.loads(ready.read_bytes())
    assert ready.stat().st_mode & 0o777 == 0o600
    assert set(facts["pids"]) == PARTS
    with psycopg.connect(facts["database_url"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    redis.Redis.from_url(facts["redis_url"]).set("kept", "7")

    for name in sorted(PARTS):
        old = pids(ready)[name]
        os.kill(old, signal.SIGKILL)
        assert wait_for(lambda: pids(ready)[name] != old, 30), f"{name} did not come back"  # noqa: B023
        assert members(old) == [], f"{name} left children behind"

    now = json.loads(ready.read_bytes())
    assert {**now, "pids": {}} == {**facts, "pids": {}}
    port = int(facts["endpoint"].split(":")[2].split("/")[0])
    assert wait_for(lambda: _answers(port, "/admin/login/"), 30)
    with psycopg.connect(facts["database_url"]) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    assert redis.Redis.from_url(facts["redis_url"]).get("kept") == b"7"

    process.terminate()
    assert process.wait(60) == 0
    assert under(str(place)) == []
    assert not place.exists()


@pytest.mark.faults
def test_a_killed_demo_leaves_no_process_and_no_folder(demo):
    process, ready, place = demo
    groups = pids(ready).values()
    process.kill()
    process.wait(10)

    def is_gone():
        return not place.exists() and not under(str(place)) and not any(map(members, groups))

    assert wait_for(is_gone, 20), [under(str(place)), *map(members, groups)]


def test_a_port_that_was_asked_for_and_is_taken_is_refused_by_name(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(Failed, match=f"Port {port} is taken"):
            read_options()


def test_the_usual_port_gives_way_to_a_free_one(monkeypatch):
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setattr("devtools.demo.is_free", lambda port: False)
    port = read_options().port
    assert port != 8000
    assert is_free(port)


@pytest.mark.parametrize(("name", "value"), [("EVENTS", "many"), ("EVENTS", "-1"), ("WORKERS", "0"), ("PORT", "x")])
def test_an_option_that_is_no_number_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(Failed, match=f"{name}={value}"):
        read_options()
