"""Opening foreign addresses: the certificate is for the name in the URL, although a bare address is connected to."""

import datetime
import ipaddress
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scalepoint_integration.fetching.fetch import fetch
from scalepoint_integration.workqueue import RetryableError
from tests.scalepoint_integration.fetching.listeners import NAME, Listener, drip


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Makes server contexts with a certificate of an authority of our own; ``path`` is that authority's certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)

    def build(subject: str, issuer: str, key, ca: bool, days: int):
        name = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (subject, issuer)]
        return (
            x509.CertificateBuilder()
            .subject_name(name[0])
            .issuer_name(name[1])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    root_key = ec.generate_private_key(ec.SECP256R1())
    root = build("Example Root", "Example Root", root_key, True, 30).sign(root_key, hashes.SHA256())

    def context(name: str, days: int = 30) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alt: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alt = x509.DNSName(name)
        builder = build(name, "Example Root", key, False, days)
        builder = builder.add_extension(x509.SubjectAlternativeName([alt]), critical=False)
        pem = folder / f"{name}.{days}.pem"
        pem.write_bytes(
            builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(pem)
        return made

    path = folder / "root.pem"
    path.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    context.path = path  # type: ignore[attr-defined]
    return context


def test_https_to_the_pinned_address_checks_the_name_of_the_url(authority, resolve, trust, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    looked_up = resolve("127.0.0.1")
    with Listener(tls=authority(NAME)) as listener:
        trust(f"https://{NAME}:{listener.port}", image_seconds=5)
        assert fetch(f"https://{NAME}:{listener.port}/x.jpg") == b"good"
        assert (looked_up, listener.names) == ([NAME], [NAME])


@pytest.mark.parametrize(("certified", "days"), [("other.example", 30), ("127.0.0.1", 30), (NAME, -1)])
def test_a_certificate_for_somebody_else_or_out_of_date_is_refused(
    authority, resolve, trust, monkeypatch, certified, days
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    resolve("127.0.0.1")
    with Listener(tls=authority(certified, days)) as listener:
        trust(f"https://{NAME}:{listener.port}", image_seconds=5)
        with pytest.raises(RetryableError, match="SSLCertVerificationError"):
            fetch(f"https://{NAME}:{listener.port}/x.jpg")
        assert listener.asked == []


def test_an_unknown_authority_is_refused(authority, resolve, trust, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    resolve("127.0.0.1")
    with Listener(tls=authority(NAME)) as listener:
        trust(f"https://{NAME}:{listener.port}", image_seconds=5)
        with pytest.raises(RetryableError, match="SSLCertVerificationError"):
            fetch(f"https://{NAME}:{listener.port}/x.jpg")


def test_a_handshake_that_hangs_ends_in_time(trust):
    with Listener(drip(b"\x16\x03\x03\x40\x00", b"\x00")) as listener:
        trust(f"https://127.0.0.1:{listener.port}", image_seconds=0.5)
        began = time.monotonic()
        with pytest.raises(RetryableError):
            fetch(f"https://127.0.0.1:{listener.port}/")
        assert time.monotonic() - began < 1.5
