"""A running simulator with a client, and a caller that needs nothing but the standard library."""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scalepoint_integration.simulator.certificates import thumbprint
from scalepoint_integration.simulator.server import Server, start
from scalepoint_integration.simulator.tokens import ASSERTION_TYPE

CLIENT = "firm-eksempel"
SECRET = "a secret of the client"


@dataclass
class Key:
    private: rsa.RSAPrivateKey
    certificate: str  # base64 of the DER
    x5t: str


def make_key(bits: int = 2048, algorithm: hashes.HashAlgorithm | None = None) -> Key:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "eksempel")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    der = builder.sign(private, algorithm or hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return Key(private, base64.b64encode(der).decode(), thumbprint(der))


@pytest.fixture(scope="session")
def key() -> Key:
    return make_key()


@pytest.fixture(scope="session")
def other_key() -> Key:
    return make_key()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with start() as server:
        yield server


@pytest.fixture
def simulator(running: Server, key: Key) -> Server:
    """As at the start, with one client that has a certificate and a secret."""
    running.scalepoint.reset(everything=True)
    running.scalepoint.register_client(CLIENT, [key.certificate], SECRET)
    return running


@dataclass
class Said:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def call(url: str, method: str = "GET", body: bytes | None = None, timeout: float = 15, **headers: str) -> Said:
    """``headers`` are written with _ for -."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return Said(answer.status, answer.headers, answer.read())
    finally:
        link.close()


def post_json(url: str, body: Any, **headers: str) -> Said:
    return call(url, "POST", json.dumps(body).encode(), **{"Content_Type": "application/json", **headers})


def post_form(url: str, form: Any, **headers: str) -> Said:
    sent = {"Content_Type": "application/x-www-form-urlencoded", **headers}
    return call(url, "POST", urlencode(form).encode(), **sent)


def claims(server: Server, **changes: Any) -> dict[str, Any]:
    """What an assertion says; a change to None leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": f"{server.url}/connect/token",
        "jti": str(uuid4()),
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    } | changes
    return {name: value for name, value in said.items() if value is not None}


def sign(key: Key, said: dict[str, Any], **head: Any) -> str:
    return jwt.encode(said, key.private, "RS256", {"x5t": key.x5t, **head})


def assertion_form(assertion: str, scope: str = "events") -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": scope,
    }


def secret_form(scope: str = "events", secret: str = SECRET) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": secret}
    return form | ({"scope": scope} if scope else {})


def bearer(server: Server, scope: str = "events") -> str:
    answer = post_form(f"{server.url}/connect/token", secret_form(scope))
    assert answer.status == 200, server.scalepoint.received("token")[-1]
    return f"Bearer {answer.json['access_token']}"
