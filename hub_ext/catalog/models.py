"""A profile: what a server or a run may be. Nothing that these models do not name can reach a pod."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from hub_ext.catalog.quantities import Cores, Size, parse_size

API_VERSION = "hub-ext/v1"
USUAL_ORDER = 100

# What turns the direction of what follows: a reviewer would read other words than the ones that are there.
_TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _seen(text: str) -> str:
    """Refuse what cannot be seen by who approves it."""
    for char in text:
        if char in _TURNING or (char != "\n" and unicodedata.category(char) in ("Cc", "Cs")):
            msg = f"holds the character U+{ord(char):04X}, which cannot be seen; take it out"
            raise ValueError(msg)
    return text


def _one_line(text: str) -> str:
    if "\n" in text:
        msg = "must be one line"
        raise ValueError(msg)
    return _seen(text)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$", max_length=200)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_one_line)]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]

LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
ControlId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9]{1,2}(\([0-9]{1,2}\))?$")]

# The fields that an option may set, and the kinds of option that fit each. Nothing else can be set by a person.
SETTABLE: dict[str, frozenset[str]] = {
    "resources.cpu.request": frozenset({"number", "integer"}),
    "resources.cpu.limit": frozenset({"number", "integer"}),
    "resources.memory.request": frozenset({"quantity"}),
    "resources.memory.limit": frozenset({"quantity"}),
    "resources.gpu": frozenset({"integer"}),
    "storage.home.size": frozenset({"quantity"}),
    "lifetime.idle": frozenset({"integer"}),
    "lifetime.maximum": frozenset({"integer"}),
    "image": frozenset({"string"}),
    "local.environment": frozenset({"string"}),
}


class Model(BaseModel):
    """Strict base: unknown fields are refused, values never change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4000)


class Metadata(Model):
    """Who a profile is."""

    name: Name
    version: Annotated[int, Field(ge=1, le=10**6, strict=True)]
    title: Line
    owner: Line
    tags: tuple[Label, ...] = Field(default=(), max_length=20)
    order: Annotated[int, Field(ge=0, le=1000, strict=True)] = Field(
        default=USUAL_ORDER, description="Where it stands among the others: the lowest first, then by title."
    )


class Access(Model):
    """Groups whose members may use the profile without asking."""

    groups: tuple[Line, ...] = Field(default=(), max_length=100)


class Local(Model):
    """What local processes use in place of the image."""

    environment: Name = "default"


class CpuResource(Model):
    """Processor, in cores."""

    request: Cores
    limit: Cores

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.request > self.limit:
            msg = "request must not be more than limit"
            raise ValueError(msg)
        return self


class MemoryResource(Model):
    """Memory, as a quantity."""

    request: Size
    limit: Size

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if parse_size(self.request) > parse_size(self.limit):
            msg = "request must not be more than limit"
            raise ValueError(msg)
        return self


class Resources(Model):
    """What a server or run gets."""

    cpu: CpuResource
    memory: MemoryResource
    gpu: Annotated[int, Field(ge=0, le=64, strict=True)] = 0


class Option(Model):
    """A choice that the person has; it sets one field of the profile."""

    title: Line
    type: Literal["string", "integer", "number", "boolean", "quantity"]
    choices: tuple[str | int | float | bool, ...] | None = Field(default=None, min_length=1, max_length=100)
    minimum: str | int | float | None = None
    maximum: str | int | float | None = None
    default: str | int | float | bool
    sets: str
    description: Annotated[str, StringConstraints(max_length=1000), AfterValidator(_seen)] = ""


class Home(Model):
    """The home volume."""

    size: Size


class Storage(Model):
    """Volumes."""

    home: Home | None = None


class Egress(Model):
    """One destination that a server may reach."""

    namespace: Name | None = None
    labels: dict[Label, LabelValue] = Field(default_factory=dict, max_length=16)
    cidr: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]{2,45}/[0-9]{1,3}$")] | None = None
    ports: tuple[Annotated[int, Field(ge=1, le=65535, strict=True)], ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.cidr is None) == (self.namespace is None):
            msg = "name either a cidr or a namespace"
            raise ValueError(msg)
        if self.cidr is not None:
            _check_cidr(self.cidr)
        return self


