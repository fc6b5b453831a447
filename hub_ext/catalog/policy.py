"""Policy rules: what every server and every run must meet, whatever its profile says."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from hub_ext.catalog.cel import BadRule, Compiled, compile_rule, scene
from hub_ext.catalog.keys import Pem, PublicKey, public_key
from hub_ext.catalog.models import ControlId, Line, Model, Name
from hub_ext.catalog.quantities import Cores, Size

Kind = Literal["pod", "networkpolicy", "request"]

_UNREADABLE = "policy-unreadable"
_IN_A_ROW = 10  # rules: a fraction of a millisecond


class Rule(Model):
    """One rule.

    Attributes:
        id: Names it in reasons, exceptions and the exported policy.
        on: What it looks at: an object as rendered, or the request.
        severity: ``deny`` stops a start; ``warn`` is told and recorded.
        cel: The expression that must be true.
    """

    id: Name
    title: Line
    on: Kind
    severity: Literal["deny", "warn"] = "deny"
    controls: tuple[ControlId, ...] = Field(min_length=1)
    message: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    cel: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

    @field_validator("cel")
    @classmethod
    def _in_the_subset(cls, text: str, info: Any) -> str:
        if "on" in info.data:
            try:
                compile_rule(text, info.data["on"])
            except BadRule as error:
                raise ValueError(str(error)) from None
        return text

    @property
    def digest(self) -> str:
        """Identity of what is evaluated: ``sha256:`` and the hash of kind and expression."""
        return "sha256:" + hashlib.sha256(json.dumps([self.on, self.cel]).encode()).hexdigest()


class RulesMetadata(Model):
    """Who a set of rules is."""

    name: Name
    title: Line
    owner: Line


class PolicyRules(Model):
    """A file of rules."""

    api_version: Literal["hub-ext/v1"] = Field(alias="apiVersion")
    kind: Literal["PolicyRules"]
    metadata: RulesMetadata
    rules: tuple[Rule, ...] = Field(max_length=200)


def _one_host(cidr: str) -> str:
    """Refuse what is not one address: whoever is there may call every server."""
    network = ipaddress.ip_network(cidr)
    if network.num_addresses != 1 or network.is_link_local:
        msg = "must be the address of one machine, such as 10.1.2.3/32"
        raise ValueError(msg)
    return cidr


class Largest(Model):
    """The most that one container may have in an enclave; `scratch` is space on the machine's own disk."""

    cpu: Cores
    memory: Size
    gpu: Annotated[int, Field(ge=0, le=64, strict=True)] = 0
    scratch: Size = "10Gi"


class PerPerson(Model):
    """How many servers and runs of the largest size that she may start a person can have at once."""

    servers: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    runs: Annotated[int, Field(ge=1, le=1000, strict=True)] = 4


class Outside(Model):
    """Where a part of the platform is that runs beside the cluster, and not in it.

    Attributes:
        cidr: Its address.
        ports: Those that servers reach.
        executors: The one that runs reach: the sharing service's door for them.
    """

    cidr: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]{2,45}/[0-9]{1,3}$"), AfterValidator(_one_host)]
    ports: tuple[Annotated[int, Field(ge=1, le=65535, strict=True)], ...] = Field(min_length=1, max_length=8)
    executors: Annotated[int, Field(ge=1, le=65535, strict=True)] = 8882


Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$")]


class EnclaveSpec(Model):
    """What a network allows and offers.

    Attributes:
        per_person: Room of a person's namespace.
        outside: Addresses of Hub, proxy and sharing service, where they run beside the cluster; by default they are
            in `system_namespace`.
        shared_namespace: One namespace for everybody's servers and runs, where we may make none; who runs the cluster
            makes it. None: each person has one.
        local: Servers and runs are processes of this machine: the digest of an environment stands for an image.
        queue: Kueue's local queue that runs wait in; each person's namespace needs one of this name. None for no queue.
        registries: Where images come from: host, with its port where it has one, and maybe the beginning of a path.
        without_tls: Hosts of them that are asked by plain HTTP.
        registry_hosts: Other hosts that they may send us to, for a token or for content.
        signers: Public keys (PEM) of who signs `images.lock`.
        signatures: How many of them must have signed it; 0 takes an unsigned one.
        verify: What becomes of an image whose signature cannot be verified: denied, told, or nothing is verified.
        image_keys: Public keys (PEM) of who signs images.
        sbom: The same for an image without a list of its parts (SBOM).
    """

    domain: Name
    local: bool = False
    registries: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:/_-]{0,199}$")], ...]
    without_tls: tuple[Host, ...] = Field(default=(), max_length=20)
    registry_hosts: tuple[Host, ...] = Field(default=(), max_length=20)
    largest: Largest
    storage_class: Name | None = None
    system_namespace: Name = "hub-ext"
    shared_namespace: Name | None = None
    per_person: PerPerson = PerPerson()
    outside: tuple[Outside, ...] = Field(default=(), max_length=16)
    queue: Name | None = None
    signers: dict[Name, Pem] = Field(default_factory=dict, max_length=20)
    signatures: Annotated[int, Field(ge=0, le=20, strict=True)] = 1
    verify: Literal["required", "warn", "off"] = "off"
    image_keys: dict[Name, Pem] = Field(default_factory=dict, max_length=20)
    sbom: Literal["required", "warn", "off"] = "off"

    @field_validator("signers", "image_keys")
    @classmethod
    def _different(cls, keys: dict[str, str]) -> dict[str, str]:
        known: dict[str, str] = {}
        for name, pem in keys.items():
            other = known.setdefault(public_key(name, pem).fingerprint, name)
            if other != name:
                msg = f"{other} and {name} are one key, and would count twice"
                raise ValueError(msg)
        return keys

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.shared_namespace == self.system_namespace:
            msg = "shared_namespace: must be another than that of the platform, whose pods it would cut off"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if self.verify != "off" and (self.local or not self.image_keys):
            why = "processes of this machine have no images" if self.local else "image_keys names no key to verify with"
            msg = f"verify: {self.verify} cannot be: {why}"
            raise ValueError(msg)
        if self.sbom != "off" and self.verify == "off":
            msg = f"sbom: {self.sbom} goes with verify"
            raise ValueError(msg)
        if self.signers and self.signatures > len(self.signers):
            msg = f"signatures: {self.signatures} of {len(self.signers)} signers can never sign"
            raise ValueError(msg)
        return self

    def lock_keys(self) -> list[PublicKey]:
        """Return the keys of who signs `images.lock`."""
        return [public_key(name, pem) for name, pem in self.signers.items()]

    def verifying_keys(self) -> list[PublicKey]:
        """Return the keys of who signs images."""
        return [public_key(name, pem) for name, pem in self.image_keys.items()]


