"""A Hub of Zero to JupyterHub: what its chart always says is taken back, what is said of servers is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from hub_ext.deployed.zero_to_jupyterhub import configure_theirs
from hub_ext.errors import InvalidInput
from hub_ext.settings import HubExt
from hub_ext.spawner.guard import SPAWNERS, Refused
from tests.cluster.layout import PROJECT

OVERLAY: dict[str, Any] = yaml.safe_load((PROJECT / "helm" / "zero-to-jupyterhub.yaml").read_text())


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the overlay's `hub.extraEnv` says, with a file in place of PostgreSQL."""
    told = {one["name"]: one.get("value", "from a Secret") for one in OVERLAY["hub"]["extraEnv"]}
    told |= {"HUB_EXT_DATABASE_URL": f"sqlite:///{tmp_path}/ours.sqlite", "HUB_EXT_STATE_DIR": str(tmp_path / "state")}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return told


@pytest.fixture
def c() -> Config:
    """What their chart says with the overlay: nothing of a server that counts."""
    config = Config()
    config.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    config.JupyterHub.services = []
    config.JupyterHub.load_roles = []
    config.JupyterHub.hub_bind_url = "http://:8081"
    config.KubeSpawner.namespace = "research"
    config.KubeSpawner.common_labels = {"release": "jupyterhub"}
    config.KubeSpawner.image = "an-image:of-theirs"
    config.KubeSpawner.start_timeout = 300
    config.KubeSpawner.events_enabled = True
    config.KubeSpawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
    config.KubeSpawner.uid = 1000
    config.KubeSpawner.fs_gid = 100
    config.KubeSpawner.allow_privilege_escalation = False
    for name in ("environment", "volumes", "volume_mounts", "extra_pod_config", "lifecycle_hooks", "node_selector"):
        config.KubeSpawner[name] = {}
    for name in ("profile_list", "init_containers", "extra_containers", "tolerations"):
        config.KubeSpawner[name] = []
    config.Spawner.cmd = "jupyterhub-singleuser"
    config.Spawner.consecutive_failure_limit = 5
    config.CryptKeeper["keys"] = ["11" * 32]
    return config


def test_the_overlay_is_enough(c: Config, environ: dict[str, str]) -> None:
    configure_theirs(c, os.environ)
    assert c.JupyterHub.spawner_class == SPAWNERS["kubernetes"][0]
    services = {one["name"]: one for one in c.JupyterHub.services}
    assert services["workflows"]["url"] == environ["HUB_EXT_SERVICE_URL"]
    assert set(c.KubeSpawner) == {"start_timeout"}
    followed = import_item(c.JupyterHub.proxy_class)
    assert issubclass(followed, ConfigurableHTTPProxy)  # so that what their chart says of that holds for this
    assert c[followed.__name__].route == "/services/workflows"


def test_a_proxy_of_another_make_stays(c: Config, environ: dict[str, str]) -> None:
    c.JupyterHub.proxy_class = "traefik_file"
    configure_theirs(c, os.environ)
    assert c.JupyterHub.proxy_class == "traefik_file"


def test_the_overlay_calls_it_and_knows_no_setting_that_is_none_of_ours() -> None:
    (text,) = OVERLAY["hub"]["extraConfig"].values()
    assert "configure_theirs(c, os.environ)" in text
    compile(text, "extraConfig", "exec")
    known = {f"HUB_EXT_{name.upper()}" for name in HubExt.class_traits(config=True)}
    named = {one["name"] for one in OVERLAY["hub"]["extraEnv"]}
    others = {"HUB_EXT_SERVICE_URL", "HUB_EXT_SERVICE_TOKEN", "HUB_EXT_FILES_CLIENT_SECRET", "HUB_EXT_FILES_CLIENT_ID"}
    assert named - known <= others | {"HUB_EXT_SIGN_IN_CLIENT_SECRET", "HERE"}


