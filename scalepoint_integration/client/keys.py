"""Making the keys with which we prove ourselves to Scalepoint. Scalepoint trusts no authority but the certificates
that it was sent, so each signs itself: RSA of 2048 bits and SHA-256, as Scalepoint demands."""

import base64
import hashlib
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.utils import timezone

from scalepoint_integration.models import ClientKey, Connection

_VALID = timedelta(days=3 * 365)
_SKEW = timedelta(minutes=10)  # a clock at Scalepoint may be behind ours


def make_key(connection: Connection) -> ClientKey:
    """A new key pair, stored. It is not used before somebody ticks that Scalepoint knows it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = timezone.now().replace(microsecond=0)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"scalepoint {connection.contract_number}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    return ClientKey.objects.create(
        connection=connection,
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        private_key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        thumbprint=thumbprint(certificate),
        expires_at=now + _VALID,
    )


def thumbprint(certificate: x509.Certificate) -> str:
    """The header x5t: SHA-1 of the DER in base64url without padding. It names the certificate, it protects nothing."""
    sha1 = hashlib.sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(sha1).rstrip(b"=").decode()


def certificate_for_scalepoint(key: ClientKey) -> str:
    """The certificate as Scalepoint wants it sent: its DER in base64, on one line."""
    certificate = x509.load_pem_x509_certificate(key.certificate.encode())
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
