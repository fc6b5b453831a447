"""Policy text (CEL): the subset that Python and the API server agree on, compiled and evaluated.

A rule is a boolean expression over `object` (what is to be made; not for pods, which a Job holds in a template),
`variables` (below), `params` and `namespaceObject`, or over `request` for request rules. What is not in the subset is
refused when the rule is checked, so that the exported ValidatingAdmissionPolicy and we never give different answers.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel
from cel.stdlib import add_stdlib_to_context

from hub_ext.catalog.quantities import parse_cpu, parse_size

LONGEST = 2000
DEEPEST = 16

# Lists and maps that may be absent, as named variables; the same text is exported as `variables` of the policy.
_POD = {
    "created": "request.operation == 'CREATE'",
    "spec": "{at}.spec",
    "labels": "has({at}.metadata) && has({at}.metadata.labels) ? {at}.metadata.labels : {{}}",
    "annotations": "has({at}.metadata) && has({at}.metadata.annotations) ? {at}.metadata.annotations : {{}}",
    "init": "has(variables.spec.initContainers) ? variables.spec.initContainers : []",
    "eph": "has(variables.spec.ephemeralContainers) ? variables.spec.ephemeralContainers : []",
    "run": "variables.spec.containers + variables.init",
    "all": "variables.run + variables.eph",
    "volumes": "has(variables.spec.volumes) ? variables.spec.volumes : []",
}
_NETWORK = {
    "egress": "has(object.spec.egress) ? object.spec.egress : []",
    "ingress": "has(object.spec.ingress) ? object.spec.ingress : []",
    "types": "has(object.spec.policyTypes) ? object.spec.policyTypes : []",
}
KINDS = ("pod", "networkpolicy", "request")

_MACROS = ("all", "exists", "exists_one", "filter", "map")
_STRINGS = (
    "split",
    "join",
    "trim",
    "lowerAscii",
    "replace",
    "substring",
    "matches",
    "startsWith",
    "endsWith",
    "contains",
)
_FUNCTIONS = frozenset({*_MACROS, *_STRINGS, "quantity", "compareTo", "int", "string", "has"})
_AROUND = frozenset({"variables", "params", "namespaceObject"})
# For a run the cluster sees the Job: a rule on pods that asked for `object` would look at something else there.
_ROOTS = {"pod": _AROUND, "networkpolicy": _AROUND | {"object"}, "request": frozenset({"request"})}
_BOUND = re.compile(rf"\.(?:{'|'.join(_MACROS)})\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*,")
_REFUSED = (
    (re.compile(r"\.\?|\[\?"), "optional field selection (.? and [?]) is not part of the subset"),
    (re.compile(r"\\+[dDwWsSbB]"), r"write classes such as [0-9] in place of \d"),
    (re.compile(r"\bsize\s*\("), "size() counts bytes in one evaluator and characters in the other"),
)


def variables_of(kind: str, at: str = "object") -> dict[str, str]:
    """Return the texts of a kind's named variables, in the order in which they depend on each other.

    Args:
        kind: One of `KINDS`.
        at: Where the pod stands, for pods (a Job has it in a template).
    """
    if kind == "pod":
        return {name: text.format(at=at) if "{" in text else text for name, text in _POD.items()}
    return dict(_NETWORK) if kind == "networkpolicy" else {}


_OWN = "variables_"  # before the name of a variable that is one of its own
_OWN_MATCHES = "matches_"  # what `matches` is called where it is `_matching`
_MATCHES = re.compile(r"\.\s*matches\s*\(")
_SAID = re.compile(r"variables|matches")
_LITERAL = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_HARD_TO_READ = re.compile(
    r"""//|(?<!\w)[rRbB]{1,2}['"]|'''|\"\"\""""
)  # comments, and literals in which \\ means something else

# What evaluation may raise.
_ERRORS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError, RecursionError)


class BadRule(ValueError):
    """A rule text that is outside the subset, or does not parse."""


@dataclass(frozen=True)
class Compiled:
    """A rule that can be evaluated.

    Attributes:
        program: The program.
        whole: Whether it reads named variables out of `variables`, as the text does, and not each under its own name.
    """

    program: cel.Program
    whole: bool


@lru_cache(maxsize=512)  # a rule is compiled when it is read, and by each policy that has it
def compile_rule(text: str, kind: str) -> Compiled:
    """Compile a rule text.

    Args:
        text: The expression.
        kind: One of `KINDS`.

    Raises:
        BadRule: If it does not parse or is outside the subset; the message says what to write.
    """
    _bounded(text)
    for pattern, message in _REFUSED:
        if pattern.search(text):
            raise BadRule(message)
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise BadRule(f"does not parse: {str(error).splitlines()[0][:300]}") from None
    names = program.references()
    unknown = {name for name in names["functions"] if name[0].isalpha()} - _FUNCTIONS  # operators are "_&&_", "@in"
    if unknown:
        raise BadRule(f"uses {', '.join(sorted(unknown))}; known are {', '.join(sorted(_FUNCTIONS))}")
    strangers = set(names["variables"]) - _ROOTS[kind] - set(_BOUND.findall(text))
    if strangers:
        raise BadRule(f"refers to {', '.join(sorted(strangers))}; known are {', '.join(sorted(_ROOTS[kind]))}")
    apart = _apart(text, kind)
    return Compiled(program, whole=True) if apart is None else Compiled(apart, whole=False)


