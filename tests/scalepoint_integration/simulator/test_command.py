"""``manage.py scalepoint_simulator``: a process that posts, reports, serves on, and ends when it is asked to."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INSURERS = [{"name": "N", "alias": "n", "sub_alias": "", "token": "secret-token"}]
# No server at all is needed, and none is there.
NOWHERE = {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", "DJANGO_SETTINGS_MODULE": "settings.base"}


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/scalepoint/v1/2332/"
        server.shutdown()


@pytest.fixture
def insurers(tmp_path) -> Path:
    path = tmp_path / "insurers.json"
    path.write_text(json.dumps(INSURERS))
    return path


@pytest.fixture
def run():
    """run(words ...): the process and its address, once it listens."""
    started = []

    def run_(*words: object) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", "scalepoint_simulator", *map(str, words)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **NOWHERE},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        found = re.fullmatch(r"Simulator listening on (http://127\.0\.0\.1:\d+)\n", line)
        return process, found[1] if found else line

    yield run_
    for process in started:
        process.kill()
        process.communicate()


def image(url: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request("GET", "/images/roof.jpg")
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_only_serves_and_ends_cleanly(run, number):
    process, url = run("--port", 0)
    assert image(url) == 200
    process.send_signal(number)
    assert process.communicate(timeout=5)[0] == ""
    assert process.returncode == 0


def test_it_posts_writes_the_report_and_serves_on(run, endpoint, insurers, tmp_path):
    report = tmp_path / "report.json"
    words = ("--endpoint", endpoint, "--insurers", insurers, "--events", 15, "--seed", 3, "--report", report)
    process, url = run("--port", 0, *words)
    deadline = time.monotonic() + 30
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    told = json.loads(report.read_text())
    assert (told["posted"], told["accepted"], told["errors"]) == (15, 15, [])
    assert len(told["cases"]) == 15
    assert set(told["cases"][0]) == {"case_number", "service_id", "images"}
    assert "secret-token" not in report.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["insurers.json", "report.json"]
    assert image(url) == 200
    process.terminate()
    assert process.wait(5) == 0


def test_it_ends_while_it_waits_for_a_site_that_is_not_there(run, insurers, tmp_path):
    words = ("--endpoint", "http://127.0.0.1:9/", "--insurers", insurers, "--report", tmp_path / "report.json")
    process, url = run("--port", 0, *words)
    assert image(url) == 200  # it serves before the site takes anything
    process.terminate()
    assert process.wait(5) == 0
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--port", "99999"], "can't be had"),
        (["--state", "/nowhere/state.json"], "can't be had"),
        (["--state", "{broken}"], "can't be read: not a state of the simulator"),
        (["--endpoint", "http://x/"], "needs --insurers"),
        (["--endpoint", "ftp://x/", "--insurers", "{insurers}"], "is not an address"),
        (["--endpoint", "http://x:99999/", "--insurers", "{insurers}"], "is not an address"),
        (["--endpoint", "http://x/", "--insurers", "/nowhere.json"], "can't be read"),
        (["--endpoint", "http://x/", "--insurers", "{broken}"], "must be a JSON list"),
    ],
)
def test_what_it_can_not_do_it_says(run, insurers, tmp_path, words, why):
    broken = tmp_path / "broken.json"
    broken.write_text('[{"name": "N"}]')
    process, line = run("--port", 0, *(each.format(insurers=insurers, broken=broken) for each in words))
    assert why in line + process.communicate(timeout=10)[0]
    assert process.returncode == 1


def test_a_report_that_can_not_be_written_is_an_error(run, endpoint, insurers):
    words = ("--endpoint", endpoint, "--insurers", insurers, "--events", 1, "--report", "/nowhere/report.json")
    process, _ = run("--port", 0, *words)
    assert "FileNotFoundError" in process.communicate(timeout=20)[0]
    assert process.returncode == 1
