"""Times policy rules in a process of its own, which can be killed: CEL in Python knows no cost limit.

`slow_rules` is the parent's side; the module run with ``-m`` is the child, which reads rules as JSON and prints the id
of each rule before it begins with it and again when it is done, and something after each try. What was quick enough
once is remembered: rules are timed when their commit is read, when they come in force, and with each commit after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from hub_ext.catalog.cel import BadRule, Scene, compile_rule, scene
from hub_ext.catalog.models import Profile
from hub_ext.catalog.policy import NO_ENCLAVE, Enclave, Rule
from hub_ext.kubernetes.render import render, request_view

LONGEST = 0.1  # seconds of the processor that one evaluation may take, on the largest object that a profile can make
_PATIENCE = 5.0  # seconds without a sign of life until a rule is said to run for ever
_START = 60.0  # seconds that the child may take to start, on a machine that is busy
_TRIES = 3  # the shortest of so many counts: the machine may be busy

_MANY = 64  # destinations, as many as a profile may name
_GROUPS = [f"group-{number}" for number in range(1000)]

_MOST = 10_000  # that are remembered, a few hundred bytes each
_quick: set[tuple[str, str]] = set()  # digests of rules that were in time, and of the network then


def _largest() -> Profile:
    """Return a profile as large as a profile can be."""
    ports = list(range(1, 33))
    labels = {f"label-{number}": "x" * 60 for number in range(16)}
    egress = [{"namespace": f"team-{number}", "labels": labels, "ports": ports} for number in range(_MANY // 2)]
    egress += [{"cidr": f"10.{number}.0.0/16", "ports": ports} for number in range(_MANY // 2)]
    spec = {
        "description": "As large as a profile can be.",
        "image": "notebooks/largest",
        "resources": {"cpu": {"request": 1, "limit": 64}, "memory": {"request": "1Gi", "limit": "512Gi"}, "gpu": 8},
        "storage": {"home": {"size": "1Ti"}},
        "network": {"egress": egress},
        "access": {"groups": ["analysts"]},
    }
    tags = [f"tag-{number}" for number in range(20)]
    about = {"name": "largest", "version": 1, "title": "Largest", "owner": "nobody", "tags": tags}
    return Profile.model_validate({"apiVersion": "hub-ext/v1", "kind": "Profile", "metadata": about, "spec": spec})


def _crowded(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod with more in it than we make: the cluster holds other people's pods against the rules, too."""
    spec = dict(pod["spec"])
    one, volume = spec["containers"][0], spec["volumes"][0]
    spec |= {"containers": [one] * 10, "initContainers": [one] * 10, "volumes": [volume] * 30}
    return pod | {"spec": spec}


def _scenes(enclave: Enclave) -> dict[str, Scene]:
    profile = _largest()
    image = "registry.example/notebooks/largest@sha256:" + "0" * 64
    made = render(profile, profile.spec, enclave, user="somebody", purpose="server", name="", image=image)
    about = {"user": "somebody", "groups": _GROUPS, "purpose": "server", "hour": 12, "weekday": 3}
    view = request_view(profile, profile.spec, about)
    labels, params = made.namespace["metadata"]["labels"], enclave.params()
    subjects = {"pod": _crowded(made.pod), "networkpolicy": made.network, "request": view}
    return {kind: scene(kind, subject, params, labels) for kind, subject in subjects.items()}


def _measure(rules: Iterable[dict[str, str]], enclave: Enclave) -> None:
    scenes = _scenes(enclave)
    for rule in rules:
        _say({"id": rule["id"]})
        try:
            program = compile_rule(rule["cel"], rule["on"])
        except BadRule as error:
            _say({"id": rule["id"], "wrong": str(error)})
            continue
        taken = []
        for _ in range(_TRIES):
            began = time.process_time()  # of the processor: what else the machine does is not the rule's fault
            scenes[rule["on"]].holds(program)
            taken.append(time.process_time() - began)
            _say({})  # a sign of life
        _say({"id": rule["id"], "seconds": min(taken)})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def slow_rules(rules: Sequence[Rule], enclave: Enclave = NO_ENCLAVE) -> dict[str, str]:
    """Return the rules that take too long, or cannot be evaluated at all: id → what is wrong.

    Args:
        rules: The rules to time.
        enclave: The network that they ask about.
    """
    network = hashlib.sha256(enclave.model_dump_json().encode()).hexdigest()
    left = [rule for rule in rules if (rule.digest, network) not in _quick]
    found: dict[str, str] = {}
    while left:
        done, wrong = _one_child(left, enclave)
        found |= wrong
        if len(_quick) > _MOST:
            _quick.clear()
        _quick.update((rule.digest, network) for rule in left[:done] if rule.id not in wrong)
        left = left[done:]
    return found


def _one_child(rules: list[Rule], enclave: Enclave) -> tuple[int, dict[str, str]]:
    """Time rules until they are done or one runs for ever; return how many are dealt with, and what is wrong."""
    order = json.dumps(
        {
            "rules": [{"id": rule.id, "on": rule.on, "cel": rule.cel} for rule in rules],
            "enclave": enclave.model_dump(mode="json", by_alias=True),
        }
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "hub_ext.catalog.timing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith(("HUB_EXT", "JUPYTER"))},
    )
    found: dict[str, str] = {}
    begun = ended = 0
    with child:
        assert child.stdin is not None  # noqa: S101  # a pipe, see above
        child.stdin.write(order.encode() + b"\n")
        child.stdin.close()
        for line in _lines(child):
            said = json.loads(line)
            if len(said) < 2:
                begun += len(said)
                continue
            ended += 1
            why = _too_slow(said)
            found |= {rules[ended - 1].id: why} if why else {}
        child.kill()
    if ended == len(rules):
        return ended, found
    if not begun:
        return len(rules), dict.fromkeys([rule.id for rule in rules], "could not be timed: the process did not start")
    why = "runs for ever, or ends the process that evaluates it" if begun > ended else "could not be timed"
    return ended + 1, found | {rules[ended].id: why}


def _lines(child: subprocess.Popen[bytes]) -> Iterable[bytes]:
    """Yield the lines of a child until it ends, or is silent for too long."""
    assert child.stdout is not None  # noqa: S101  # a pipe
    rest, wait = b"", _START
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while selector.select(wait):
            read = os.read(child.stdout.fileno(), 65536)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            yield from lines
            wait = _PATIENCE


def _too_slow(said: dict[str, Any]) -> str:
    if "wrong" in said:
        return str(said["wrong"])
    seconds = said["seconds"]
    if seconds <= LONGEST:
        return ""
    return f"takes {seconds * 1000:.0f} ms; at most {LONGEST * 1000:.0f} are allowed"


def _main() -> None:
    order = json.loads(sys.stdin.readline())
    _measure(order["rules"], Enclave.model_validate(order["enclave"]))


if __name__ == "__main__":
    _main()
