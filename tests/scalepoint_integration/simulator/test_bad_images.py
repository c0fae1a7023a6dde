"""Images that misbehave, each in its one way, as seen on the wire."""

import gzip
import http.client
import io
import socket
import struct
from urllib.parse import urlsplit

import pytest
from PIL import Image

from scalepoint_integration.simulator.pictures import draw
from tests.scalepoint_integration.simulator.conftest import call


@pytest.fixture
def images(simulator) -> str:
    return f"{simulator.images_url}/bad"


def raw(url: str, most: int, seconds: float = 10) -> bytes:
    """The first bytes of an answer as they are, at most so many; fewer where the connection ends. A reset is b"!"."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=seconds) as link:
        link.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        came = b""
        try:
            while len(came) < most and (piece := link.recv(most - len(came))):
                came += piece
        except ConnectionResetError:
            came += b"!"
        return came


@pytest.mark.parametrize(
    ("name", "status", "to"),
    [
        ("redirect", 302, "/images/moved.jpg"),
        ("loop", 302, "loop.jpg"),
        ("private", 302, "https://169.254.169.254/latest/meta-data/"),
        ("file", 302, "file:///etc/passwd"),
        ("status-410", 410, None),
        ("status-503", 503, None),
    ],
)
def test_another_answer(images, name, status, to):
    answer = call(f"{images}/{name}.jpg")
    assert (answer.status, answer.headers["Location"], answer.content) == (status, to, b"")
    if not to:
        assert answer.headers["Retry-After"] == "7"


def test_the_good_redirect_leads_to_a_picture(simulator, images):
    to = call(f"{images}/redirect.jpg").headers["Location"]
    assert call(f"{simulator.url}{to}").content == draw("moved")


def test_one_that_is_good_the_second_time(images):
    first, second = (call(f"{images}/flaky-wire.jpg") for _ in range(2))
    assert (first.status, first.headers["Retry-After"]) == (503, "1")
    assert (second.status, second.content) == (200, draw("flaky-wire"))


@pytest.mark.parametrize(
    ("name", "begins"),
    [("html", b"<!doctype html>"), ("svg", b"<svg"), ("empty", b"")],
)
def test_no_picture_under_the_name_of_one(images, name, begins):
    answer = call(f"{images}/{name}.jpg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.content.startswith(begins)
    assert bool(answer.content) == bool(begins)


def test_half_a_picture(images):
    whole = draw("half")
    cut = call(f"{images}/cut.jpg")
    assert cut.content == whole[: len(whole) // 2]
    assert int(cut.headers["Content-Length"]) == len(cut.content)
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(f"{images}/truncated.jpg")
    assert caught.value.partial == cut.content
    came = raw(f"{images}/reset.jpg", 10**7)
    assert came.endswith(b"!"), "a reset, and no orderly end"
    assert f"Content-Length: {len(whole)}".encode() in came


def test_more_than_anybody_can_hold(images):
    head, _, body = raw(f"{images}/huge.jpg", 500_000).partition(b"\r\n\r\n")
    assert f"Content-Length: {2**40}".encode() in head
    assert set(body) == {0xFF}
    head, _, body = raw(f"{images}/endless.jpg", 500_000).partition(b"\r\n\r\n")
    assert b"chunked" in head
    assert b"Content-Length" not in head
    assert body.startswith(b"10000\r\n\xff")
    assert len(body) > 490_000


def test_small_on_the_wire_and_large_inside(images):
    packed = call(f"{images}/gzip.jpg")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.content) < 20_000
    assert len(gzip.decompress(packed.content)) == 10 * 1024 * 1024
    bomb = call(f"{images}/bomb.png").content
    assert len(bomb) < 120_000
    assert bomb.startswith(b"\x89PNG")
    assert struct.unpack(">II", bomb[16:24]) == (30_000, 30_000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb))


def test_a_slow_one_comes_byte_by_byte(images):
    came = raw(f"{images}/slow.jpg", 170)
    head, _, body = came.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert draw("slow").startswith(body)
    with pytest.raises(TimeoutError):
        raw(f"{images}/slow.jpg", 10_000, seconds=0.01)
    assert b"\r\n\r\n" not in raw(f"{images}/slow-head.jpg", 40), "a head without end"
    with pytest.raises(TimeoutError):
        raw(f"{images}/hang.jpg", 1, seconds=0.2)
