"""Servers to fetch from: all on loopback, which only the trusted origins of the settings allow."""

import socket
from collections.abc import Callable, Iterator

import pytest

from scalepoint_integration.fetching.fetch import fetch
from scalepoint_integration.simulator import server as simulator
from tests.scalepoint_integration.fetching.listeners import Listener


@pytest.fixture(scope="module")
def server() -> Iterator[simulator.Server]:
    with simulator.start() as running:
        yield running


@pytest.fixture
def trust(settings):
    """Set the settings of SCALEPOINT: trust(origin, ..., image_seconds=...)."""

    def set_(*origins: str, **others: object) -> None:
        settings.SCALEPOINT = {"IMAGE_TRUSTED_ORIGINS": origins} | {key.upper(): val for key, val in others.items()}

    set_(image_seconds=5)
    return set_


@pytest.fixture
def raw(trust):
    """A raw answer, fetched: raw(b"HTTP/1.1 ...", image_seconds=...)."""

    def fetch_(answer: bytes | Callable[[socket.socket], None], **others: object) -> bytes:
        with Listener(answer) as listener:
            trust(f"http://127.0.0.1:{listener.port}", **{"image_seconds": 5, **others})
            return fetch(f"http://127.0.0.1:{listener.port}/x.jpg?sig=secret-signature")

    return fetch_


@pytest.fixture
def resolve(monkeypatch):
    """Let every name have these addresses: resolve("1.2.3.4", ...). Gives the list of what was looked up."""

    def set_(*addresses: str) -> list[str]:
        looked_up: list[str] = []

        def getaddrinfo(host, port, *args, **kwargs):
            looked_up.append(host)
            kinds = [
                (socket.AF_INET6, (each, port, 0, 0)) if ":" in each else (socket.AF_INET, (each, port))
                for each in addresses
            ]
            return [(family, socket.SOCK_STREAM, 6, "", sockaddr) for family, sockaddr in kinds]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return looked_up

    return set_


@pytest.fixture
def canary(monkeypatch) -> Iterator[Listener]:
    """A listener that nobody may reach. Every connection attempt of this process is counted too, to any port."""
    connect = socket.socket.connect
    with Listener() as listener:

        def counted(sock: socket.socket, address: object) -> None:
            listener.connections += 1
            connect(sock, address)

        monkeypatch.setattr(socket.socket, "connect", counted)
        yield listener
