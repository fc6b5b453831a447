"""Notebook servers as pods of a cluster, each in the namespace of its person."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import structlog
from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_path_join
from kubespawner import KubeSpawner
from traitlets import default

from hub_ext.catalog.models import Profile, Spec
from hub_ext.catalog.quantities import parse_size
from hub_ext.errors import HubExtError
from hub_ext.kubernetes import objects, words
from hub_ext.kubernetes.apply import ensure, make_new
from hub_ext.kubernetes.client import ApiError
from hub_ext.kubernetes.objects import Manifest
from hub_ext.kubernetes.places import namespace_name, server_name
from hub_ext.kubernetes.render import Rendering
from hub_ext.kubernetes.watch import Key
from hub_ext.spawner.answering import telling_line
from hub_ext.spawner.base import DecidedSpawner, StartFailed
from hub_ext.spawner.booting import Boot, address_of, make_pod
from hub_ext.spawner.cards import minutes
from hub_ext.spawner.committing import commit
from hub_ext.spawner.ledger import Outcome
from hub_ext.spawner.pods import Pods, lived

log = structlog.get_logger("hub_ext.spawner.kubernetes")

_GIVE_UP = 5.0  # seconds before JupyterHub's own limit, which looks like a cancellation
_ROUTE_WITHIN = 1.5  # seconds that a route which is being added gets, before it is taken away
_QUICK = 4.0  # seconds for each call that puts away a start: whoever cancels waits five
_STOPPING = 15.0  # seconds that a pod gets to end, its grace included


class _Bare(KubeSpawner):
    """A KubeSpawner that has made no client and no names: its own would be another account's, and other names."""

    def __init__(self, **options: Any) -> None:
        Spawner.__init__(self, **options)


