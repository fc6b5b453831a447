"""Profiles to decide on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hub_ext.catalog.decide import Facts
from hub_ext.catalog.loading import Catalog, load
from hub_ext.catalog.models import Profile
from hub_ext.settings import shipped


def _profile(name: str = "standard", version: int = 1, **spec: Any) -> Profile:
    content = {
        "description": "For tests.",
        "access": {"groups": ["analysts"]},
        "image": "notebooks/standard",
        "resources": {"cpu": {"request": 0.5, "limit": 2}, "memory": {"request": "1Gi", "limit": "4Gi"}},
        **spec,
    }
    metadata = {"name": name, "version": version, "title": name.capitalize(), "owner": "platform-team"}
    return Profile.model_validate(
        {"apiVersion": "hub-ext/v1", "kind": "Profile", "metadata": metadata, "spec": content}
    )


@pytest.fixture(scope="session")
def make_profile() -> Callable[..., Profile]:
    """Make a profile; what is given replaces fields of its spec."""
    return _profile


@pytest.fixture(scope="session")
def shipped_catalog() -> Catalog:
    """The profiles that ship."""
    return load(shipped("profiles"))


@pytest.fixture(scope="session")
def facts() -> Callable[..., Facts]:
    """What is true, for an analyst on a machine with the default environment."""

    def facts(*profiles: Profile, groups: tuple[str, ...] = ("analysts",), **more: Any) -> Facts:
        more.setdefault("environments", {"default": "localhost/environment/default@sha256:" + "0" * 64})
        return Facts(datetime(2026, 3, 1, tzinfo=UTC), frozenset(groups), Catalog(profiles), **more)

    return facts
