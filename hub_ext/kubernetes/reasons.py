"""Why each line of a rendering is as it is: found by changing one thing at a time and looking what changes. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hub_ext.catalog.models import SETTABLE, Model, Profile, Spec, field_of
from hub_ext.catalog.options import Value
from hub_ext.catalog.policy import Enclave, Kind, Policy
from hub_ext.catalog.quantities import format_size, parse_size
from hub_ext.catalog.room import Room, largest
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.render import Rendering, flatten, label_of, render

_OTHER_IMAGE = "other@sha256:" + "f" * 64
_Model = TypeVar("_Model", bound=Model)
_KINDS: dict[str, Kind] = {"Pod": "pod", "NetworkPolicy": "networkpolicy"}


@dataclass(frozen=True)
class Start:
    """Everything that a rendering follows from.

    Attributes:
        profile: The version.
        spec: What the options resolve to.
        values: The options.
        enclave: The network.
        image: Registry, name and digest.
        user: Who it is for.
        purpose: ``server`` or ``run``.
        name: Name of the server, or id of the run.
        room: The most that this person may start; by default what this profile can be made to take.
    """

    profile: Profile
    spec: Spec
    values: Mapping[str, Value]
    enclave: Enclave
    image: str
    user: str
    purpose: str
    name: str
    room: Room | None = None

    def rendered(self) -> Rendering:
        """Return what it makes."""
        return render(
            self.profile,
            self.spec,
            self.enclave,
            user=self.user,
            purpose=self.purpose,
            name=self.name,
            image=self.image,
            room=self.room,
        )


def reasons(start: Start, policy: Policy) -> list[dict[str, str]]:
    """Return, for each object of a start, path of a leaf → ``option …``, ``profile …``, ``enclave …``, ``start …`` or
    ``baseline``, with the rule that asks for it where there is one.

    Args:
        start: The start.
        policy: The rules.
    """
    made = start.rendered()
    objects = made.all()
    found: list[dict[str, str]] = [{} for _ in objects]
    for words, other in _changes(start):
        others = {_identity(one): dict(flatten(one)) for one in other.rendered().all()}
        for number, one in enumerate(objects):
            there = others.get(_identity(one), {})
            for path, value in flatten(one):
                if path not in found[number] and there.get(path) != value:
                    found[number][path] = words
    labels = made.namespace["metadata"]["labels"]
    for number, one in enumerate(objects):
        for path, _ in flatten(one):
            if path not in found[number]:
                found[number][path] = _baseline(one, path, policy, start.enclave, labels)
    return found


def _identity(manifest: Manifest) -> tuple[str, bool]:
    """Tell the objects of one rendering apart, whatever they are called."""
    return manifest["kind"], manifest["metadata"]["name"] == "default-deny"


def _changes(start: Start) -> Iterator[tuple[str, Start]]:
    """Yield starts that differ in one thing, with the words for it; the first that changes a leaf is its reason."""
    spec, profile, enclave = start.spec, start.profile, start.enclave
    options = {option.sets: name for name, option in profile.spec.options.items()}
    for path in SETTABLE:
        other = _other_spec(spec, path)
        if other is None:
            continue
        name = options.get(path)
        words = f"option {name}={start.values.get(name)}" if name else f"profile {path}"
        image = _OTHER_IMAGE if path in ("image", "local.environment") else start.image
        yield words, replace(start, spec=other, image=image)
    if spec.network.egress:
        bare = spec.model_copy(update={"network": spec.network.model_copy(update={"egress": ()})})
        yield "profile network.egress", replace(start, spec=bare)
    largest_of_all = start.room or largest(profile)
    grown = Room(largest_of_all.cpu + 1, largest_of_all.memory + 2**20, largest_of_all.gpu + 1, largest_of_all.home + 1)
    yield "the largest that this person may start", replace(start, room=grown)
    about = profile.metadata
    for field, value in (("version", about.version + 1), ("name", f"{about.name}-x")):
        renamed = profile.model_copy(update={"metadata": about.model_copy(update={field: value})})
        yield f"profile metadata.{field}", replace(start, profile=renamed)
    limits = enclave.spec
    fields = ("storage_class", "system_namespace", "queue", *(["shared_namespace"] if limits.shared_namespace else []))
    for field in fields:
        changed = enclave.model_copy(update={"spec": limits.model_copy(update={field: "other"})})
        yield f"enclave {field}", replace(start, enclave=changed)
    each = limits.per_person
    for field in ("servers", "runs"):
        more = each.model_copy(update={field: getattr(each, field) + 1})
        changed = enclave.model_copy(update={"spec": limits.model_copy(update={"per_person": more})})
        yield f"enclave per_person.{field}", replace(start, enclave=changed)
    if limits.outside:
        inside = enclave.model_copy(update={"spec": limits.model_copy(update={"outside": ()})})
        yield "enclave outside", replace(start, enclave=inside)
    named = enclave.model_copy(update={"metadata": enclave.metadata.model_copy(update={"name": "other"})})
    yield "enclave metadata.name", replace(start, enclave=named)
    yield "start user", replace(start, user=f"{start.user}-x")
    yield "start name", replace(start, name=f"{start.name}x")


def _other_spec(spec: Spec, path: str) -> Spec | None:
    """Return a spec with another value in a field; None where it has no such field."""
    value = field_of(spec, path)
    if value is None:
        return None
    if path.endswith("size") or ".memory." in path:
        changed: Any = format_size(parse_size(value) + 2**20)
    else:
        changed = value + 1 if isinstance(value, int | float) else f"{value}-x"
    return _put(spec, path.split("."), changed)


def _put(model: _Model, path: list[str], value: Any) -> _Model:
    first, *rest = path
    below = _put(getattr(model, first), rest, value) if rest else value
    return model.model_copy(update={first: below})


def _baseline(manifest: Manifest, path: str, policy: Policy, enclave: Enclave, labels: Mapping[str, str]) -> str:
    """Return ``baseline`` with the rules that want a leaf as it is: those that are broken without it."""
    kind = _KINDS.get(manifest["kind"])
    if kind is None:
        return "baseline"
    for change in (_without, _opposite):
        other = copy.deepcopy(manifest)
        change(other, path)
        broken = [one.rule.id for one in policy.judge(kind, other, enclave.params(), labels)]
        if broken:
            return f"baseline, {', '.join(broken[:2])}"
    return "baseline"


def _leaf_at(manifest: Any, path: str) -> tuple[Any, Any]:
    """Return what holds a leaf, and its key there."""
    for holder, key, here in _walk(manifest, ""):
        if here == path:
            return holder, key
    return {}, None


def _walk(value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    items: list[tuple[Any, str, Any]] = []
    if isinstance(value, dict):
        items = [(key, f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(index, f"{path}[{label_of(item, index)}]", item) for index, item in enumerate(value)]
    for key, here, item in items:
        if isinstance(item, dict | list):
            yield from _walk(item, here)
        else:
            yield value, key, here


def _without(manifest: Manifest, path: str) -> None:
    holder, key = _leaf_at(manifest, path)
    if key is not None:
        del holder[key]


def _opposite(manifest: Manifest, path: str) -> None:
    holder, key = _leaf_at(manifest, path)
    if key is None:
        return
    value = holder[key]
    holder[key] = (not value) if isinstance(value, bool) else 0 if isinstance(value, int) else "other"
