"""A profile says what a server or a run may be, and nothing that it does not name."""

import json
import re

import pytest
from pydantic import ValidationError

from hub_ext.catalog.models import SETTABLE, Profile, field_of

OPTION = {
    "title": "Memory",
    "type": "quantity",
    "choices": ["2Gi", "4Gi"],
    "default": "4Gi",
    "sets": "resources.memory.limit",
}
SMALL = {"request": "1Gi", "limit": "1Gi"}
UPSIDE_DOWN = {"request": "2Gi", "limit": "1Gi"}


def refused(make_profile, *, name="standard", version=1, **spec):
    with pytest.raises(ValidationError) as caught:
        make_profile(name, version, **spec)
    return [".".join(map(str, item["loc"])) for item in caught.value.errors()]


def test_what_is_left_out_is_filled_in(make_profile):
    spec = make_profile().spec
    assert (spec.lifetime.idle, spec.lifetime.maximum, spec.local.environment) == (60, 720, "default")
    assert (spec.resources.gpu, spec.storage.home, spec.network.egress, spec.options) == (0, None, (), {})


@pytest.mark.parametrize(
    ("spec", "at"),
    [
        ({"priviledged": True}, "spec.priviledged"),
        ({"image": "../evil"}, "spec.image"),
        ({"image": "a b"}, "spec.image"),
        ({"description": ""}, "spec.description"),
        ({"description": "x" * 1001}, "spec.description"),
        ({"description": "\ud800"}, "spec.description"),
        ({"access": {"groups": "analysts"}}, "spec.access.groups"),
        ({"local": {"environment": "a/b"}}, "spec.local.environment"),
        ({"resources": {"cpu": {"request": 1, "limit": 2}}}, "spec.resources.memory"),
        ({"resources": {"cpu": {"request": 3, "limit": 2}, "memory": SMALL}}, "spec.resources.cpu"),
        ({"resources": {"cpu": {"request": 1, "limit": 2}, "memory": UPSIDE_DOWN}}, "spec.resources.memory"),
        ({"lifetime": {"idle": "60"}}, "spec.lifetime.idle"),
        ({"lifetime": {"idle": True}}, "spec.lifetime.idle"),
        ({"lifetime": {"idle": 0}}, "spec.lifetime.idle"),
        ({"network": {"egress": [{"ports": [443]}]}}, "spec.network.egress.0"),
        ({"network": {"egress": [{"namespace": "data", "ports": [0]}]}}, "spec.network.egress.0.ports.0"),
        ({"network": {"egress": [{"namespace": "data", "ports": []}]}}, "spec.network.egress.0.ports"),
        ({"controls": [{"id": "AC6", "how": "So."}]}, "spec.controls.0.id"),
        ({"options": {"Memory": OPTION}}, "spec.options.Memory"),
        ({"options": {"memory": {**OPTION, "hidden": 1}}}, "spec.options.memory.hidden"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_place(make_profile, spec, at):
    assert any(place.startswith(at) for place in refused(make_profile, **spec))


@pytest.mark.parametrize(
    ("name", "version"),
    [("Standard", 1), ("a/b", 1), ("x" * 64, 1), ("-a", 1), ("standard", 0), ("standard", "1"), ("standard", 10**7)],
)
def test_a_profile_has_a_plain_name_and_a_whole_version(make_profile, name, version):
    assert refused(make_profile, name=name, version=version)[0].startswith("metadata.")


def test_a_profile_never_changes(make_profile):
    with pytest.raises(ValidationError):
        make_profile().spec.image = "other"


def test_its_identity_is_what_it_says_not_how_it_is_written(make_profile):
    one = make_profile()
    same = Profile.model_validate(json.loads(one.canonical()))
    other = make_profile(description="Another.")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", one.digest)
    assert one.digest == same.digest != other.digest
    cpu, memory = {"request": "500m", "limit": 2.0}, {"request": "1024Mi", "limit": 4 * 2**30}
    spelled = make_profile(resources={"cpu": cpu, "memory": memory})
    assert spelled.digest == one.digest


@pytest.mark.parametrize("path", sorted(SETTABLE))
def test_every_field_that_an_option_may_set_is_there(make_profile, path):
    spec = make_profile(storage={"home": {"size": "10Gi"}}).spec
    assert field_of(spec, path) is not None
    if path.startswith("storage."):
        assert field_of(make_profile().spec, path) is None


def test_a_field_that_came_later_counts_only_where_it_is_used(make_profile):
    """What was approved before there was an order keeps its digest."""
    profile = make_profile()
    assert b"order" not in profile.canonical()
    about = profile.metadata.model_copy(update={"order": 5})
    ordered = profile.model_copy(update={"metadata": about})
    assert b'"order":5' in ordered.canonical()
    assert ordered.digest != profile.digest
