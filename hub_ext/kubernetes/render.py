"""A profile and its options → every object that a start makes, before any cluster exists. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hub_ext.catalog.idleness import idle_arguments
from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.policy import Enclave
from hub_ext.catalog.quantities import parse_size
from hub_ext.catalog.room import Room, largest, room_of
from hub_ext.kubernetes import objects
from hub_ext.kubernetes.network import default_deny, network_policy
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.places import Place, shared_namespace

SERVER_COMMAND = ("tini", "-g", "--", "jupyterhub-singleuser")  # tini ends what a person leaves behind
RUN_COMMAND = ("python", "-m", "hub_ext_executor", "--remote")
RUN_GRACE = 900  # seconds past a run's deadline that its pod has to start, to send its results, and to end
RUN_REPEATS = 2  # how often a run is done again whose author says that it may be
_LONGEST = 30 * 24 * 3600  # seconds of a pod's life, by the rule `has-an-end`
_KEPT = 3600  # seconds that a Job stays that nobody removes


@dataclass(frozen=True)
class Rendering:
    """What a start makes.

    Attributes:
        namespace: The person's namespace, or that of all.
        pod: The pod of a server, or the pod that a run's Job makes.
        network: Its NetworkPolicy.
        home: The claim of the home volume, None for a run.
        around: What the namespace has besides: default deny, quota, largest container.
        job: The Job of a run, None for a server.
        shared: Whether the namespace is that of all, which we never make.
    """

    namespace: Manifest
    pod: Manifest
    network: Manifest
    home: Manifest | None
    around: tuple[Manifest, ...]
    job: Manifest | None = None
    shared: bool = False

    def all(self) -> list[Manifest]:
        """Return the objects in the order in which they are made."""
        last = self.job or self.pod
        return [
            *([] if self.shared else [self.namespace]),
            *self.around,
            *([self.home] if self.home else []),
            self.network,
            last,
        ]


class Version(Protocol):
    """What a rendering needs of a profile's version; `Profile` is one."""

    @property
    def name(self) -> str:
        """Name of the profile."""

    @property
    def version(self) -> int:
        """Number of the version."""


def render(
    profile: Profile | Version,
    spec: Spec,
    enclave: Enclave,
    *,
    user: str,
    purpose: str,
    name: str,
    image: str,
    launch: str = "start",
    room: Room | None = None,
    repeatable: bool = False,
) -> Rendering:
    """Return what a start of a profile makes.

    Args:
        profile: The version that was decided on.
        spec: What the decision resolved to.
        enclave: The network.
        user: Who it is for.
        purpose: ``server`` or ``run``.
        name: Name of the server (empty for the default), or the run's launch id.
        image: Registry, name and digest (`judging.image_of`).
        launch: Id of a server's start; what only that start needs is called so.
        room: The most that this person may start; by default what this profile can be made to take.
        repeatable: Whether a run whose pod is lost may be done again.
    """
    place, system = Place.of(user, enclave.spec), enclave.spec.system_namespace
    where, server = place.namespace, purpose == "server"
    launch = launch if server else name
    marks = objects.labels(profile.name, profile.version, purpose, user, name, system=system, launch=launch)
    home = _home(spec, enclave, place, user) if server else None
    pod_spec = _pod_spec(spec, image, profile.name, launch, place.home if server else None)
    pod = objects.pod(place.server(name) if server else name, where, marks, pod_spec)
    network = network_policy(launch, where, marks, spec.network.egress, system, _outside(enclave, purpose))
    repeats = RUN_REPEATS if repeatable else 0
    job = objects.job(name, where, marks, pod_spec, keep=_KEPT, queue=enclave.spec.queue, repeats=repeats)
    around = _around(where, enclave, (room or _most(profile)) | room_of(spec))
    namespace = _namespace(place, enclave, user)
    return Rendering(namespace, pod, network, home, around, None if server else job, bool(place.shared))


def _most(profile: Profile | Version) -> Room:
    return largest(profile) if isinstance(profile, Profile) else Room()


def _namespace(place: Place, enclave: Enclave, user: str) -> Manifest:
    system = enclave.spec.system_namespace
    if place.shared:
        return shared_namespace(place.namespace, system)
    return objects.namespace(place.namespace, user, enclave.metadata.name, system)


