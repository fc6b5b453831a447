"""The stock side: JupyterHub with kubespawner's own class, its own profiles and its own handling of options.

The Hub is a process of its own, started from a configuration file. The spawner is a subclass of `KubeSpawner` that
replaces what talks to a cluster and nothing else: `_start` ends when the pod's manifest is made (and writes it down),
`poll` says that nothing runs, `stop` does nothing. Everything that looks at options is kubespawner's.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

from benchmarks.harness import BIN, STOCK, environment, free_port, running, wait
from benchmarks.hostile.options import NOTHING, Case
from benchmarks.hostile.paths import PATHS, Results, drive, people
from benchmarks.hostile.side import PASSWORD, Outcome, Side, Words

ALLOWED = Case("what is allowed", options={"memory": "8Gi", "idle": "30"})
PATTERNS = {
    # As the form's own `pattern`, a browser holds it to the whole of what is typed.
    "image": r"registry\.example/notebooks/[a-z]+:[0-9]+\.[0-9]+",
    # With both ends.
    "idle": r"^(1[5-9]|[2-9][0-9]|1[0-9][0-9]|2[0-3][0-9]|240)$",
}
PROFILES: list[tuple[str, dict[str, Any]]] = [
    (
        "analysts",
        {
            "display_name": "Maps",
            "slug": "maps",
            "kubespawner_override": {
                "image": "registry.example/notebooks/standard:1.4",
                "cpu_guarantee": 0.5,
                "cpu_limit": 2,
                "mem_guarantee": "1G",
                "mem_limit": "4G",
                "environment": {"IDLE_MINUTES": "60"},
            },
            "profile_options": {
                "memory": {
                    "display_name": "Memory",
                    "choices": {
                        "2Gi": {"display_name": "2", "kubespawner_override": {"mem_limit": "2G"}},
                        "4Gi": {"display_name": "4", "default": True, "kubespawner_override": {"mem_limit": "4G"}},
                        "8Gi": {"display_name": "8", "kubespawner_override": {"mem_limit": "8G"}},
                    },
                },
                "cores": {
                    "display_name": "Cores",
                    "choices": {
                        "2": {"display_name": "2", "default": True, "kubespawner_override": {"cpu_limit": 2}},
                        "4": {"display_name": "4", "kubespawner_override": {"cpu_limit": 4}},
                    },
                },
                "idle": {
                    "display_name": "Stop when idle for (minutes)",
                    "choices": {"60": {"display_name": "60", "default": True, "kubespawner_override": {}}},
                    "unlisted_choice": {
                        "enabled": True,
                        "display_name": "Other",
                        "validation_regex": PATTERNS["idle"],
                        "kubespawner_override": {"environment": {"IDLE_MINUTES": "{value}"}},
                    },
                },
                "image": {
                    "display_name": "Image",
                    "choices": {
                        "standard": {"display_name": "Standard", "default": True, "kubespawner_override": {}},
                        "geo": {
                            "display_name": "Geo",
                            "kubespawner_override": {"image": "registry.example/notebooks/geo:1.4"},
                        },
                    },
                    "unlisted_choice": {
                        "enabled": True,
                        "display_name": "Other",
                        "validation_regex": PATTERNS["image"],
                        "kubespawner_override": {"image": "{value}"},
                    },
                },
            },
        },
    ),
    (
        "modellers",
        {
            "display_name": "Machine learning",
            "slug": "machine-learning",
            "kubespawner_override": {"image": "registry.example/notebooks/standard:1.4", "mem_limit": "24G"},
        },
    ),
]
RECORDER = '''
import json
from pathlib import Path

from jupyterhub.spawner import SpawnException
from kubespawner import KubeSpawner

PROFILES = {profiles!r}


class Recorder(KubeSpawner):
    """The real class, up to the pod that it would ask the cluster for."""

    async def _start(self):
        path = Path({folder!r}) / f"{{self.user.name}}--{{self.name}}.json"
        try:
            await self.load_user_options()
            pod = await self.get_pod_manifest()
        except Exception as error:
            path.write_text(json.dumps({{"error": f"{{type(error).__name__}}: {{error}}"[:200]}}))
            raise
        path.write_text(json.dumps({{"pod": self.api.api_client.sanitize_for_serialization(pod)}}))
        raise SpawnException("A pod would be made now.", reason="recorded", status_code=503)

    async def poll(self):
        return 0

    async def stop(self, now=False):
        pass


def profiles_of(spawner):
    """Only the profiles of a person's groups, as the documentation shows it."""
    groups = {{group.name for group in spawner.user.groups}}
    return [profile for group, profile in PROFILES if group in groups]


