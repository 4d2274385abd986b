"""What may be written for OPC UA: options of a link, of a device, of a profile, and the address of a point.

A link is one server; several devices may share it. Points are nodes, named by namespace URI and identifier, because a
server may number its namespaces anew at every start. With `security` set the connection is signed and encrypted, the server
must present exactly the certificate on file, and nothing less is ever taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from drivers.options import Options, Seconds

from .points import TYPES


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "opc.tcp" or not parts.hostname:
        raise ValueError(f"'{text}' is no OPC UA address; write 'opc.tcp://host:4840'")
    if "@" in parts.netloc:
        raise ValueError("a user or password does not belong in the address; write 'user' and 'password'")
    return text


class LinkOptions(Options):
    """A connection to a server; certificates and keys are file names."""

    transport: Literal["tcp"] = "tcp"
    url: Annotated[str, AfterValidator(_url)]
    timeout: Seconds = Field(4.0, ge=0.02, le=60)
    """How long to wait for an answer [s]; nothing is asked twice."""
    user: str | None = None
    password: str | None = Field(None, repr=False)
    security: Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "none"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificate: str | None = None
    """Ours, DER or PEM; its subject alternative name must hold `application_uri`."""
    private_key: str | None = None
    """Ours, PEM."""
    server_certificate: str | None = None
    """The server's, DER or PEM: the only one that is accepted."""
    application_uri: str = "urn:energyctl:client"
    publishing: Seconds = Field(1.0, ge=0.05, le=3600)
    """How often the server may tell of changes [s]."""
    subscribe: bool = False
    """Be told of changes instead of asking every period; what is told is still asked for now and then."""

    @field_validator("certificate", "private_key", "server_certificate")
    @classmethod
    def _file(cls, name: str | None, info: ValidationInfo) -> str | None:
        endings = (".pem",) if info.field_name == "private_key" else (".der", ".pem")
        if name is not None and not name.endswith(endings):
            raise ValueError(f"'{name}' must end in {' or '.join(endings)}")
        if name is not None and not Path(name).is_file():
            raise ValueError(f"there is no file '{name}'")
        return name

    @model_validator(mode="after")
    def _complete(self) -> LinkOptions:
        missing = [name for name in ("certificate", "private_key", "server_certificate") if getattr(self, name) is None]
        if self.security != "none" and missing:
            raise ValueError(f"security {self.security} needs {', '.join(missing)}")
        if self.security == "none" and len(missing) < 3:
            raise ValueError("certificates without security: say which, such as 'security: Basic256Sha256'")
        if self.password is not None and (self.security == "none" or self.mode != "SignAndEncrypt"):
            raise ValueError(
                "a password needs 'security: Basic256Sha256' and 'mode: SignAndEncrypt', or others read it"
            )
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        return self


class DeviceOptions(Options):
    """A device behind the server."""

    prefix: str = ""
    """Put before every node identifier of the profile, where a server has several devices of one type."""


class Address(Options):
    """A node: namespace URI and identifier; `type` is the variant that is written."""

    ns: str = Field(min_length=1)
    id: Annotated[str, Field(min_length=1)] | int
    type: str = "Double"

    @field_validator("type")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in TYPES and name != "String":
            raise ValueError(f"unknown type '{name}'; known: {', '.join(TYPES)}")
        return name


class ProfileOptions(Options):
    """What a server with devices of this type can take."""

    max_nodes: int = Field(500, ge=1, le=10000)
    """The most nodes one read may ask for."""
