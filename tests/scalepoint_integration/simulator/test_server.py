"""What the simulator serves, and how it starts and ends."""

import hashlib
import http.client
import io
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from PIL import Image

from scalepoint_integration.simulator.pictures import SIZE, draw
from scalepoint_integration.simulator.server import start


@pytest.fixture(scope="module")
def server():
    with start() as running:
        yield running


def get(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request(method, parts.path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_health(server):
    assert get(f"{server.url}/health")[::2] == (200, b'{"status": "ok"}')


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("png", "PNG")])
def test_an_image_is_the_same_for_the_same_name(server, ending, kind):
    status, headers, content = get(f"{server.images_url}/20310506-01-1.{ending}")
    assert (status, headers["Content-Type"]) == (200, f"image/{kind.lower()}")
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size) == (kind, SIZE)
    draw.cache_clear()
    assert get(f"{server.images_url}/20310506-01-1.{ending}")[2] == content
    assert get(f"{server.images_url}/20310506-01-2.{ending}")[2] != content


def test_pictures_all_differ():
    assert len({hashlib.sha256(draw(f"same-{number}")).digest() for number in range(60)}) == 60


@pytest.mark.parametrize("path", ["/", "/images/", "/images/a.gif", "/images/../health", "/images/bad/unknown.jpg"])
def test_unknown_addresses(server, path):
    assert get(f"{server.url}{path}")[0] == 404


def test_a_post_that_nobody_takes(server):
    assert get(f"{server.url}/health", "POST", b"x" * 100_000)[0] == 404


def test_it_remembers_what_was_asked(server):
    get(f"{server.images_url}/remembered.jpg")
    assert server.requests[-1] == "GET /images/remembered.jpg"


def test_it_listens_on_loopback_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_it_ends_at_once_although_an_answer_hangs():
    before = threading.active_count()
    server = start()
    with socket.create_connection(server.server_address) as hanging:
        hanging.sendall(b"GET /images/bad/hang.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        while not server.requests:
            time.sleep(0.01)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1
        assert hanging.recv(10) == b""
    with pytest.raises(OSError):
        get(f"{server.url}/health")
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_port_that_is_taken(server):
    with pytest.raises(OSError):
        start(server.server_address[1])