c.JupyterHub.spawner_class = Recorder
c.KubeSpawner.profile_list = profiles_of
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.admin_users = {{"admin"}}
c.JupyterHub.load_groups = {{"analysts": {{"users": {people!r}}}}}
c.JupyterHub.allow_named_servers = True
c.JupyterHub.log_level = "CRITICAL"
'''
CLUSTER = """\
{"apiVersion": "v1", "kind": "Config", "current-context": "none",
 "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "none", "user": {}}],
 "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}]}
"""


def _body(case: Case) -> dict[str, Any]:
    options = case.options if isinstance(case.options, dict) else {"options": case.options}
    profile = {} if case.profile is NOTHING else {"profile": case.profile}
    return profile | {_field(name): value for name, value in options.items()} | case.beside


def _field(name: str) -> str:
    """Return the key of an option: that of its free text, where it has one."""
    return f"{name}--unlisted-choice" if name in PATTERNS else name


class Stock:
    """A stock Hub in a folder.

    Args:
        folder: Where all of it is.
        people: Who are analysts.
    """

    def __init__(self, folder: Path, people: list[str]) -> None:
        self._folder, self._pods = folder, folder / "pods"
        self._pods.mkdir(parents=True)
        self._port, self._admin = free_port(), "0123456789abcdef0123456789abcdef"
        text = STOCK.format(folder=folder, port=self._port, api_port=free_port(), token=self._admin)
        text += f"c.JupyterHub.hub_port = {free_port()}\n"
        recorder = RECORDER.format(profiles=PROFILES, people=people, folder=str(self._pods), password=PASSWORD)
        (folder / "config.py").write_text(text + recorder)
        (folder / "cluster.json").write_text(CLUSTER)
        self._process = contextlib.ExitStack()
        self._control: dict[str, Any] = {}

    def start(self) -> str:
        """Start the Hub, or start it again; return its address."""
        self.stop()
        command = [str(BIN / "jupyterhub"), "-f", str(self._folder / "config.py")]
        known = environment() | {"KUBECONFIG": str(self._folder / "cluster.json")}
        process = self._process.enter_context(running(command, self._folder, known))
        url = f"http://127.0.0.1:{self._port}"
        wait(f"{url}/hub/api/", process)
        return url

    def stop(self) -> None:
        """Stop the Hub."""
        self._process.close()

    def find(self, user: str, server: str, answer: httpx.Response) -> Outcome:
        """Return what became of a start: from what the spawner wrote down."""
        path = self._pods / f"{user}--{server}.json"
        if not path.exists():
            return Outcome(False, words=f"{answer.status_code}, not started")
        found = json.loads(path.read_text())
        path.unlink()
        if "error" in found:
            return Outcome(False, words=found["error"], handled=found["error"].startswith("ValueError: "))
        resolved, rest = _resolved(found["pod"])
        if not self._control:
            self._control = rest  # the first start is the one that is allowed
        wrong = {name: value for name, value in resolved.items() if not _approved(name, value)}
        if rest != self._control:
            wrong["rest"] = "differs"
        return Outcome(True, not wrong, ", ".join(f"{name}={value!r}" for name, value in (wrong or resolved).items()))


def _resolved(pod: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the options of a profile set in a pod, and all the rest but for names."""
    spec = pod["spec"]
    container = spec["containers"][0]
    env = {one["name"]: one.get("value") for one in container.pop("env")}
    limits = container["resources"]["limits"]
    found = {
        "image": container.pop("image"),
        "memory": limits.pop("memory"),
        "cores": limits.pop("cpu"),
        "idle": env.pop("IDLE_MINUTES", None),
    }
    known = ("JUPYTERHUB_", "JUPYTER_IMAGE", "JPY_", "MEM_", "CPU_", "KUBERNETES_")
    rest = {"spec": spec, "env": sorted(name for name in env if not name.startswith(known))}
    for name in ("hostname", "affinity"):
        spec.pop(name, None)
    return found, rest


def _approved(name: str, value: Any) -> bool:
    """Whether an option of the profile can yield a value: a choice, or a text that its pattern matches as a whole."""
    if name == "memory":
        return value in [gigabytes * 2**30 for gigabytes in (2, 4, 8)]
    if name == "cores":
        return value in (2.0, 4.0)
    choices = {"image": ["registry.example/notebooks/standard:1.4"], "idle": ["60"]}[name]
    return value in choices or (isinstance(value, str) and re.fullmatch(PATTERNS[name], value) is not None)


def results(folder: Path, cases: list[Case], paths: Collection[str] = tuple(PATHS)) -> tuple[Results, set[str]]:
    """Send all cases to a stock Hub by all paths; see `drive`."""
    stock = Stock(folder, ["admin", *people(cases)])
    words = Words(_body, lambda profile, name: f"profile-option-{profile}--{_field(name)}")
    try:
        side = Side(stock.start(), words, stock.find)
        with contextlib.closing(side):
            return drive(side, cases, ALLOWED, stock.start, paths)
    finally:
        stock.stop()
