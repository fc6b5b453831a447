"""What a rendering, and the request for it, are held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_ext.catalog.models import Spec
from hub_ext.catalog.policy import Enclave, Policy, Violation
from hub_ext.kubernetes.render import Rendering


def image_of(spec: Spec, images: Mapping[str, str], environments: Mapping[str, str] | None) -> str:
    """Return what a server or run would be made from: registry, name and digest.

    Args:
        spec: What the options resolve to.
        images: What the names of images mean, as the enclave's lock says.
        environments: Where local processes stand for images: name of the environment → its digest as an image.

    Returns:
        The reference; the bare name where nothing is known of it, which the rule on digests refuses.
    """
    if environments is not None:
        return environments.get(spec.local.environment, spec.local.environment)
    return images.get(spec.image, spec.image)


def judge(policy: Policy, enclave: Enclave, rendering: Rendering, request: Mapping[str, Any]) -> list[Violation]:
    """Return every rule that a rendering and the request for it do not meet.

    Args:
        policy: The rules.
        enclave: The network.
        rendering: What would be made.
        request: From `render.request_view`.
    """
    params, labels = enclave.params(), rendering.namespace["metadata"]["labels"]
    found = policy.judge("pod", rendering.pod, params, labels)
    found += policy.judge("networkpolicy", rendering.network, params, labels)
    return found + policy.judge("request", request, params, labels)
