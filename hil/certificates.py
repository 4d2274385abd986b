"""Certificates and keys for simulated devices and their clients, made anew for every run and worth nothing elsewhere."""

from __future__ import annotations

from pathlib import Path

from asyncua.crypto.cert_gen import generate_private_key, generate_self_signed_app_certificate
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

DAYS = 3650
"""Longer than any simulated time is ahead of now."""
_USAGE = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]


def issue(folder: Path, name: str, uri: str) -> tuple[Path, Path]:
    """A self-signed certificate (DER) for an application `uri` and its private key (PEM, for the owner alone), as files."""
    key = generate_private_key()
    names = [x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]
    owner = {"organizationName": "energyctl"}
    made = generate_self_signed_app_certificate(key, name, owner, names, extended=_USAGE, days=DAYS)
    certificate, private = folder / f"{name}.der", folder / f"{name}.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.DER))
    private.touch(mode=0o600)
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, private
