"""A profile that somebody keeps who is nothing but an analyst, for tests of what owners may."""

from __future__ import annotations

from typing import Any

from hub_ext.governance.curation import read_profile
from hub_ext.web.api.routes import BASE
from tests.functional.conftest import Platform

API = f"/services/workflows/{BASE}"
_TEXT = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {{name: {name}, version: 1, title: {title}, owner: {owner}}}
spec:
  description: For who was given access by name.
  image: notebooks/standard
  resources: {{cpu: {{request: 0.5, limit: 1}}, memory: {{request: 1Gi, limit: 2Gi}}}}
  lifetime: {{idle: 60, maximum: {maximum}, extensions: {extensions}}}
"""


def owned_profile(
    platform: Platform,
    name: str,
    owner: str,
    *,
    title: str = "Owned",
    by: str = "clara",
    maximum: int = 120,
    extensions: int = 0,
) -> None:
    """Have a profile proposed and approved that no group may use; one that is there already is left as it is.

    Args:
        platform: Where.
        name: Its name.
        owner: Who keeps it.
        title: Its title.
        by: The curator who proposes it; `admin` approves.
        maximum: Minutes that a server lasts.
        extensions: How often it may be kept for another hour.
    """
    text = _TEXT.format(name=name, owner=owner, title=title, maximum=maximum, extensions=extensions)
    made = platform.api(by).post(f"{API}profiles/{name}/versions", json={"content": text, "message": "For tests."})
    assert made.status_code in (200, 201), made.text
    body: dict[str, Any] = {"verdict": "approve", "digest": read_profile(text).digest}
    approved = platform.api("admin").post(f"{API}profiles/{name}/versions/1/approvals", json=body)
    assert approved.status_code in (200, 409), approved.text
