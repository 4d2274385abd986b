"""What may be written for Modbus: options of a link, of a device, of a profile, and the address of a point.

An address is either plain ({table, register, type, ...}, with defaults from the profile's options) or a SunSpec model and
point. `check` finds every mistake at once and says where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from drivers.options import Options, Seconds, checked
from energyctl.core.driver import Device, Link
from energyctl.core.points import Access
from energyctl.core.profile import PointSpec, Profile

from . import sunspec
from .registers import WIDTHS, NumberType, Order

AddressType = Literal[NumberType, "string"]
Table = Literal["holding", "input", "coil", "discrete"]
BIT_TABLES = ("coil", "discrete")
WRITABLE_TABLES = ("holding", "coil")
MOST_READ = 125
MOST_BITS = 2000

BAUDRATES = (1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800, 115200, 230400)

Register = Annotated[int, Field(ge=0, le=65535)]


class LinkOptions(Options):
    """What any Modbus connection has."""

    transport: str
    timeout: Annotated[Seconds, Field(ge=0.02, le=60)] = 1.0
    gap: Annotated[Seconds, Field(ge=0, le=10)] = 0.0
    """Silence between an answer and the next request [s], for gateways and converters that need it."""


class TcpOptions(LinkOptions):
    """A Modbus TCP connection, to a device or to a gateway with several unit ids behind it."""

    transport: Literal["tcp"] = "tcp"
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 502


class RtuOptions(LinkOptions):
    """A serial line (RS-485, RS-232) with one or more unit ids; the defaults are the standard's."""

    transport: Literal["rtu"] = "rtu"
    device: Annotated[str, Field(pattern="^/")]
    """The port's path, best one that stays the same, such as /dev/serial/by-id/..."""
    baudrate: int = 19200
    parity: Literal["N", "E", "O"] = "E"
    stopbits: Literal[1, 2] = 1

    @field_validator("baudrate")
    @classmethod
    def _usual(cls, baudrate: int) -> int:
        if baudrate not in BAUDRATES:
            raise ValueError(f"{baudrate} is no usual rate; there are {', '.join(map(str, BAUDRATES))}")
        return baudrate


TRANSPORTS: Mapping[str, type[TcpOptions] | type[RtuOptions]] = {"tcp": TcpOptions, "rtu": RtuOptions}


class DeviceOptions(Options):
    """Which device on the link."""

    unit: Annotated[int, Field(ge=0, le=247)] = 1