_GLOBAL, _LOCAL = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("fc00::/7")
_EVERYWHERE = ipaddress.IPv6Network("::/0")
_CREDENTIALS = tuple(ipaddress.ip_network(one) for one in ("fd00:ec2::/32", "168.63.129.16/32", "100.100.100.200/32"))


def _check_cidr(cidr: str) -> None:
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        msg = f"cidr: {error}"
        raise ValueError(msg) from None
    known = [one for one in _CREDENTIALS if one.version == network.version]
    if network.is_link_local or any(network.subnet_of(one) for one in known):  # type: ignore[arg-type]  # of one kind
        msg = "cidr: these addresses hold the credentials of machines in most clouds; no profile may reach them"
        raise ValueError(msg)
    if network.version == 6 and network != _EVERYWHERE and not _is_site(network):
        msg = "cidr: an IPv6 network must be in 2000::/3, or in fc00::/7 and at least /32, or ::/0"
        raise ValueError(msg)


def _is_site(network: ipaddress.IPv6Network) -> bool:
    """Whether a network lies where it can hold neither a translated IPv4 address nor another site."""
    return network.subnet_of(_GLOBAL) or (network.subnet_of(_LOCAL) and network.prefixlen >= 32)


class Network(Model):
    """What may be reached beyond what every server needs."""

    egress: tuple[Egress, ...] = Field(default=(), max_length=64)


class Lifetime(Model):
    """Minutes until a server is stopped: without use, and in any case. A run ends after `maximum`."""

    idle: Annotated[int, Field(ge=1, le=10080, strict=True)] = 60
    maximum: Annotated[int, Field(ge=1, le=43200, strict=True)] = 720
    extensions: Annotated[int, Field(ge=0, le=72, strict=True)] = Field(
        default=0,
        description="How often the person whose server it is may keep it for another hour past `maximum`; 0: never.",
    )

    @property
    def longest(self) -> int:
        """Minutes that a server can be kept for at most."""
        return self.maximum + 60 * self.extensions


class Control(Model):
    """A control that the profile serves (NIST SP 800-53), and how."""

    id: ControlId
    how: Line


class Spec(Model):
    """What a server or a run may be."""

    description: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_seen)]
    access: Access = Access()
    image: ImageName
    local: Local = Local()
    resources: Resources
    options: dict[Name, Option] = Field(default_factory=dict, max_length=30)
    storage: Storage = Storage()
    network: Network = Network()
    lifetime: Lifetime = Lifetime()
    controls: tuple[Control, ...] = Field(default=(), max_length=100)


class Profile(Model):
    """One version of a profile, as in its file."""

    api_version: Literal["hub-ext/v1"] = Field(alias="apiVersion")
    kind: Literal["Profile"]
    metadata: Metadata
    spec: Spec

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        from hub_ext.catalog.options import check_options  # it needs the models

        problems = check_options(self.spec)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def name(self) -> str:
        """Name of the profile."""
        return self.metadata.name

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.metadata.version

    def canonical(self) -> bytes:
        """Return the canonical form: JSON, sorted keys, no spaces, defaults filled in.

        Fields that came later count only where they are used, so that what was approved before keeps its digest.
        """
        content = self.model_dump(mode="json", by_alias=True)
        if self.metadata.order == USUAL_ORDER:
            del content["metadata"]["order"]
        if not self.spec.lifetime.extensions:
            del content["spec"]["lifetime"]["extensions"]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """The identity of this version: ``sha256:`` and the hash of its canonical form."""
        return "sha256:" + hashlib.sha256(self.canonical()).hexdigest()


def field_of(spec: Spec, path: str) -> Any:
    """Return the value of a settable field, None when the profile leaves it out.

    Args:
        spec: The profile's spec.
        path: One of `SETTABLE`.
    """
    value: Any = spec
    for part in path.split("."):
        value = getattr(value, part, None)
    return value