class Enclave(Model):
    """A network: its registries, largest sizes and storage."""

    api_version: Literal["hub-ext/v1"] = Field(alias="apiVersion")
    kind: Literal["Enclave"]
    metadata: RulesMetadata
    spec: EnclaveSpec

    def params(self) -> dict[str, str]:
        """Return what rules may ask of the enclave, as texts."""
        largest = self.spec.largest
        return {
            "enclave": self.metadata.name,
            "registries": ",".join(self.spec.registries),
            "maxCpu": f"{round(largest.cpu * 1000)}m",
            "maxMemory": largest.memory,
            "maxGpu": str(largest.gpu),
            "outside": ",".join(one.cidr for one in self.spec.outside),
            "maxScratch": largest.scratch,
        }


NO_ENCLAVE = Enclave(
    apiVersion="hub-ext/v1",
    kind="Enclave",
    metadata=RulesMetadata(name="none", title="No network", owner="nobody"),
    spec=EnclaveSpec(domain="none", registries=(), largest=Largest(cpu=0.001, memory="1Ki")),
)


@dataclass(frozen=True)
class Violation:
    """A rule that an object or request does not meet."""

    rule: Rule
    subject: str

    @property
    def denies(self) -> bool:
        """Whether it stops the start."""
        return self.rule.severity == "deny"


@dataclass(frozen=True)
class Policy:
    """All rules in force, compiled.

    Attributes:
        rules: The rules; ids are unique.
        owners: Whom to ask about a rule: id → owner of its file.
    """

    rules: tuple[Rule, ...]
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def unreadable(self) -> bool:
        """Whether it stands in for one that could not be read."""
        return any(rule.id == _UNREADABLE for rule in self.rules)

    @cached_property
    def _programs(self) -> dict[str, list[tuple[Rule, Compiled]]]:
        found: dict[str, list[tuple[Rule, Compiled]]] = {}
        for rule in self.rules:
            found.setdefault(rule.on, []).append((rule, compile_rule(rule.cel, rule.on)))
        return found

    def judge(
        self, kind: Kind, subject: Mapping[str, Any], params: Mapping[str, str], namespace: Mapping[str, str]
    ) -> list[Violation]:
        """Return the rules that an object or request does not meet; a rule that cannot be evaluated is not met.

        Args:
            kind: What it is.
            subject: The manifest, or the view of the request.
            params: From `Enclave.params`.
            namespace: Labels of the person's namespace.
        """
        rules = self._programs.get(kind, [])
        if not rules:
            return []
        stage = scene(kind, subject, params, namespace)
        found = []
        for number, (rule, program) in enumerate(rules):
            if number % _IN_A_ROW == 0:
                time.sleep(0)  # an event loop beside this thread has its turn, and not only each switch interval (5 ms)
            if not stage.holds(program):
                found.append(Violation(rule, kind))
        return found


def merge(files: Sequence[PolicyRules]) -> Policy:
    """Return the rules of all files as one policy.

    Raises:
        ValueError: If two rules have one id.
    """
    rules: dict[str, Rule] = {}
    owners: dict[str, str] = {}
    for file in files:
        for rule in file.rules:
            if rule.id in rules:
                msg = f"the rule {rule.id} is there twice (again in {file.metadata.name})"
                raise ValueError(msg)
            rules[rule.id], owners[rule.id] = rule, file.metadata.owner
    return Policy(tuple(rules.values()), owners)


def nothing_starts(why: str, owner: str) -> Policy:
    """Return a policy that no start meets, for when there is none that could be read.

    Args:
        why: Told to who wants to start something.
        owner: Whom to ask.
    """
    rule = Rule(id=_UNREADABLE, title="There is a policy", on="request", controls=("CM-6",), message=why, cel="false")
    return Policy((rule,), {rule.id: owner})
