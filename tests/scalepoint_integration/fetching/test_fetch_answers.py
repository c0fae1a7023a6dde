"""Opening foreign addresses: how long, how much, and what an answer means. Against real servers on loopback."""

import socket
import threading
import time

import pytest

from scalepoint_integration.fetching.fetch import fetch
from scalepoint_integration.fetching.picture import read_picture
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.fetching.listeners import NAME, OK, Listener, drip


# ---- Time and size ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["hang", "slow-head", "slow"])
def test_slowness_ends_at_the_deadline(server, trust, name):
    trust(server.url, image_seconds=0.6)
    began = time.monotonic()
    with pytest.raises(RetryableError, match=r"took longer than 0\.6 s"):
        fetch(f"{server.images_url}/bad/{name}.jpg")
    assert 0.5 < time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_a_drip_anywhere_in_the_answer_ends_in_time(raw, head, piece):
    began = time.monotonic()
    with pytest.raises(RetryableError):
        raw(drip(head, piece), image_seconds=0.5)
    assert time.monotonic() - began < 2.5


def test_the_deadline_is_one_for_all_hops(trust):
    def slow(connection: socket.socket) -> None:
        time.sleep(0.3)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with Listener(slow) as listener:
        trust(f"http://127.0.0.1:{listener.port}", image_seconds=0.7)
        with pytest.raises(RetryableError, match="took longer"):
            fetch(f"http://127.0.0.1:{listener.port}/")
        assert listener.connections == 3


def test_a_resolver_that_hangs_ends_in_time(monkeypatch, trust):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: release.wait(30) and [])
    trust(image_seconds=0.4)
    began = time.monotonic()
    with pytest.raises(RetryableError, match="took longer"):
        fetch(f"https://{NAME}/")
    release.set()
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("name", ["huge", "endless"])
def test_too_much_is_refused(server, trust, name):
    trust(server.url, image_seconds=5, image_max_bytes=1_000_000)
    began = time.monotonic()
    with pytest.raises(PermanentError, match="SP-302 larger than 1000000 bytes"):
        fetch(f"{server.images_url}/bad/{name}.jpg")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("head", ["Content-Length: {}\r\n", "Connection: close\r\n"])
def test_the_limit_is_exact(raw, head):
    def answer(size: int) -> bytes:
        return f"HTTP/1.1 200 OK\r\n{head.format(size)}\r\n".encode() + bytes(size)

    assert len(raw(answer(100_000), image_max_bytes=100_000)) == 100_000
    with pytest.raises(PermanentError, match="SP-302"):
        raw(answer(100_001), image_max_bytes=100_000)


def test_a_connection_kept_open_after_the_last_byte_is_not_waited_for(raw):
    def linger(connection: socket.socket) -> None:
        connection.sendall(OK)
        time.sleep(3)

    began = time.monotonic()
    assert raw(linger) == b"good"
    assert time.monotonic() - began < 1


# ---- Answers ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 418, 451, 204, 206, 300, 304])
def test_final_answers(server, trust, status):
    trust(server.url, image_seconds=5)
    with pytest.raises(PermanentError, match=f"SP-301 127.0.0.1 answered {status}"):
        fetch(f"{server.images_url}/bad/status-{status}.jpg?sig=secret")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_answers_that_may_change(server, trust, status):
    trust(server.url, image_seconds=5)
    with pytest.raises(RetryableError, match=f"answered {status}") as caught:
        fetch(f"{server.images_url}/bad/status-{status}.jpg?sig=secret")
    assert caught.value.seconds == 7


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("0", 0),
        ("120", 120),
        ("999999", 3600),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600),
        ("9" * 40, None),
        ("-5", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_retry_after(raw, said, meant):
    with pytest.raises(RetryableError) as caught:
        raw(f"HTTP/1.1 503 No\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n".encode())
    assert caught.value.seconds == meant


def test_unavailable_and_then_good(server, trust):
    trust(server.url, image_seconds=5)
    with pytest.raises(RetryableError) as caught:
        fetch(f"{server.images_url}/bad/flaky-a.jpg")
    assert caught.value.seconds == 1
    assert read_picture(fetch(f"{server.images_url}/bad/flaky-a.jpg")).width == 800


@pytest.mark.parametrize("name", ["html.jpg", "svg.jpg", "empty.jpg", "cut.jpg", "gzip.jpg", "bomb.png"])
def test_an_answer_that_is_no_good_picture_is_refused_for_good(server, trust, name):
    trust(server.url, image_seconds=5)
    with pytest.raises(PermanentError) as caught:
        read_picture(fetch(f"{server.images_url}/bad/{name}"))
    assert caught.value.code == "SP-302"


@pytest.mark.parametrize("name", ["reset", "truncated"])
def test_a_connection_that_breaks_may_work_later(server, trust, name):
    trust(server.url, image_seconds=5)
    with pytest.raises(RetryableError):
        fetch(f"{server.images_url}/bad/{name}.jpg")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngo",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 70000,
    ],
)
def test_what_is_no_answer_may_be_one_later(raw, answer):
    with pytest.raises(RetryableError):
        raw(answer)


@pytest.mark.parametrize(
    "header", ["Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: gzip, chunked"]
)
def test_what_is_packed_is_not_unpacked(raw, header):
    with pytest.raises(PermanentError, match="SP-302 packed"):
        raw(f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 4\r\n\r\ngood".encode())


def test_an_identity_encoding_is_none(raw):
    assert raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: 4\r\n\r\ngood") == b"good"


def test_nobody_listens(trust):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    trust(f"http://127.0.0.1:{port}", image_seconds=5)
    with pytest.raises(RetryableError, match="no connection") as caught:
        fetch(f"http://127.0.0.1:{port}/x.jpg?sig=secret-signature")
    assert "secret" not in str(caught.value)
