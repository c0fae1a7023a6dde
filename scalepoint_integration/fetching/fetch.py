"""Open an address that a stranger gave us, without being led anywhere else. Nothing else here opens foreign addresses.

>>> fetch("https://images.example/7.jpg?signature=...")
b"\\xff\\xd8..."

Every hop is parsed once, resolved once and checked, and the connection goes to the very address that was checked.
Written on sockets and http.client, because there is nothing to switch off in them: an HTTP library resolves a second
time, takes proxies and passwords from the environment, follows redirects, unpacks what it gets, and has a time limit
per read only, which an answer of one byte a second never reaches.
"""

import http.client
import io
import os
import queue
import socket
import ssl
import threading
import time
from ipaddress import ip_address
from typing import Any, NoReturn, cast
from urllib.parse import urljoin

from certifi import where as certificates

from scalepoint_integration import errors
from scalepoint_integration.client.web import seconds_to_wait
from scalepoint_integration.conf import conf
from scalepoint_integration.fetching.addresses import PORTS, Place, is_public, parse
from scalepoint_integration.workqueue import PermanentError, RetryableError

_REDIRECTS = {301, 302, 303, 307, 308}
_MAY_WORK_LATER = {408, 425, 429}
_CONNECT_SECONDS = 5.0  # to one of several addresses of a host, so that a dead first one leaves time for the others
_CHUNK = 64 * 1024


def fetch(url: str) -> bytes:
    """What the address gives, at most ``image_max_bytes``, within ``image_seconds`` for everything together.

    Raises RetryableError where it may work later (no connection, too slow, 5xx, 408, 425, 429), PermanentError
    SP-301 where it will not (an address that is not allowed, any other answer), PermanentError SP-302 where what
    comes is too big or packed. No text of these repeats the URL: its query may hold a signature.
    """
    options = conf()
    deadline = time.monotonic() + options.image_seconds
    try:
        for _hop in range(options.image_max_redirects + 1):
            place, trusted = _check(url)
            with _connect(place, trusted, deadline) as sock, _ask(sock, place, deadline) as answer:
                if answer.status not in _REDIRECTS:
                    return _read(answer, place, options.image_max_bytes)
                location = answer.headers.get("Location", "")
            if not location:
                raise PermanentError(errors.IMAGE_NOT_FETCHED, f"{place.host} redirects to nowhere")
            # http.client reads headers as Latin-1; what is meant today is UTF-8.
            url = _joined(url, location.encode("latin-1", "replace").decode("utf-8", "replace"))
        raise PermanentError(errors.IMAGE_NOT_FETCHED, "too many redirects")
    except (OSError, http.client.HTTPException) as error:
        # No more than this about an unknown name, a closed port or a broken certificate: nobody maps a network with it.
        late = time.monotonic() >= deadline
        what = f"took longer than {options.image_seconds:g} s" if late else "no connection, or it broke"
        raise RetryableError(f"{what} ({type(error).__name__})") from error


def _check(url: str) -> tuple[Place, bool]:
    """Where the URL points, and whether the settings trust that origin. Raises PermanentError for all we never open."""
    try:
        place = parse(url)
    except ValueError:
        _refuse()
    trusted = any(place.origin == known for known in map(_trusted_origin, conf().image_trusted_origins))
    if not trusted and (place.scheme, place.port) != ("https", 443):
        _refuse()
    return place, trusted


def _trusted_origin(text: str) -> tuple[str, str, int] | None:
    try:
        return parse(text).origin
    except ValueError:
        return None


def _refuse() -> NoReturn:
    raise PermanentError(errors.IMAGE_NOT_FETCHED, "address not allowed")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        _refuse()


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _resolve(place: Place, deadline: float) -> list[tuple[socket.AddressFamily, Any]]:
    """(family, socket address) of the host, without repetitions. Raises OSError."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put(socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # getaddrinfo knows no time limit: a thread that hangs is left behind, and ends when the resolver gives up.
    threading.Thread(target=look, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise OSError("name") from answer
    return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in answer))


def _connect(place: Place, trusted: bool, deadline: float) -> socket.socket:
    """A connection to one of the addresses of the host, each of which must be allowed. Raises OSError."""
    found = _resolve(place, deadline)
    # All of them: one private address among public ones is an attack or a mistake, and neither is to be helped.
    if not trusted and not all(is_public(sockaddr[0]) for _, sockaddr in found):
        _refuse()
    problem: OSError = OSError("no address")
    for family, sockaddr in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(min(_left(deadline), _CONNECT_SECONDS))
            sock.connect(sockaddr)
            if ip_address(sock.getpeername()[0]) != ip_address(sockaddr[0]):
                _refuse()
            sock.settimeout(_left(deadline))
            return _encrypt(sock, place.host) if place.scheme == "https" else sock
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
    raise problem


def _encrypt(sock: socket.socket, host: str) -> socket.socket:
    """TLS for the name in the URL, although the connection went to a bare address. The handshake as a whole is held
    to the time limit of the socket."""
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certificates())
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(sock, server_hostname=host)


class _Wire(io.RawIOBase):
    """The receiving side of a socket, held to one deadline however small the pieces are that come."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What http.client asks of a socket."""
        return io.BufferedReader(self, _CHUNK)


def _ask(sock: socket.socket, place: Place, deadline: float) -> http.client.HTTPResponse:
    """Send the request, read the head of the answer. Raises OSError, HTTPException."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    if place.port != PORTS[place.scheme]:
        host = f"{host}:{place.port}"
    sock.settimeout(_left(deadline))
    sock.sendall(
        f"GET {place.target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: django-scalepoint\r\nAccept: image/*\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
    )
    answer = http.client.HTTPResponse(cast(socket.socket, _Wire(sock, deadline)), method="GET")
    answer.begin()
    return answer


def _read(answer: http.client.HTTPResponse, place: Place, limit: int) -> bytes:
    """The body of a good answer; what any other answer means."""
    said = f"{place.host} answered {answer.status}"
    if answer.status >= 500 or answer.status in _MAY_WORK_LATER:
        raise RetryableError(said, seconds_to_wait(answer.headers.get("Retry-After", "")))
    if answer.status != 200:
        raise PermanentError(errors.IMAGE_NOT_FETCHED, said)
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")
    if packed or answer.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise PermanentError(errors.IMAGE_REJECTED, "packed, although we asked for the plain file")
    # http.client's own count isn't used: some versions of read1 don't keep it.
    expected = None if answer.chunked else answer.length
    content = bytearray()
    while expected is None or len(content) < expected:
        if max(len(content), expected or 0) > limit:
            raise PermanentError(errors.IMAGE_REJECTED, f"larger than {limit} bytes")
        piece = answer.read1(_CHUNK if expected is None else min(_CHUNK, expected - len(content)))
        if not piece:
            break
        content += piece
    if expected is not None and len(content) < expected:
        raise RetryableError(f"{place.host} closed the connection before the end")
    if len(content) > limit:
        raise PermanentError(errors.IMAGE_REJECTED, f"larger than {limit} bytes")
    return bytes(content)
