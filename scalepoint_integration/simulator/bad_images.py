"""Images that misbehave, each in one way. ``routes.ROUTES`` says under which address and how."""

import gzip as gzip_
import socket
import struct
import zlib
from contextlib import suppress
from functools import lru_cache

from scalepoint_integration.simulator.exchange import Exchange
from scalepoint_integration.simulator.pictures import draw

_DRIP_SECONDS = 0.05
_JPEG = "image/jpeg"


def hang(exchange: Exchange) -> None:
    exchange.close_connection = True
    exchange.pause(3600)


def slow_head(exchange: Exchange) -> None:
    exchange.close_connection = True
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(OSError):
        while exchange.pause(_DRIP_SECONDS):
            exchange.wfile.write(b"x")


def slow(exchange: Exchange) -> None:
    content = draw("slow")
    exchange.close_connection = True
    exchange.start(200, Content_Type=_JPEG, Content_Length=str(len(content)))
    with suppress(OSError):
        for byte in content:
            exchange.wfile.write(bytes([byte]))
            if not exchange.pause(_DRIP_SECONDS):
                return


def reset(exchange: Exchange) -> None:
    _half(exchange)
    # Closing with a linger time of zero is a reset.
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()


def truncated(exchange: Exchange) -> None:
    _half(exchange)


def _half(exchange: Exchange) -> None:
    content = draw("half")
    exchange.close_connection = True
    exchange.start(200, Content_Type=_JPEG, Content_Length=str(len(content)))
    exchange.wfile.write(content[: len(content) // 2])


def cut(exchange: Exchange) -> None:
    content = draw("half")
    exchange.answer(200, content[: len(content) // 2], _JPEG)


def huge(exchange: Exchange) -> None:
    exchange.close_connection = True
    exchange.start(200, Content_Type=_JPEG, Content_Length=str(2**40))
    _pour(exchange, b"\xff" * 65536)


def endless(exchange: Exchange) -> None:
    exchange.close_connection = True
    exchange.start(200, Content_Type=_JPEG, Transfer_Encoding="chunked")
    _pour(exchange, b"10000\r\n" + b"\xff" * 65536 + b"\r\n")


def _pour(exchange: Exchange, piece: bytes) -> None:
    with suppress(OSError):
        while not exchange.simulator.stopping.is_set():
            exchange.wfile.write(piece)


def gzip(exchange: Exchange) -> None:
    exchange.answer(200, gzip_.compress(bytes(10 * 1024 * 1024)), _JPEG, Content_Encoding="gzip")


def bomb(exchange: Exchange) -> None:
    exchange.answer(200, _bomb(), "image/png")


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    """A black PNG of 30,000 x 30,000 pixels, written by hand: Pillow would need a gigabyte to make it."""
    side = 30_000
    packer = zlib.compressobj()
    rows = [packer.compress(bytes(1 + side // 8)) for _ in range(side)]

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = b"".join(rows) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def html(exchange: Exchange) -> None:
    exchange.answer(200, b"<!doctype html><title>Log in</title><p>Please log in.", _JPEG)


def svg(exchange: Exchange) -> None:
    exchange.answer(200, b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', _JPEG)


def empty(exchange: Exchange) -> None:
    exchange.answer(200, b"", _JPEG)


def redirect_good(exchange: Exchange) -> None:
    exchange.answer(302, b"", "text/plain", Location="/images/moved.jpg")


def redirect_loop(exchange: Exchange) -> None:
    exchange.answer(302, b"", "text/plain", Location="loop.jpg")


def redirect_private(exchange: Exchange) -> None:
    exchange.answer(302, b"", "text/plain", Location="https://169.254.169.254/latest/meta-data/")


def redirect_file(exchange: Exchange) -> None:
    exchange.answer(302, b"", "text/plain", Location="file:///etc/passwd")


def flaky(exchange: Exchange, name: str) -> None:
    if exchange.simulator.requests.count(f"GET /images/bad/flaky-{name}.jpg") == 1:
        exchange.answer(503, b"Not now", "text/plain", Retry_After="1")
    else:
        exchange.answer(200, draw(f"flaky-{name}"), _JPEG)


def status(exchange: Exchange, code: str) -> None:
    exchange.answer(int(code), b"", "text/plain", Retry_After="7")
