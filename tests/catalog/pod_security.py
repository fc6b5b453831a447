"""The Pod Security Standard `restricted`, written anew from its list of controls, to hold our rules against.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ as of Kubernetes 1.34; no rule was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ADDABLE = {"NET_BIND_SERVICE"}
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def violations(pod: dict[str, Any]) -> set[str]:
    """Return the names of the controls that a pod does not meet."""
    return set(_baseline(pod)) | set(_restricted(pod))


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for name in ("containers", "initContainers", "ephemeralContainers") for one in spec.get(name) or []]


def _contexts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec.get("securityContext") or {}, *(one.get("securityContext") or {} for one in _containers(spec))]


def _baseline(pod: dict[str, Any]) -> Iterator[str]:
    spec = pod["spec"]
    contexts, containers = _contexts(spec), _containers(spec)
    selinux = [one.get("seLinuxOptions") or {} for one in contexts]
    ports = [port for one in containers for port in one.get("ports") or []]
    broken = {
        "HostProcess": any((one.get("windowsOptions") or {}).get("hostProcess") for one in contexts),
        "Host Namespaces": any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
        "Privileged Containers": any(one.get("privileged") for one in contexts),
        "HostPath Volumes": any("hostPath" in one for one in spec.get("volumes") or []),
        "Host Ports": any(port.get("hostPort") for port in ports),
        "Host Probes / Lifecycle Hooks": any(_names_host(one) for one in containers),
        "AppArmor": _other_apparmor(pod, contexts),
        "SELinux": any(one.get("type") not in _SELINUX or one.get("user") or one.get("role") for one in selinux),
        "/proc Mount Type": any(one.get("procMount") not in (None, "", "Default") for one in contexts),
        "Sysctls": any(one["name"] not in _SYSCTLS for one in contexts[0].get("sysctls") or []),
    }
    yield from (name for name, found in broken.items() if found)


def _other_apparmor(pod: dict[str, Any], contexts: list[dict[str, Any]]) -> bool:
    fields = {(one.get("appArmorProfile") or {}).get("type") for one in contexts}
    annotations = pod["metadata"].get("annotations") or {}
    annotated = {value.partition("/")[0] for key, value in annotations.items() if key.startswith(_APPARMOR)}
    return bool(fields - {None, "RuntimeDefault", "Localhost"} or annotated - {"", "runtime", "localhost"})


def _names_host(container: dict[str, Any]) -> bool:
    handlers = [container.get(f"{name}Probe") or {} for name in ("liveness", "readiness", "startup")]
    lifecycle = container.get("lifecycle") or {}
    handlers += [lifecycle.get(name) or {} for name in ("postStart", "preStop")]
    return any((one.get(how) or {}).get("host") for one in handlers for how in ("httpGet", "tcpSocket"))


def _restricted(pod: dict[str, Any]) -> Iterator[str]:
    spec = pod["spec"]
    (own, *inner), containers = _contexts(spec), _containers(spec)
    if any(not _VOLUMES.intersection(one) or set(one) - _VOLUMES - {"name"} for one in spec.get("volumes") or []):
        yield "Volume Types"
    if any(one.get("allowPrivilegeEscalation") is not False for one in inner):
        yield "Privilege Escalation"
    roots = [one.get("runAsNonRoot", own.get("runAsNonRoot")) for one in inner]
    if not containers or any(one is not True for one in roots):
        yield "Running as Non-root"
    if any(one.get("runAsUser") == 0 for one in (own, *inner)):
        yield "Running as Non-root user"
    profiles = [(one.get("seccompProfile") or own.get("seccompProfile") or {}).get("type") for one in inner]
    if any(one not in ("RuntimeDefault", "Localhost") for one in profiles):
        yield "Seccomp"
    for one in inner:
        capabilities = one.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or []) or set(capabilities.get("add") or []) - _ADDABLE:
            yield "Capabilities"
