"""hub-ext in a Hub that the chart of Zero to JupyterHub runs: its `hub.extraConfig` calls `configure_theirs(c)`.

That chart says a good deal of a spawner whatever its values are. What says nothing of its own is taken back here;
whatever else is left of `singleuser` would change servers, and `configure` refuses it by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event
from traitlets.config import Config

from hub_ext.app import configure
from hub_ext.db.full import say_when_full
from hub_ext.errors import InvalidInput
from hub_ext.settings import HubExt
from hub_ext.spawner.guard import Refused, value_of

_NEEDED = ("HUB_EXT_DATABASE_URL", "HUB_EXT_FILES_CLIENT_SECRET", "HUB_EXT_SERVICE_TOKEN", "HUB_EXT_SERVICE_URL")
_THEIRS = "kubespawner.KubeSpawner"

# Where pods are, what they are labelled with, and which image they have: hub-ext's spawner looks at none of it.
_WITHOUT_MEANING = frozenset({"namespace", "common_labels", "image", "image_pull_policy", "events_enabled"})

# What their chart has as its default, and what hub-ext's own pods have anyway, or have in their own way.
_DEFAULTS: Mapping[str, Any] = {
    "allow_privilege_escalation": False,
    "cmd": "jupyterhub-singleuser",
    "extra_labels": {"hub.jupyter.org/network-access-hub": "true"},
    "fs_gid": 100,
    "uid": 1000,
}

# Where a setting comes from in their values, if not from `singleuser` under its own name.
_VALUES: Mapping[str, str] = {
    "cpu_guarantee": "singleuser.cpu.guarantee",
    "cpu_limit": "singleuser.cpu.limit",
    "environment": "singleuser.extraEnv",
    "image_pull_secrets": "imagePullSecrets",
    "init_containers": "singleuser.initContainers, or singleuser.cloudMetadata.blockWithIptables",
    "mem_guarantee": "singleuser.memory.guarantee",
    "mem_limit": "singleuser.memory.limit",
    "node_affinity_preferred": "singleuser.extraNodeAffinity, or scheduling.userPods.nodeAffinity.matchNodePurpose",
    "node_affinity_required": "singleuser.extraNodeAffinity, or scheduling.userPods.nodeAffinity.matchNodePurpose",
    "priority_class_name": "scheduling.podPriority.enabled",
    "scheduler_name": "scheduling.userScheduler.enabled",
    "service_account": "singleuser.serviceAccountName",
    "storage_pvc_ensure": "singleuser.storage.type",
    "tolerations": "singleuser.extraTolerations, or scheduling.userPods.tolerations",
    "volume_mounts": "singleuser.storage.type, extraVolumeMounts or extraFiles",
    "volumes": "singleuser.storage.type, extraVolumes or extraFiles",
}


def configure_theirs(c: Config, environ: Mapping[str, str]) -> None:
    """Set a Hub of Zero to JupyterHub up for hub-ext; the sharing service runs beside it.

    Args:
        c: Their configuration.
        environ: Holds the settings of hub-ext (`HUB_EXT_…`), among them where the sharing service is and its token.

    Raises:
        InvalidInput: If something is missing, or everybody could be anybody; names it.
        Refused: If a value of theirs cannot stand beside hub-ext; names the setting, and where it comes from.
    """
    missing = [name for name in _NEEDED if not environ.get(name)]
    if missing:
        raise InvalidInput.of(missing[0], "must be set in hub.extraEnv")
    settings = HubExt.from_environment(dict(environ))
    for name in settings.trait_names(config=True):
        c.HubExt[name] = getattr(settings, name)
    if value_of(c, "JupyterHub", "authenticator_class") in ("dummy", "null") and not settings.sign_in_issuer:
        raise InvalidInput.of("hub.config.JupyterHub.authenticator_class", "lets everybody be anybody")
    if value_of(c, "JupyterHub", "spawner_class") == _THEIRS:
        del c.JupyterHub["spawner_class"]
    for section in [one for one in ("KubeSpawner", "Spawner") if one in c]:
        _take_back(c, section)
    _follow_the_proxy(c, settings)
    try:
        configure(c, service="external")
    except Refused as refusal:
        raise _in_their_words(refusal) from None
    event.listen(Engine, "handle_error", say_when_full)  # the Hub makes its engine later


def _follow_the_proxy(c: Config, settings: HubExt) -> None:
    """Give a proxy that was started anew its routes within seconds, unless they have one of another make."""
    if value_of(c, "JupyterHub", "proxy_class") is None:
        c.JupyterHub.proxy_class = "hub_ext.deployed.proxy.FollowedProxy"
        c.FollowedProxy.route = f"/services/{settings.service_name}"


def _take_back(c: Config, section: str) -> None:
    for name in list(c[section]):
        value = value_of(c, section, name)
        says_nothing = value in (None, "", [], {}, ())
        if says_nothing or name in _WITHOUT_MEANING or (name in _DEFAULTS and value == _DEFAULTS[name]):
            del c[section][name]


def _in_their_words(refusal: Refused) -> Refused:
    section, _, name = refusal.setting.partition(".")
    if section != "KubeSpawner":
        return refusal
    words = name.split("_")
    theirs = _VALUES.get(name) or "singleuser." + words[0] + "".join(one.capitalize() for one in words[1:])
    return Refused(refusal.setting, f"it comes from {theirs} of the values, and would change servers past the profiles")
