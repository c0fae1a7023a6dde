"""Servers that are slow, silent, endless or broken: nothing waits for ever, nothing fills the memory."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from pytest_django import Settings

from scalepoint_integration import client
from scalepoint_integration.client import calls
from scalepoint_integration.client.web import check_address
from scalepoint_integration.models import Connection
from scalepoint_integration.workqueue import PermanentError, RetryableError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
pytestmark = pytest.mark.usefixtures("tokens")
Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def listener(talk: Talk) -> Iterator[str]:
    """A server that reads the request and then does as it likes. Yields its origin."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while not ended.is_set():
                    link, _address = server.accept()
                    with link, suppress(OSError):
                        link.recv(65536)
                        talk(link, ended)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def silent(link: socket.socket, ended: threading.Event) -> None:
    ended.wait(30)


def drip(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    while not ended.wait(0.1):
        link.sendall(b" ")


def drip_in_chunks(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not ended.wait(0.1):
        link.sendall(b"1\r\n \r\n")


def endless(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b"\r\n")
    while not ended.is_set():
        link.sendall(b" " * 65536)


def endless_redirect(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
    while not ended.is_set():
        link.sendall(b" " * 65536)


def cut(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"data": []}')


def cut_in_chunks(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b'Transfer-Encoding: chunked\r\n\r\nc\r\n{"data": []}\r\n')


def closing(link: socket.socket, ended: threading.Event) -> None:
    pass


def no_http(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(b"220 mail.example ESMTP\r\n")


def packed(link: socket.socket, ended: threading.Event) -> None:
    link.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")


@pytest.fixture
def quick(settings: Settings) -> Callable[[Connection, str], None]:
    def use(connection: Connection, url: str) -> None:
        limits = {"CLIENT_SECONDS": 0.5, "CLIENT_POLL_SECONDS": 0.5, "CLIENT_MAX_ANSWER_BYTES": 1_000_000}
        trusted = [*settings.SCALEPOINT["CLIENT_TRUSTED_ORIGINS"], url]
        settings.SCALEPOINT = {"CLIENT_TRUSTED_ORIGINS": trusted, **limits}
        connection.api_url = url

    return use


Quick = Callable[[Connection, str], None]


@pytest.mark.parametrize("talk", [silent, drip, drip_in_chunks, cut, cut_in_chunks, closing, no_http])
def test_a_server_that_gives_no_answer(connection: Connection, quick: Quick, talk: Talk) -> None:
    with listener(talk) as url:
        quick(connection, url)
        begun = time.monotonic()
        with pytest.raises(RetryableError) as failure:
            client.settlement(connection, "r1")
        assert time.monotonic() - begun < 3
    assert failure.value.code == "SP-401"
    assert "r1" not in str(failure.value)


@pytest.mark.parametrize("talk", [drip, drip_in_chunks, cut, cut_in_chunks, closing, no_http, packed])
def test_a_poll_that_breaks_is_tried_again(connection: Connection, quick: Quick, talk: Talk) -> None:
    with listener(talk) as url:
        quick(connection, url)
        with pytest.raises(RetryableError):
            client.receive(connection, "_6")


def test_a_poll_that_is_silent_is_no_news(connection: Connection, quick: Quick) -> None:
    with listener(silent) as url:
        quick(connection, url)
        assert client.receive(connection, "_6") == client.Batch([], "_6", "")


@pytest.mark.parametrize("status", [b"504 Gateway Timeout", b"408 Request Timeout", b""])
def test_a_gateway_that_ends_a_poll(
    connection: Connection, quick: Quick, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(link: socket.socket, ended: threading.Event) -> None:
        time.sleep(0.2)
        link.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n" if status else b"")

    with listener(late) as url:
        quick(connection, url)
        with pytest.raises(RetryableError):
            client.receive(connection, "_6")
        monkeypatch.setattr(calls, "_HELD_SECONDS", 0.1)
        assert client.receive(connection, "_6").events == []


def test_silence_at_the_token_address_is_an_error(connection: Connection, quick: Quick) -> None:
    with listener(silent) as url:
        quick(connection, url)
        connection.token_url = f"{url}/connect/token"
        with pytest.raises(RetryableError):
            client.receive(connection, "_6")


def test_an_endless_answer_is_left(connection: Connection, quick: Quick) -> None:
    with listener(endless) as url:
        quick(connection, url)
        with pytest.raises(PermanentError) as failure:
            client.receive(connection)
        assert failure.value.code == "SP-405"
        # What was sent has arrived, whatever is said about it.
        assert client.send(connection, "x", {}).status == 200


def test_an_endless_redirect_is_left(connection: Connection, quick: Quick) -> None:
    with listener(endless_redirect) as url:
        quick(connection, url)
        with pytest.raises(PermanentError) as failure:
            client.send(connection, "x", {})
        assert failure.value.facts["status"] == 302


def test_nobody_there(connection: Connection, quick: Quick) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    quick(connection, url)
    for call in (lambda: client.send(connection, "x", {}), lambda: client.receive(connection)):
        with pytest.raises(RetryableError):
            call()


def test_a_certificate_that_nobody_vouches_for(connection: Connection, quick: Quick, certificate: str) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen = []

    def talk(link: socket.socket, ended: threading.Event) -> None:
        seen.append(link)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            link, _address = server.accept()
            with link, suppress(OSError), context.wrap_socket(link, server_side=True) as inside:
                seen.append(inside.recv(10))

        threading.Thread(target=serve, daemon=True).start()
        quick(connection, f"https://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(RetryableError):
            client.send(connection, "x", {})
    assert not seen


@pytest.fixture
def certificate(connection: Connection, tmp_path_factory: pytest.TempPathFactory) -> str:
    from scalepoint_integration.client.keys import make_key

    key = make_key(connection)
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_text(key.certificate + key.private_key)
    return str(path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8900/x", "https://anywhere.example", "http://[::1]:80"])
def test_addresses_that_may_be_called(settings: Settings, url: str) -> None:
    settings.SCALEPOINT = {"CLIENT_TRUSTED_ORIGINS": ["http://127.0.0.1:8900", "http://[::1]"]}
    assert check_address(url)
    with pytest.raises(PermanentError):
        check_address("http://127.0.0.1:8901")