def _apart(text: str, kind: str) -> cel.Program | None:
    """Compile a text so that each named variable is one of its own; None where that might change what it means.

    The evaluator copies what stands between two dots: of `variables.spec.hostPID` all of `spec`, at each evaluation,
    and of `variables_spec.hostPID` nothing. It also compiles a pattern at each evaluation, which takes longer than all
    other rules together; what it said of a text is remembered (`_matching`).
    """
    if _OWN in text or _OWN_MATCHES in text or _HARD_TO_READ.search(text):
        return None
    named = re.compile(rf"(?<![\w.])variables\.({'|'.join(variables_of(kind)) or '-'})\b")
    code, literals = _LITERAL.sub("''", text), _LITERAL.findall(text)
    if re.search(r"\bvariables\b", named.sub("", code)) or any(_SAID.search(one) for one in literals):
        return None
    try:
        return cel.compile(_MATCHES.sub(f".{_OWN_MATCHES}(", named.sub(rf"{_OWN}\1", text)))
    except ValueError:  # `has(variables.spec)`: it asks for a field
        return None


def _bounded(text: str) -> None:
    if len(text) > LONGEST:
        raise BadRule(f"is longer than {LONGEST} characters")
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise BadRule(f"is nested deeper than {DEEPEST} levels")


def _quantity(text: str) -> float:
    """Return a quantity as a number: sizes in bytes, processor shares in cores."""
    try:
        return float(parse_size(text))
    except ValueError:
        return parse_cpu(text)


_ONE_MATCH = cel.compile("text.matches(pattern)")


@lru_cache(maxsize=1024)
def _matching(text: str, pattern: str) -> bool:
    """Return what the evaluator itself says; there are few images and patterns.

    Raises:
        RuntimeError: If that is no pattern, or no text.
    """
    context = cel.Context()
    context.add_variable("text", text)
    context.add_variable("pattern", pattern)
    return bool(_ONE_MATCH.execute(context))


def _compare(left: float, right: float) -> int:
    return (left > right) - (left < right)


_SCALARS = frozenset({str, int, bool, float})


def without_nulls(value: Any) -> Any:
    """Return a manifest as the API server sees it: fields that are null are not there."""
    kind = type(value)
    if kind in _SCALARS:  # most of what there is
        return value
    if kind is dict or isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value]
    return value


@dataclass
class Scene:
    """What rules look at: one object with its surroundings, prepared once for all rules.

    Attributes:
        kind: One of `KINDS`.
        context: The CEL context, used by one thread alone; None for what CEL has no value for.
        variables: The named ones, until a rule wants them as a whole.
    """

    kind: str
    context: cel.Context | None
    variables: dict[str, Any] | None = None

    def holds(self, rule: Compiled) -> bool:
        """Return whether a rule holds: only a plain `true` does, and a rule that cannot be evaluated does not."""
        if self.context is None:
            return False
        try:
            if rule.whole and self.variables is not None:
                self.context.add_variable("variables", self.variables)
                self.variables = None
            return rule.program.execute(self.context) is True
        except _ERRORS:
            return False  # as the cluster's failurePolicy Fail


def _listed(value: Any) -> list[Any]:
    """Return a list as it is; what is no list makes the variable, and so the rule, one that cannot be evaluated."""
    if not isinstance(value, list):
        msg = "is not a list"
        raise TypeError(msg)
    return value


def _pod_variables(subject: Any) -> Iterator[tuple[str, Any]]:
    yield "created", True  # we look at what is about to be made
    spec = subject["spec"]
    yield "spec", spec
    metadata = subject.get("metadata", {})
    yield "labels", metadata.get("labels", {})
    yield "annotations", metadata.get("annotations", {})
    init, ephemeral = (spec.get(name, []) for name in ("initContainers", "ephemeralContainers"))
    yield "init", init
    yield "eph", ephemeral
    run = _listed(spec["containers"]) + _listed(init)
    yield "run", run
    yield "all", run + _listed(ephemeral)
    yield "volumes", spec.get("volumes", [])


def _network_variables(subject: Any) -> Iterator[tuple[str, Any]]:
    spec = subject["spec"]
    for name, field in (("egress", "egress"), ("ingress", "ingress"), ("types", "policyTypes")):
        yield name, spec.get(field, [])


def _variables(kind: str, subject: Any) -> dict[str, Any]:
    """Return the named variables of an object, as their texts would give them (a test compares the two).

    Computed here, since each evaluation of a text converts the whole object anew. Where one cannot be had, it and those
    after it are left out: rules that need them cannot be evaluated, which denies.
    """
    values: dict[str, Any] = {}
    with contextlib.suppress(*_ERRORS):
        values.update(_pod_variables(subject) if kind == "pod" else _network_variables(subject))
    return values


def scene(kind: str, subject: Mapping[str, Any], params: Mapping[str, str], namespace: Mapping[str, str]) -> Scene:
    """Prepare what rules of a kind look at.

    Args:
        kind: One of `KINDS`.
        subject: The manifest, or the view of the request.
        params: Texts of the enclave (registries, largest sizes).
        namespace: Labels of the person's namespace.

    Returns:
        The scene; no rule holds in that of a subject which CEL has no value for.
    """
    context = cel.Context()
    add_stdlib_to_context(context)
    context.add_function("quantity", _quantity)
    context.add_function("compareTo", _compare)
    context.add_function(_OWN_MATCHES, _matching)
    with contextlib.suppress(*_ERRORS):
        plain = without_nulls(subject)
        if kind == "request":
            context.add_variable("request", plain)
            return Scene(kind, context)
        if kind != "pod":  # rules on pods do not ask for it, and it is large
            context.add_variable("object", plain)
        context.add_variable("params", {"data": dict(params)})
        context.add_variable("namespaceObject", {"metadata": {"labels": dict(namespace)}})
        values = _variables(kind, plain)
        for name, value in values.items():
            context.add_variable(f"{_OWN}{name}", value)
        return Scene(kind, context, values)
    return Scene(kind, None)
