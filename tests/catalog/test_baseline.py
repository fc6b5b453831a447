"""The rules that ship: each is broken by what it is about and by nothing else; together they hold what they must."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.models import Egress, Lifetime
from hub_ext.catalog.policy import PolicyRules
from hub_ext.kubernetes.network import network_policy
from hub_ext.kubernetes.render import render
from tests.catalog.breaking import (
    CATALOG,
    ENCLAVE,
    IMAGE,
    NETWORKS,
    PODS,
    REQUESTS,
    STANDARD,
    Breaking,
    block,
    breaking,
    rendering,
)
from tests.catalog.pod_security import violations

RENDERING = rendering()
LABELS = RENDERING.namespace["metadata"]["labels"]
RULES = {rule.id: rule for rule in CATALOG.policy.rules}
BREAKING = list(breaking())


def broken(kind: Any, subject: dict[str, Any]) -> set[str]:
    """Return the ids of the rules that an object does not meet."""
    return {one.rule.id for one in CATALOG.policy.judge(kind, subject, ENCLAVE.params(), LABELS)}


def test_each_rule_has_a_control_a_message_and_something_that_breaks_it() -> None:
    assert len(RULES) >= 25
    assert set(RULES) == {*PODS, *NETWORKS, *REQUESTS}
    for rule in RULES.values():
        assert rule.controls
        assert rule.message.endswith((".", "?"))
    assert PolicyRules.model_config["extra"] == "forbid"


@pytest.mark.parametrize("one", BREAKING, ids=[f"{one.rule}-{one.number}" for one in BREAKING])
def test_what_breaks_a_rule_breaks_that_one_alone(one: Breaking) -> None:
    assert broken(one.kind, one.subject) == {one.rule}
    assert RULES[one.rule].on == one.kind


@pytest.mark.parametrize("purpose", ["server", "run"])
def test_what_we_make_meets_every_rule_and_the_standard(purpose: str) -> None:
    made = rendering(purpose)
    assert broken("pod", made.pod) == set()
    assert broken("networkpolicy", made.network) == set()
    assert broken("networkpolicy", made.around[0]) == set()
    assert violations(made.pod) == set()


@pytest.mark.parametrize("purpose", ["server", "run"])
def test_the_longest_life_that_a_profile_may_have_is_one_that_the_rules_allow(purpose: str) -> None:
    longest = STANDARD.spec.model_copy(update={"lifetime": Lifetime(maximum=43200)})
    made = render(STANDARD, longest, ENCLAVE, user="ann", purpose=purpose, name="l-01hz", image=IMAGE)
    assert broken("pod", made.pod) == set()


# --- the Pod Security Standard ---------------------------------------------------------------------------------------

CONTROLS = {
    "HostProcess", "Host Namespaces", "Privileged Containers", "HostPath Volumes", "Host Ports",
    "Host Probes / Lifecycle Hooks", "AppArmor", "SELinux", "/proc Mount Type", "Sysctls", "Volume Types",
    "Privilege Escalation", "Running as Non-root", "Running as Non-root user", "Seccomp", "Capabilities",
}  # fmt: skip


def test_every_control_of_the_standard_is_broken_by_something_in_the_table() -> None:
    more = copy.deepcopy(RENDERING.pod)
    more["spec"]["securityContext"]["sysctls"] = [{"name": "kernel.msgmax", "value": "1"}]
    found = violations(more).union(*(violations(one.subject) for one in BREAKING if one.kind == "pod"))
    assert found == CONTROLS


def context(**more: Any) -> Any:
    """Return security contexts of a pod or a container: mostly as they must be, mostly not in one field."""
    kinds = st.sampled_from([None, "RuntimeDefault", "Localhost", "Unconfined", ""])
    fields = {
        "runAsNonRoot": st.sampled_from([True, True, False, None]),
        "runAsUser": st.sampled_from([1000, 1000, 0, None]),
        "seccompProfile": st.sampled_from([{"type": "RuntimeDefault"}] * 2) | st.fixed_dictionaries({"type": kinds}),
        "appArmorProfile": st.none() | st.fixed_dictionaries({"type": kinds}),
        "seLinuxOptions": st.sampled_from([None, None, {"type": "spc_t"}, {"user": "x"}, {"level": "s0"}]),
        "windowsOptions": st.sampled_from([None, None, {"hostProcess": True}]),
        **more,
    }
    return st.fixed_dictionaries({}, optional=fields)


CAPABILITIES = st.fixed_dictionaries(
    {},
    optional={
        "drop": st.sampled_from([["ALL"], ["ALL"], [], ["NET_RAW"]]),
        "add": st.sampled_from([None, [], ["NET_BIND_SERVICE"], ["SYS_ADMIN"]]),
    },
)
HANDLER = st.sampled_from(
    [None, {"exec": {}}]
    + [{how: {"port": 80} | more} for how in ("httpGet", "tcpSocket") for more in ({}, {"host": "10.0.0.1"})]
)
CONTAINER = st.fixed_dictionaries(
    {
        "securityContext": context(
            privileged=st.sampled_from([False, None, True]),
            allowPrivilegeEscalation=st.sampled_from([False, False, True, None]),
            capabilities=CAPABILITIES,
            procMount=st.sampled_from([None, "Default", "Unmasked"]),
            readOnlyRootFilesystem=st.just(True),
        )
    },
    optional={
        "ports": st.lists(st.fixed_dictionaries({}, optional={"hostPort": st.sampled_from([0, 80])}), max_size=2),
        "livenessProbe": HANDLER,
        "readinessProbe": HANDLER,
        "startupProbe": HANDLER,
        "lifecycle": st.fixed_dictionaries({}, optional={"postStart": HANDLER, "preStop": HANDLER}) | st.none(),
    },
)
SPEC = st.fixed_dictionaries(
    {"securityContext": context(sysctls=st.sampled_from([None, [{"name": "kernel.msgmax", "value": "1"}]]))},
    optional={
        "hostNetwork": st.sampled_from([None, False, True]),
        "hostPID": st.sampled_from([None, False, True]),
        "hostIPC": st.sampled_from([None, False, True]),
        "volumes": st.lists(
            st.sampled_from(["emptyDir", "secret", "hostPath", "nfs", "image", "csi"]).map(
                lambda kind: {"name": "x", kind: {"sizeLimit": "1Gi"}}
            ),
            max_size=2,
        ),
    },
)


@given(
    SPEC,
    st.lists(CONTAINER, min_size=1, max_size=2),
    st.lists(CONTAINER, max_size=1),
    st.sampled_from([{}, {"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}]),
)
def test_no_pod_whatever_passes_our_rules_and_not_the_standard(
    spec: dict[str, Any], containers: list[Any], init: list[Any], annotations: dict[str, str]
) -> None:
    pod = copy.deepcopy(RENDERING.pod)
    one = pod["spec"]["containers"][0]
    pod["spec"] |= spec
    pod["spec"]["containers"] = [one | changes for changes in containers]
    pod["spec"]["initContainers"] = [one | changes for changes in init]
    pod["metadata"]["annotations"] = annotations
    assert broken("pod", pod) or not violations(pod)


# --- the network -----------------------------------------------------------------------------------------------------


CREDENTIALS = ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")


@pytest.mark.parametrize("length", range(33))
@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "100.100.100.200"])
def test_every_network_that_holds_credentials_must_leave_them_out(address: str, length: int) -> None:
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    held = [one for one in CREDENTIALS if network.supernet_of(ipaddress.ip_network(one)) and str(network) != one]
    whole = not any(network.subnet_of(ipaddress.ip_network(one)) for one in CREDENTIALS)
    for text in (str(network), f"{address}/{length}"):  # a cluster takes both for the same
        for left_out in ((), held, held[1:], held[:-1], CREDENTIALS):
            allowed = whole and set(held) <= set(left_out)
            subject = copy.deepcopy(RENDERING.network)
            block(text, *left_out)(subject)
            assert broken("networkpolicy", subject) == (set() if allowed else {"no-metadata-service"})


@pytest.mark.parametrize(
    "cidr",
    [
        "10.0.0.0/8",
        "168.0.0.0/11",
        "168.63.129.17/32",
        "169.0.0.0/9",
        "170.0.0.0/7",
        "0.0.0.0/2",
        "100.128.0.0/9",
        "2000::/3",
        "fc00:ec2::/32",
    ],
)
def test_a_network_without_them_need_not(cidr: str) -> None:
    subject = copy.deepcopy(RENDERING.network)
    block(cidr)(subject)
    assert broken("networkpolicy", subject) == set()


@given(
    st.one_of(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
            lambda one: ipaddress.IPv4Network(one, strict=False)
        ),
        st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(
            lambda one: ipaddress.IPv6Network(one, strict=False)
        ),
    ),
    st.booleans(),
)
def test_whatever_a_profile_names_is_opened_without_the_metadata_service(network: Any, exploded: bool) -> None:
    try:
        egress = Egress(cidr=network.exploded.upper() if exploded else str(network), ports=(443,))
    except ValueError:
        return  # no profile may name it
    made = network_policy("x", "hub-ext-ann", RENDERING.pod["metadata"]["labels"], [egress], "hub-ext")
    assert broken("networkpolicy", made) == set()
    opened = [ipaddress.ip_network(rule["to"][0]["ipBlock"]["cidr"]) for rule in made["spec"]["egress"][2:]]
    left_out = [one for rule in made["spec"]["egress"][2:] for one in rule["to"][0]["ipBlock"].get("except", ())]
    services = ("169.254.169.254", "169.254.170.23", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")
    for service in (*services, "64:ff9b::a9fe:a9fe", "64:ff9b::a83f:8110", "64:ff9b::6464:64c8"):
        address = ipaddress.ip_address(service)
        assert any(address in one for one in opened) == any(address in ipaddress.ip_network(one) for one in left_out)
