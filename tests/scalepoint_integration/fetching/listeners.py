"""Raw servers on loopback, and what they say."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
NAME = "images.example"


class Listener:
    """A raw server: sends ``answer`` to whoever connects, and remembers what they asked."""

    def __init__(self, answer: bytes | Callable[[socket.socket], None] = OK, tls: ssl.SSLContext | None = None) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.answer, self.tls = answer, tls
        self.connections, self.asked, self.names = 0, [], []
        if tls:
            tls.sni_callback = lambda _sock, name, _context: self.names.append(name)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.sock.accept()
                self.connections += 1
                threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.asked.append(connection.recv(65536))
                if callable(self.answer):
                    self.answer(connection)
                else:
                    connection.sendall(self.answer)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() is not woken by close() alone.
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def drip(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(piece)
            time.sleep(0.02)

    return talk
