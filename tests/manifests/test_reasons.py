"""Each line of a rendering says why it is as it is: profile, option, enclave, start or baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from hub_ext.catalog.documents import parse
from hub_ext.catalog.loading import load
from hub_ext.catalog.models import Profile
from hub_ext.catalog.options import apply, choose_all
from hub_ext.kubernetes.reasons import Start, reasons
from hub_ext.kubernetes.render import flatten
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.settings import shipped

CATALOG = load(shipped("profiles"))
TEXT = (shipped("profiles") / "large-memory" / "1.yaml").read_text()
FAR = TEXT.replace("  storage:", "  network: {egress: [{cidr: 10.0.0.0/8, ports: [443]}]}\n  storage:")


def start(purpose: str = "server", text: str = FAR, **options: Any) -> Start:
    profile = parse(text, "x", Profile)
    assert isinstance(profile, Profile)
    values, misfits = choose_all(profile, options)
    assert misfits == []
    image = "localhost/environment/default@sha256:" + "a" * 64
    return Start(profile, apply(profile, values), values, CATALOG.enclave, image, "amy", purpose, "")


def why(one: Start) -> dict[tuple[str, str], str]:
    objects, found = one.rendered().all(), reasons(one, CATALOG.policy)
    return {
        (made["kind"], path): text for made, words in zip(objects, found, strict=True) for path, text in words.items()
    }


@pytest.mark.parametrize("purpose", ["server", "run"])
def test_every_leaf_has_a_reason(purpose: str) -> None:
    one = start(purpose)
    for made, words in zip(one.rendered().all(), reasons(one, CATALOG.policy), strict=True):
        assert set(words) == {path for path, _ in flatten(made)}


def test_reasons_are_true() -> None:
    found = why(start(memory="16Gi"))
    container = "spec.containers[notebook]"
    assert found["Pod", f"{container}.resources.limits.memory"] == "option memory=16Gi"
    assert found["Pod", f"{container}.resources.requests.memory"] == "profile resources.memory.request"
    assert found["Pod", f"{container}.image"] == "profile image"
    assert found["Pod", f"{container}.securityContext.privileged"] == "baseline, no-privileged"
    assert found["Pod", "metadata.labels.hub-ext/user"] == "start user"
    assert found["Pod", "metadata.labels.hub-ext/profile"] == "profile metadata.name"
    assert found["PersistentVolumeClaim", "spec.resources.requests.storage"] == "profile storage.home.size"
    assert found["NetworkPolicy", "spec.egress[2].to[0].ipBlock.cidr"] == "profile network.egress"
    assert found["NetworkPolicy", "spec.egress[0].ports[0].port"] == "baseline, egress-ports"
    assert found["NetworkPolicy", "spec.egress[0].ports[0].protocol"] == "baseline"
    assert found["Namespace", "metadata.labels.hub-ext/enclave"] == "enclave metadata.name"


def test_without_an_option_it_is_the_profile() -> None:
    bare = TEXT[: TEXT.index("  options:")] + TEXT[TEXT.index("  storage:") :]
    found = why(start(text=bare))
    assert found["Pod", "spec.containers[notebook].resources.limits.memory"] == "profile resources.memory.limit"


def test_the_text_with_reasons_is_the_same_yaml() -> None:
    one = replace(start("run"), name="l-01")
    objects = one.rendered().all()
    assert list(yaml.safe_load_all(to_yaml(objects, reasons(one, CATALOG.policy)))) == objects