def _outside(enclave: Enclave, purpose: str) -> list[tuple[str, Sequence[int]]]:
    """Return where Hub and service are beside the cluster, with the ports that a server or a run asks there."""
    return [(one.cidr, one.ports if purpose == "server" else (one.executors,)) for one in enclave.spec.outside]


def _home(spec: Spec, enclave: Enclave, place: Place, user: str) -> Manifest | None:
    """Return the claim of a person's home, where the profile has one."""
    if spec.storage.home is None:
        return None
    mine = objects.marks_of_person(user, enclave.spec.system_namespace)
    return objects.home_claim(place.home, place.namespace, mine, spec.storage.home.size, enclave.spec.storage_class)


def _pod_spec(spec: Spec, image: str, profile: str, secret: str, home: str | None) -> Manifest:
    """Return the spec of the pod of a server, which may have a home, or of a run."""
    server = home is not None
    return objects.pod_spec(
        spec,
        image=image,
        command=server_command(spec) if server else RUN_COMMAND,
        env={"HUB_EXT_PROFILE": profile},
        home_claim=home if spec.storage.home is not None else None,
        port=objects.PORT if server else None,
        deadline=min(spec.lifetime.longest * 60 if server else spec.lifetime.maximum * 60 + RUN_GRACE, _LONGEST),
        secret=secret,
    )


def server_command(spec: Spec) -> list[str]:
    """Return what the pod of a server runs; it ends by itself when nobody uses it."""
    return [*SERVER_COMMAND, *idle_arguments(spec.lifetime.idle)]


def _around(where: str, enclave: Enclave, room: Room) -> tuple[Manifest, ...]:
    """Return what closes and bounds a namespace; that of all is bounded by whoever runs the cluster."""
    if enclave.spec.shared_namespace:
        return (default_deny(where),)
    each = enclave.spec.per_person
    quota = objects.resource_quota(where, room, servers=each.servers, runs=each.runs)
    return default_deny(where), quota, objects.limit_range(where, room)


def request_view(profile: Profile, spec: Spec, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what request rules see: plain values under documented names.

    Args:
        profile: The version.
        spec: What the options resolve to.
        facts: ``user``, ``groups``, ``purpose``, ``hour`` (0-23) and ``weekday`` (1 Monday … 7 Sunday), in UTC.
    """
    return {
        **facts,
        "groups": sorted(facts["groups"]),
        "profile": profile.name,
        "version": profile.version,
        "owner": profile.metadata.owner,
        "tags": list(profile.metadata.tags),
        "cpu": float(spec.resources.cpu.limit),
        "memory": parse_size(spec.resources.memory.limit),
        "gpu": spec.resources.gpu,
    }


def label_of(item: Any, index: int) -> str:
    """Return how an item of a list is named in paths: by its name, if it has one."""
    return item["name"] if isinstance(item, dict) and isinstance(item.get("name"), str) else str(index)


def flatten(manifest: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a manifest with its path, for a diff that people read."""
    if isinstance(manifest, dict):
        for key in manifest:
            yield from flatten(manifest[key], f"{path}.{key}" if path else str(key))
    elif isinstance(manifest, list):
        for index, item in enumerate(manifest):
            yield from flatten(item, f"{path}[{label_of(item, index)}]")
    else:
        yield path, manifest


@dataclass(frozen=True)
class Difference:
    """One leaf that two renderings do not share.

    Attributes:
        object: Kind of the object.
        path: Where it stands.
        before: Its value, None when it is new.
        after: Its value, None when it is gone.
    """

    object: str
    path: str
    before: Any
    after: Any


def differences(before: Sequence[Manifest], after: Sequence[Manifest]) -> list[Difference]:
    """Return how two renderings differ, leaf by leaf; the label of the version itself does not count."""
    old, new = _leaves(before), _leaves(after)
    mark = f"{objects.PREFIX}/profile-version"
    return [
        Difference(*key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key) and not key[1].endswith(mark)
    ]


def _leaves(manifests: Sequence[Manifest]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for manifest in manifests:
        for path, value in flatten(manifest):
            found[manifest["kind"], path] = value
    return found
