"""What the exported policies say to a request, evaluated here as an API server does."""

from __future__ import annotations

from typing import Any

import cel
from cel.stdlib import add_stdlib_to_context

from hub_ext.catalog.cel import _compare, _quantity, without_nulls
from hub_ext.catalog.loading import load
from hub_ext.catalog.room import room_of
from hub_ext.kubernetes.admission import export
from hub_ext.kubernetes.confinement import account
from hub_ext.kubernetes.network import default_deny
from hub_ext.kubernetes.objects import Manifest, namespace, resource_quota
from hub_ext.settings import shipped

_ERRORS = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError)
_GROUPS = {"jobs": "batch", "networkpolicies": "networking.k8s.io"}

CATALOG = load(shipped("profiles"))
MADE = {(one["kind"], one["metadata"]["name"]): one for one in export(CATALOG.policy, CATALOG.enclave)}
HUB = account("hub-ext", "hub-ext-hub")


def _context(found: dict[str, Any], variables: dict[str, Any]) -> cel.Context:
    context = cel.Context()
    add_stdlib_to_context(context)
    context.add_function("quantity", _quantity)
    context.add_function("compareTo", _compare)
    context.add_function("dyn", lambda value: value)
    for name, value in {**found, "variables": variables}.items():
        context.add_variable(name, value)
    return context


def _value(text: str, found: dict[str, Any], variables: dict[str, Any]) -> Any:
    try:
        return cel.compile(text).execute(_context(found, variables))
    except _ERRORS:
        return None


def _param(spec: Manifest, where: str) -> Any:
    """Return the parameter of a policy, as a person's namespace or the system's has it."""
    kind = spec.get("paramKind", {}).get("kind")
    standard = CATALOG.versions("standard")[0].spec
    made = {
        "NetworkPolicy": default_deny(where),
        "ResourceQuota": resource_quota(where, room_of(standard), servers=1, runs=1),
    }
    return made.get(kind, {})


def admitted(name: str, resource: str, subject: Any, *, old: Any = None, **request: Any) -> list[str]:
    """Return the messages of what a policy refuses; none where it does not look at the request.

    Args:
        name: The policy.
        resource: The kind, as paths name it.
        subject: The object, None where one is deleted.
        old: The object that was there before.
        **request: What else the request says; by default the Hub makes something.
    """
    spec = MADE["ValidatingAdmissionPolicy", name]["spec"]
    about = (subject or old)["metadata"]
    asked = {
        "operation": "CREATE",
        "name": about["name"],
        "namespace": about.get("namespace", ""),
        "resource": {"group": _GROUPS.get(resource, ""), "resource": resource},
        "userInfo": {"username": HUB},
    } | request
    persons = asked["namespace"].startswith("hub-ext-")
    if "namespaceSelector" in spec["matchConstraints"] and not persons:
        return []
    found = {
        "request": asked,
        "object": without_nulls(subject),
        "oldObject": without_nulls(old),
        "namespaceObject": namespace(asked["namespace"], "ann", "low", "hub-ext") if persons else {},
        "params": _param(spec, asked["namespace"]),
    }
    if not all(_value(one["expression"], found, {}) is True for one in spec.get("matchConditions", ())):
        return []
    variables: dict[str, Any] = {}
    for one in spec.get("variables", ()):
        value = _value(one["expression"], found, variables)
        if value is not None:  # worked out only where it is asked for
            variables[one["name"]] = value
    return [one["message"] for one in spec["validations"] if _value(one["expression"], found, variables) is not True]
