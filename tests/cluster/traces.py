"""What this machine has of mounts, network devices, packet filter rules, control groups, processes and settings."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

_SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
)
_FOLDERS = ("/", "/etc", "/etc/cni", "/run", "/run/lock", "/usr/libexec", "/var/lib", "/var/log", "/opt")
# Other clusters may come and go meanwhile: their devices and groups have these names.
_OTHERS = ("hx", "hub-ext-")


def traces(mine: tuple[str, ...]) -> dict[str, set[str]]:
    """Return what there is now, kind by kind.

    Args:
        mine: Texts that only one cluster has in its names: what other clusters have is left out.
    """
    mounts = {line.split(" - ")[0].split(" ", 4)[4] for line in _lines("/proc/self/mountinfo")}
    found = {
        # Tests beside this one mount small disks below the folder of temporary files.
        "mounts": {
            one for one in mounts if any(text in one for text in mine) or not one.startswith(tempfile.gettempdir())
        },
        "devices": names("/sys/class/net"),
        "routes": set(_output("ip", "route", "show", "table", "all")),
        "rules": {line for tool in ("iptables-save", "ip6tables-save") for line in _rules(tool)},
        "groups": {str(one) for one in Path("/sys/fs/cgroup").glob("*/hub-ext-*")},
        "processes": set(_processes(mine)),
        "settings": {f"{name}={' '.join(_lines(f'/proc/sys/{name}'))}" for name in _SETTINGS},
        "files": {f"{folder}/{name}" for folder in _FOLDERS for name in names(folder)},
    }
    for kind in ("devices", "routes", "groups"):
        found[kind] = {one for one in found[kind] if any(text in one for text in mine) or not _is_other(one)}
    return found


def difference(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, list[str]]:
    """Return what appeared and, with a minus, what is gone; empty where nothing did."""
    rows = {
        kind: [*sorted(after[kind] - before[kind]), *(f"-{one}" for one in sorted(before[kind] - after[kind]))]
        for kind in before
    }
    return {kind: found for kind, found in rows.items() if found}


def names(folder: str) -> set[str]:
    """Return the names in a folder; none where there is no such folder."""
    return {one.name for one in Path(folder).iterdir()} if Path(folder).is_dir() else set()


def _is_other(text: str) -> bool:
    return any(word.rpartition("/")[2].startswith(_OTHERS) for word in text.split())


def _rules(tool: str) -> list[str]:
    return [line for line in _output(tool) if not line.startswith(("#", ":"))]


def _processes(mine: tuple[str, ...]) -> list[str]:
    """Return processes with one of the texts in their command line, or in their control group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                text = (folder / "cmdline").read_text() + (folder / "cgroup").read_text()
                if any(one in text for one in mine):
                    found.append(f"{folder.name} {text[:100]}")
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _output(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