def test_the_pod_is_given_its_accounts_token_which_the_account_itself_does_not_give() -> None:
    assert OVERLAY["hub"]["extraPodSpec"]["automountServiceAccountToken"] is True


def test_hub_and_proxy_bear_what_servers_let_in() -> None:
    mark = {"app.kubernetes.io/part-of": "hub-ext"}
    assert (OVERLAY["hub"]["labels"], OVERLAY["proxy"]["labels"]) == (mark, mark)


def test_the_service_beside_the_hub_has_the_same_settings_as_the_hub() -> None:
    (service,) = OVERLAY["hub"]["extraContainers"]
    assert service["env"] == OVERLAY["hub"]["extraEnv"]
    assert service["image"] == "{name}:{tag}".format(**OVERLAY["hub"]["image"])


# What an operator may have had: each by the name of the value that it comes from.
THEIRS: list[tuple[str, Any, str]] = [
    ("profile_list", [{"display_name": "Large"}], "singleuser.profileList"),
    ("environment", {"TOKEN": "x"}, "singleuser.extraEnv"),
    ("mem_guarantee", "1G", "singleuser.memory.guarantee"),
    ("cpu_limit", 8, "singleuser.cpu.limit"),
    ("volumes", {"home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}}, "singleuser.storage"),
    ("storage_pvc_ensure", True, "singleuser.storage.type"),
    ("init_containers", [{"name": "block-cloud-metadata"}], "singleuser.cloudMetadata.blockWithIptables"),
    ("scheduler_name", "user-scheduler", "scheduling.userScheduler.enabled"),
    ("priority_class_name", "priority", "scheduling.podPriority.enabled"),
    ("tolerations", [{"operator": "Exists"}], "scheduling.userPods.tolerations"),
    ("node_affinity_preferred", [{"weight": 100}], "matchNodePurpose"),
    ("extra_pod_config", {"hostNetwork": True}, "singleuser.extraPodConfig"),
    ("extra_containers", [{"name": "sidecar"}], "singleuser.extraContainers"),
    ("lifecycle_hooks", {"postStart": {}}, "singleuser.lifecycleHooks"),
    ("service_account", "strong", "singleuser.serviceAccountName"),
    ("uid", 0, "singleuser.uid"),
    ("allow_privilege_escalation", True, "singleuser.allowPrivilegeEscalation"),
    ("extra_labels", {"a": "b"}, "singleuser.extraLabels"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "told"), THEIRS, ids=[one[0] for one in THEIRS])
def test_what_says_something_of_servers_is_refused_with_the_value_it_comes_from(
    c: Config, environ: dict[str, str], name: str, value: Any, told: str
) -> None:
    c.KubeSpawner[name] = value
    with pytest.raises(Refused, match=f"KubeSpawner.{name}") as caught:
        configure_theirs(c, os.environ)
    assert told in str(caught.value)


@pytest.mark.parametrize("hook", ["pre_spawn_hook", "modify_pod_hook", "options_form"])
def test_a_hook_of_extra_config_is_refused(c: Config, environ: dict[str, str], hook: str) -> None:
    c.KubeSpawner[hook] = lambda *_: None
    with pytest.raises(Refused, match=hook):
        configure_theirs(c, os.environ)


def test_an_authenticator_that_lets_everybody_be_anybody_is_refused(c: Config, environ: dict[str, str]) -> None:
    c.JupyterHub.authenticator_class = "dummy"
    environ.pop("HUB_EXT_SIGN_IN_ISSUER")
    with pytest.raises(InvalidInput, match="everybody be anybody"):
        configure_theirs(c, environ)


@pytest.mark.parametrize("name", ["HUB_EXT_SERVICE_URL", "HUB_EXT_SERVICE_TOKEN", "HUB_EXT_DATABASE_URL"])
def test_what_is_missing_is_named(c: Config, environ: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        configure_theirs(c, environ | {name: ""})