class ProfileOptions(Options):
    """Defaults for the profile's addresses, and what its requests must respect."""

    table: Table = "holding"
    type: NumberType = "uint16"
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: float = 1.0
    offset: float = 0.0
    not_available: dict[NumberType, list[int]] = Field(default_factory=dict)
    """Raw contents that mean "no value", as unsigned integers, per type."""
    max_registers: Annotated[int, Field(ge=4, le=MOST_READ)] = MOST_READ
    max_gap: Annotated[int, Field(ge=0, le=MOST_READ)] = 16
    """Unused registers read along rather than asking twice; 16 take about as long as a request on a 9600 baud line."""
    holes: list[Annotated[list[Register], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    """First and last of registers that the device refuses to read."""
    single_write: bool = True
    """Write one register with function 6; false: with function 16 always."""


class PlainAddress(Options):
    """A register, coil or discrete input by number, counted from 0 as on the wire."""

    table: Table
    register_: Annotated[Register, Field(alias="register")]
    type: AddressType
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    count: Annotated[int, Field(ge=1, le=MOST_READ)] | None = None
    """Registers of a text."""
    not_available: list[int] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> PlainAddress:
        if self.scale == 0:
            raise ValueError("scale 0 would make every value 0")
        if (self.count is not None) != (self.type == "string"):
            raise ValueError("count belongs to type string, and string needs it")
        if self.bit is not None and (self.type.startswith("float") or self.bit >= 16 * WIDTHS.get(self.type, 0)):
            raise ValueError(f"{self.type} has no bit {self.bit}")
        if self.register_ + self.reads > 65536:
            raise ValueError(f"{self.reads} registers from {self.register_} end after 65535")
        return self

    @property
    def reads(self) -> int:
        """Registers that must be read together for it."""
        return self.count or WIDTHS[self.type]

    @property
    def is_number(self) -> bool:
        """Whether it can be a point."""
        return self.type != "string"


class SunSpecAddress(Options):
    """A point of a SunSpec model, e.g. {model: 103, point: W}."""

    model: Annotated[int, Field(ge=1, le=65534)]
    point: str

    @model_validator(mode="after")
    def _known(self) -> SunSpecAddress:
        try:
            names = sunspec.fields(self.model)
        except KeyError:
            raise ValueError(f"there is no SunSpec model {self.model}") from None
        if self.point not in names:
            near = get_close_matches(self.point, list(names), 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"SunSpec model {self.model} has no point '{self.point}'{hint}")
        return self

    @property
    def field(self) -> sunspec.Field:
        """The point in the model's definition."""
        return sunspec.fields(self.model)[self.point]

    @property
    def reads(self) -> int:
        """Registers that must be read together for it."""
        return self.field.together.count

    @property
    def is_number(self) -> bool:
        """Whether it can be a point."""
        return self.field.codec is not None


Address = PlainAddress | SunSpecAddress


def address_of(block: Mapping[str, Any], options: ProfileOptions) -> Address:
    """A checked address block with the profile's defaults filled in. Raises ValidationError."""
    kind: type[Address] = SunSpecAddress if "model" in block else PlainAddress
    return kind.model_validate(with_defaults(block, options))


def with_defaults(block: Mapping[str, Any], options: ProfileOptions) -> dict[str, Any]:
    """A plain block completed by what the profile's options say; a SunSpec block as it is."""
    if "model" in block:
        return dict(block)
    table = block.get("table", options.table)
    kind = "bit" if table in BIT_TABLES else block.get("type", options.type)
    filled: dict[str, Any] = {"table": table, "type": kind}
    if kind not in ("bit", "string"):
        filled |= options.model_dump(include={"word_order", "byte_order", "scale", "offset"})
        filled["not_available"] = next((marks for name, marks in options.not_available.items() if name == kind), [])
    return filled | dict(block)


def check(link: Link, devices: Sequence[Device]) -> list[str]:
    """Every problem with a link's options, its devices' options and their profiles, one line each."""
    problems: list[str] = []
    line = link_options(link, problems)
    seen: set[str] = set()
    for device in devices:
        options = checked(DeviceOptions, device.options, f"devices.{device.id}", problems)
        if isinstance(line, RtuOptions) and options is not None and options.unit == 0:
            problems.append(f"devices.{device.id}.unit: on a serial line 0 speaks to all at once and none answers")
        if device.profile.profile not in seen:
            seen.add(device.profile.profile)
            where = f"devices.{device.id}.profile: {device.profile.profile}: "
            problems += [where + problem for problem in profile_problems(device.profile)]
    return problems


def link_options(link: Link, problems: list[str]) -> TcpOptions | RtuOptions | None:
    """The link's options by its transport; or None, and its problems appended to `problems`."""
    transport = link.options.get("transport", "tcp")
    model = TRANSPORTS.get(str(transport))
    if model is None:
        problems.append(
            f"connections.{link.id}.transport: there is no {transport!r}; there is {' and '.join(TRANSPORTS)}"
        )
        return None
    return checked(model, link.options, f"connections.{link.id}", problems)


def profile_problems(profile: Profile) -> list[str]:
    """What is wrong with a profile as a Modbus device, each line starting with the path in the profile."""
    if profile.protocol != "modbus":
        return [f"protocol: is {profile.protocol}, which this connection does not speak"]
    problems: list[str] = []
    options = checked(ProfileOptions, profile.options, "options", problems)
    if options is not None:
        for name, spec in profile.points.items():
            problems += _point_problems(f"points.{name}", spec, options)
        problems += _identity_problems(profile, options)
    return problems


def _point_problems(where: str, spec: PointSpec, options: ProfileOptions) -> list[str]:
    problems: list[str] = []
    address = _checked_address(spec.address, options, f"{where}.address", problems)
    if address is None:
        return problems
    if not address.is_number:
        return [f"{where}.address: holds no number"]
    if spec.access is Access.READ_WRITE and (problem := _unwritable(address)):
        problems.append(f"{where}: has access rw, but {problem}")
    if address.reads > options.max_registers:
        most = f"options.max_registers is {options.max_registers}"
        problems.append(f"{where}.address: needs {address.reads} registers in one request; {most}")
    return problems


def _checked_address(
    block: Mapping[str, Any], options: ProfileOptions, path: str, problems: list[str]
) -> Address | None:
    kind: type[Address] = SunSpecAddress if "model" in block else PlainAddress
    return checked(kind, with_defaults(block, options), path, problems)


def _unwritable(address: Address) -> str | None:
    """Why nothing can be written there, None when it can."""
    if isinstance(address, SunSpecAddress):
        return None if address.field.writable else f"SunSpec model {address.model} says {address.point} is read-only"
    if address.table not in WRITABLE_TABLES:
        return f"table {address.table} can only be read"
    return None if address.bit is None else "one bit of a register can only be read"


def _identity_problems(profile: Profile, options: ProfileOptions) -> list[str]:
    if profile.identity is None or speaks_sunspec(profile):
        return []
    if not profile.identity.address:
        return ["identity.address: missing; say where the device names itself, or leave identity out"]
    problems: list[str] = []
    checked(PlainAddress, with_defaults(profile.identity.address, options), "identity.address", problems)
    return problems


def speaks_sunspec(profile: Profile) -> bool:
    """Whether any of its points is found by SunSpec model."""
    return any("model" in spec.address for spec in profile.points.values())
