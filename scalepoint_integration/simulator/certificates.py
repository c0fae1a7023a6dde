"""Reading the certificates that a client registers: base64 of the DER, RSA with 2048 bits, signed with SHA-256."""

import base64
import binascii
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

PublicKey = RSAPublicKey


def read_certificate(text: str) -> tuple[str, PublicKey]:
    """Its x5t (SHA-1 of the DER, base64url without padding) and its public key. The lines around a PEM are passed
    over: between them is the same base64. Raises ValueError with the reason."""
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    try:
        der = base64.b64decode("".join("".join(lines).split()), validate=True)
        certificate = x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError):
        raise ValueError("This is not the base64 of a certificate's DER.") from None
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size != 2048:
        raise ValueError("A certificate must have an RSA key of 2048 bits.")
    if not isinstance(certificate.signature_hash_algorithm, SHA256):
        raise ValueError("A certificate must be signed with SHA-256.")
    return thumbprint(der), key


def thumbprint(der: bytes) -> str:
    digest = hashlib.sha1(der, usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
