"""YAML that is read back as it was, with reasons behind the lines."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.kubernetes.yaml_text import to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "~",
        "null",
        "1e3",
        "0x1f",
        "12:30",
        "2026-01-01",
        "a: b",
        "- x",
        "#",
        "'",
        '"',
        "",
        " a ",
        "=",
        "<<",
    ]
)
JSON = st.recursive(
    st.booleans() | st.none() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(TEXT, JSON, min_size=1, max_size=4), min_size=1, max_size=3))
def test_anything_is_read_back_as_it_was(manifests: list[dict[str, Any]]) -> None:
    assert list(yaml.safe_load_all(to_yaml(manifests))) == manifests


def test_reasons_stand_behind_their_lines() -> None:
    manifest = {"kind": "Pod", "spec": {"containers": [{"name": "notebook", "image": "x"}], "volumes": []}}
    reasons = {"kind": "baseline", "spec.containers[notebook].image": "profile image", "spec.volumes": "baseline"}
    lines = to_yaml([manifest], [reasons]).splitlines()
    assert [line.rpartition("  # ")[2] if "  # " in line else "" for line in lines] == [
        "baseline", "", "", "", "profile image", "baseline",
    ]  # fmt: skip
    assert yaml.safe_load("\n".join(lines)) == manifest