class KubernetesSpawner(DecidedSpawner, _Bare):
    """Starts the pod that was decided on, with everything around it, and sees to it until it has ended.

    It is a `kubespawner.KubeSpawner`, so that who knows that one finds the way. What it overrides:

    - `__init__`: no client of its own (there is one a process, `kubernetes.client.Cluster`) and no names from
      templates: namespace and pod are called as `kubernetes.render` says.
    - `load_user_options`: refused. `profile_list` and overrides are not asked; `DecidedSpawner.start` decides, last.
    - `get_pod_manifest`, and with it every other manifest: what is made are the objects of the decision, which were
      judged. The environment is in a secret that only this start has.
    - `_ensure_namespace`: `kubernetes.apply.ensure` in its place, which takes no namespace that is not hers.
    - watching: no reflectors. `spawner.pods.Pods` watches the pods of this platform by label, for ever; events are
      asked for only in the namespace of a pod that is starting.
    - `start`, `poll`, `stop`, `progress`, `get_url`: as `DecidedSpawner` has them, and below.
    - `get_state`, `load_state`, `clear_state`: what finds a server again is its start, its namespace and its pod.
    - `get_env`: without the image's name.
    - `delete_forever`: nothing. A home is removed by `hub_ext.homes`, once an admin confirms it.
    """

    settle_every = 10.0
    server: Any  # JupyterHub's, which has no types
    _starting = False
    _made_something = False
    _ready = False  # this Hub has seen it answer, or has taken it up
    _hub_url = ""
    _limit = ""
    _routing: asyncio.Task[None] | None = None
    _noticing: asyncio.Task[None] | None = None
    _owning: asyncio.Task[None] | None = None  # the loop itself keeps no task alive

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.user is not None:
            self.namespace, self.pod_name = namespace_name(self.user.name), server_name(self.name)
        self.ip, self.port = "0.0.0.0", objects.PORT  # noqa: S104  # in its pod

    @default("env_keep")
    def _keep_nothing(self) -> list[str]:
        return []

    @default("default_url")
    def _open_lab(self) -> str:
        return "/lab"

    @default("start_timeout")
    def _room_for_a_new_node(self) -> int:
        return 300

    @property
    def key(self) -> Key:
        """Namespace and name of the pod."""
        return self.namespace, self.pod_name

    async def _pods(self) -> Pods:
        # Its namespaces stay; each server is asked for often.
        spec = self.ledger.decisions.catalog.last().enclave.spec
        return await Pods.shared(self.settings_of_ours, spec.system_namespace, spec.shared_namespace or "")

    def _hub_address(self) -> str:
        """Return the address that pods know the Hub by."""
        return str(self.settings_of_ours.pods_hub_url or self.hub_connect_url or self.hub.api_url)

    # Starting.

    async def start(self) -> str:
        """Start; while that goes on, the server counts as running."""
        self._starting, self._made_something, self._routing = True, False, None
        try:
            return await super().start()
        finally:
            self._starting = False

    async def launch(self, profile: Profile, spec: Spec) -> str:
        """Make what was judged, register the route while the server boots, and return when it answers."""
        made = self.rendering
        assert made is not None  # noqa: S101  # an allowed decision has one
        try:
            pods = await self._pods()
            if not await pods.listed():
                if pods.watch.refused:
                    raise StartFailed(*words.refused(403, pods.watch.refused))
                raise StartFailed("The cluster does not answer now.", "Try again in a moment.")
            self._take_over(made, spec)
            with pods.reserve_home(self.key, made.home), pods.boots():
                return await self._make_and_wait(pods, profile, made)
        except HubExtError as error:
            raise StartFailed(error.detail, error.hint) from error
        except ApiError as error:
            log.warning("the cluster refuses a start", start=self.start_id, error=str(error)[:2000])
            raise StartFailed(*words.refused(error.status, error.message)) from error

    def _take_over(self, made: Rendering, spec: Spec) -> None:
        about = made.pod["metadata"]
        self.namespace, self.pod_name = about["namespace"], about["name"]
        self.mem_limit, self.mem_guarantee = parse_size(spec.resources.memory.limit), None
        self.cpu_limit, self.cpu_guarantee = spec.resources.cpu.limit, None
        self._limit = f"It reached its time limit of {minutes(spec.lifetime.maximum)}."
        self._hub_url = self._hub_address()
        if self.settings_of_ours.pods_hub_url:
            self.hub_connect_url = self.settings_of_ours.pods_hub_url
        self.remember_token()

    async def _make_and_wait(self, pods: Pods, profile: Profile, made: Rendering) -> str:
        boot = Boot(pods, self.progress_of_start, made.pod, self.start_timeout - _GIVE_UP)
        if made.home is not None:
            await boot.until_the_home_is_free(made.home["metadata"]["name"])
        await self._save()  # from here on a crash leaves something that is found by its start
        telling = asyncio.create_task(self.tell_launch(profile))
        try:
            self._made_something = True
            pod = await self._make(pods, made)
            path = url_path_join(self.server.base_url, "api")
            address = await boot.until_it_answers(pod, path, self._begin_route, (self.api_token,))
            if self._routing is not None:
                await asyncio.shield(self._routing)
            if boot.answer is not None:
                boot.answer.spare(self.server)
        finally:
            telling.cancel()
        self._ready = True
        pods.follow(self.key, self._pod_changed)
        return address

    async def _make(self, pods: Pods, made: Rendering) -> Manifest:
        """Make everything, the pod last, and return that.

        The pod owns the policy, which owns the secret: nothing of a start outlives its pod, though no Hub may be there
        to delete it. The pod itself cannot own the secret, since that is needed before the pod has an identity.
        """
        network = await ensure(pods.cluster, made)
        secret = objects.owned(self._secret(made), network)
        pod, _ = await asyncio.gather(make_pod(pods, made.pod), make_new(pods.cluster, secret))
        self._owning = asyncio.create_task(pods.own(made.network, pod))
        return pod

    def _secret(self, made: Rendering) -> Manifest:
        """Return the secret with the server's environment, its token among it: so no manifest of a pod has one."""
        env = {name: str(value) for name, value in self.get_env().items() if value is not None}
        about = made.pod["metadata"]
        return objects.secret(self.start_id, about["namespace"], about["labels"], env)

    def get_env(self) -> dict[str, Any]:
        """Return the server's environment."""
        env: dict[str, Any] = Spawner.get_env(self)
        url = self.settings_of_ours.pods_service_url or str(getattr(self.sharing_service, "url", "") or "")
        return env | {"HUB_EXT_URL": url.rstrip("/"), "HUB_EXT_SERVICE_PREFIX": self.service_prefix}

    def _begin_route(self, address: str) -> None:
        """Register the route early: a proxy may need a moment to load it. The Hub confirms it afterwards."""
        if self._routing is None:
            self._routing = asyncio.create_task(self._add_route(address))

    async def _add_route(self, address: str) -> None:
        proxy = self.user.settings.get("proxy")
        if proxy is None:
            return
        try:
            add = getattr(proxy, "add_early", proxy.add_route)  # our chart's confirms it without another request
            await add(self.proxy_spec, address, {"user": self.user.name, "server_name": self.name})
        except (TimeoutError, OSError) as error:
            self.log.warning("The route of %s is not there yet: %s", self._log_name, error)

    async def withdraw(self) -> None:
        """Delete what the start has made, and take its route away."""
        if self._made_something and self.start_id:
            pods = await self._pods()
            await pods.remove(self.key, self.start_id, grace=1, within=_QUICK)
        proxy = self.user.settings.get("proxy")
        if proxy is None or self._routing is None:
            return
        await asyncio.wait([self._routing], timeout=_ROUTE_WITHIN)
        self._routing.cancel()
        try:
            await proxy.delete_route(self.proxy_spec)
        except (TimeoutError, OSError) as error:
            self.log.warning("The route of %s is still there: %s", self._log_name, error)

    # What has to be found again.

    async def _save(self) -> None:
        """Commit what finds the server again."""
        self.orm_spawner.state = self.get_state()
        await commit(self.user.db)

    def get_state(self) -> dict[str, Any]:
        """Return what finds the server again after the Hub was started anew."""
        state: dict[str, Any] = Spawner.get_state(self)
        if not self.start_id:
            return state
        return state | {
            "start": self.start_id,
            "namespace": self.namespace,
            "pod": self.pod_name,
            "hub": self._hub_url,
            "limit": self._limit,
            "lasts": self.lasts,
            "extensions": self.extensions,
            "token": self.token_id,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what an earlier Hub saved."""
        Spawner.load_state(self, state)
        self.start_id = str(state.get("start", ""))
        self.namespace = str(state.get("namespace", self.namespace))
        self.pod_name = str(state.get("pod", self.pod_name))
        self._hub_url, self._limit = str(state.get("hub", "")), str(state.get("limit", ""))
        self.lasts, self.extensions = float(state.get("lasts", 0)), int(state.get("extensions", 0))
        self.token_id = state.get("token")

    def clear_state(self) -> None:
        """Forget a server that has ended."""
        Spawner.clear_state(self)
        self._ready, self.lasts, self.extensions = False, 0.0, 0

    async def get_url(self) -> str:
        """Return the server's address, also of one that an earlier Hub only half started."""
        address = address_of((await self._pods()).get(self.key, self.start_id))
        return f"{address}{self.server.base_url}" if address else str(self.server.url)

    # Looking and ending.

    async def poll(self) -> int | None:
        """Return None while the server runs or starts, else an exit status (0 for one that was never made).

        While the API server is away nobody knows more than before: what ran still runs.
        """
        if self._starting:
            return None
        if not self.start_id:
            return 0
        pods = await self._pods()
        if not await pods.listed():
            return None
        pod = pods.get(self.key, self.start_id)
        end = words.Ended(words.DELETED) if pod is None else self._end_of(pod)
        if end is None and self.extensions and await self.is_overdue(lived(pod)):  # else the cluster ends it itself
            end = words.Ended(words.TIME_LIMIT)
        if end is None:
            self._take_up(pods)
            return None
        if end.last:
            log.info("a server's last words", start=self.start_id, said=telling_line(end.last, (self.api_token,)))
        pods.follow(self.key, None)
        await pods.remove(self.key, self.start_id, grace=None, within=_QUICK)
        timed_out = self._limit if end.words == words.TIME_LIMIT else ""
        self._gone(timed_out or f"{end.words} {end.advice}".strip())
        return end.code

    def _end_of(self, pod: Manifest) -> words.Ended | None:
        """Return how a server has ended, or why one that an earlier Hub left must end; None for one that lives."""
        end = words.ended(pod)
        if end is not None or self._ready:
            return end
        if self._hub_url != self._hub_address():
            return words.Ended("It knew the Hub under an address that is no more.")
        return None if address_of(pod) else words.Ended("The Hub ended while this server was starting.")

    def _take_up(self, pods: Pods) -> None:
        if not self._ready:
            self._ready = True
            self.write_down(Outcome(self.start_id, "ready"))
            pods.follow(self.key, self._pod_changed)

    def _pod_changed(self) -> None:
        """Hear at once what becomes of the pod; JupyterHub itself looks only now and then."""
        if self._noticing is None or self._noticing.done():
            self._noticing = asyncio.create_task(self._notice())

    async def _notice(self) -> None:
        try:
            if self.start_id and not self._starting and not self._stop_pending:
                await self.poll_and_notify()
        except Exception:
            log.exception("a change of a server's pod could not be followed; JupyterHub's own look will", key=self.key)

    def _gone(self, reason: str) -> None:
        if not self._starting:
            self.finish(Outcome(self.start_id, "stopped", reason, self.ended_by))
            self.revoke_token()
            self.clear_state()

    async def stop(self, now: bool = False) -> None:
        """End the server, and wait until its pod is gone; nothing happens for one that was never made.

        While the API server is away it counts as stopped, and its pod is removed when the API server is back.

        Args:
            now: Do not wait for it to end by itself.
        """
        launch = self.start_id
        if launch:
            pods = await self._pods()
            pods.follow(self.key, None)
            removed = await pods.remove(self.key, launch, grace=1 if now else None, within=_STOPPING)
            if removed:
                await pods.gone(self.key, launch, _STOPPING)
        self._gone(self.words_of_end())

    async def put_away(self, alive: Collection[str]) -> None:
        """Remove pods that no server stands behind."""
        pods = await self._pods()
        await pods.listed()
        await pods.put_away(self._known() | set(alive))

    # What of KubeSpawner's must not be reached.

    async def load_user_options(self) -> None:
        """Refuse: the decision alone says what a server is.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    async def get_pod_manifest(self) -> Manifest:
        """Return the pod that was decided on.

        Raises:
            NotImplementedError: If nothing was decided yet.
        """
        if self.rendering is None:
            raise NotImplementedError
        return self.rendering.pod

    async def delete_forever(self) -> None:
        """Delete nothing: a home outlives its servers."""
