"""Policy rules: the subset of CEL, the baseline that ships, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import cel
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.cel import BadRule, Compiled, _variables, compile_rule, scene, variables_of, without_nulls
from hub_ext.catalog.check import check, check_profile, extremes
from hub_ext.catalog.loading import Catalog, load
from hub_ext.catalog.locks import ImagesLock
from hub_ext.catalog.policy import Enclave, Policy, PolicyRules, Rule, merge
from hub_ext.catalog.reports import junit, sarif
from hub_ext.kubernetes.render import render
from hub_ext.settings import shipped

FOLDER = shipped("profiles")
BASELINE = PolicyRules.model_validate(yaml.safe_load((FOLDER / "_policy" / "baseline.yaml").read_text()))
POLICY = merge([BASELINE])
CATALOG = load(FOLDER)
ENCLAVE = Enclave.model_validate(
    {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": "low", "title": "Low side", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": ["registry.low"],
            "largest": {"cpu": 16, "memory": "64Gi"},
        },
    }
)
STANDARD = CATALOG.versions("standard")[-1]
IMAGE = "registry.low/notebooks/standard@sha256:" + "a" * 64
RENDERING = render(STANDARD, STANDARD.spec, ENCLAVE, user="ann", purpose="server", name="", image=IMAGE)


def broken(kind: str, subject: dict[str, Any]) -> set[str]:
    """Return the ids of the rules that an object does not meet."""
    labels = RENDERING.namespace["metadata"]["labels"]
    found = POLICY.judge(kind, subject, ENCLAVE.params(), labels)  # type: ignore[arg-type]  # a test gives plain text
    return {violation.rule.id for violation in found}


def changed(**changes: Any) -> dict[str, Any]:
    """Return the pod with other fields in its spec; `container_…` changes the container, `security_…` its context."""
    pod = copy.deepcopy(RENDERING.pod)
    container = pod["spec"]["containers"][0]
    for name, value in changes.items():
        if name.startswith("container_"):
            container[name.removeprefix("container_")] = value
        elif name.startswith("security_"):
            container["securityContext"][name.removeprefix("security_")] = value
        else:
            pod["spec"][name] = value
    return pod


def test_the_baseline_has_at_least_25_rules_each_with_controls_and_a_message() -> None:
    assert len(BASELINE.rules) >= 25
    assert {rule.on for rule in BASELINE.rules} == {"pod", "networkpolicy", "request"}


def test_what_we_make_meets_every_rule() -> None:
    assert broken("pod", RENDERING.pod) == set()
    assert broken("networkpolicy", RENDERING.network) == set()


def test_an_init_container_is_held_to_the_same() -> None:
    assert "no-privileged" in broken(
        "pod", changed(initContainers=[{"name": "i", "securityContext": {"privileged": True}}])
    )


def test_labels_are_required() -> None:
    pod = copy.deepcopy(RENDERING.pod)
    del pod["metadata"]["labels"]["hub-ext/user"]
    assert broken("pod", pod) == {"required-labels"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["spec", "metadata"]))
def test_no_shape_whatever_of_an_object_passes_or_raises(value: Any, field: str) -> None:
    pod = copy.deepcopy(RENDERING.pod)
    pod[field] = value
    assert broken("pod", pod)


SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": JSON | st.fixed_dictionaries({}, optional={"labels": JSON}),
        "spec": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                name: JSON | st.lists(JSON, max_size=2)
                for name in ("containers", "initContainers", "ephemeralContainers", "volumes", "egress", "ingress")
            },
        ),
    },
)


@pytest.mark.parametrize("kind", ["pod", "networkpolicy"])
@given(value=SHAPES | JSON)
def test_a_variable_is_what_its_exported_text_says(kind: str, value: Any) -> None:
    subject = without_nulls(value)
    ours = _variables(kind, subject)
    theirs = {}
    for name, text in variables_of(kind).items():
        context = cel.Context()
        context.add_variable("request", {"operation": "CREATE"})
        context.add_variable("object", subject)
        context.add_variable("variables", theirs)
        try:
            theirs[name] = cel.compile(text).execute(context)
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError):
            break
    assert {name: value for name, value in theirs.items() if name in ours} == ours
    spec = subject.get("spec") if isinstance(subject, dict) else None
    spec = spec if isinstance(spec, dict) else {}
    listed = all(isinstance(spec.get(f"{name}ontainers", []), list) for name in ("c", "initC", "ephemeralC"))
    assert set(ours) == set(theirs) or not listed  # an API server takes lists alone; what else is there, we refuse


@given(JSON, st.sampled_from(["pod", "networkpolicy", "request"]))
def test_no_subject_whatever_raises(value: Any, kind: str) -> None:
    stage = scene(kind, value, {}, {})
    root = {"request": "request", "pod": "variables"}.get(kind, "object")
    assert stage.holds(compile_rule(f"{root}.a.b == 1", kind)) in (True, False)


def as_written(rule: Rule) -> Compiled:
    """Return a rule that reads named variables as its text does."""
    return Compiled(cel.compile(rule.cel), whole=True)


IN_BOTH_WAYS = [
    (rule, compile_rule(rule.cel, rule.on), as_written(rule)) for rule in BASELINE.rules if rule.on != "request"
]


@given(JSON)
def test_a_rule_says_the_same_of_variables_of_their_own_as_of_the_whole(value: Any) -> None:
    for subject in (value, {"spec": value}, {"spec": {"containers": [value]}, "metadata": {"labels": value}}):
        for rule, apart, whole in IN_BOTH_WAYS:
            stage = scene(rule.on, subject, {}, {})
            assert stage.holds(apart) == stage.holds(whole), rule.id


def test_no_rule_that_ships_needs_the_variables_as_a_whole() -> None:
    assert [rule.id for rule in BASELINE.rules if compile_rule(rule.cel, rule.on).whole and rule.on != "request"] == []


PATTERNS: st.SearchStrategy[str] = st.text(max_size=8) | st.sampled_from(
    ["^[^@]+@sha256:[a-f0-9]{4}$", "a|b", "^$", "(", "[[:alpha:]]+", ".*", "é"]
)


@given(st.text(alphabet="ab@:/é\n0", max_size=12) | JSON, PATTERNS)
def test_a_match_that_is_remembered_is_the_evaluators_own(value: Any, pattern: str) -> None:
    rule = compile_rule("variables.spec.containers.all(c, c.name.matches(c.pattern))", "pod")
    written = Compiled(cel.compile("variables.spec.containers.all(c, c.name.matches(c.pattern))"), whole=True)
    assert not rule.whole
    subject = {"spec": {"containers": [{"name": value, "pattern": pattern}]}}
    for _ in range(2):
        assert scene("pod", subject, {}, {}).holds(rule) is scene("pod", subject, {}, {}).holds(written)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("has(variables.spec)", True),
        ("'a.matches(b)' == 'a' + '.matches(b)'", True),
        ("variables['spec'].containers.all(c, true)", True),
        ("'variables.spec' == 'variables' + '.spec'", True),
        ("\"variables.spec\" == 'variables' + '.spec'", True),
        ("variables.spec.containers.all(c, true) // of variables.spec", True),
        ("r'variables.spec' == 'variables' + '.spec'", True),
        ("'''variables.spec''' == 'variables' + '.spec'", True),
        ("[{'spec': 1}].all(variables, variables.spec == 1)", True),
        ("[1].all(variables_spec, variables_spec == 1 && variables.spec.containers.all(c, true))", True),
        ("params.data.variables.spec == 'x'", True),
    ],
)
def test_where_a_name_of_its_own_might_mean_something_else_the_text_stays(text: str, verdict: bool) -> None:
    rule = compile_rule(text, "pod")
    assert rule.whole
    assert scene("pod", RENDERING.pod, {"variables": {"spec": "x"}}, {}).holds(rule) is verdict  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "text", ["1 / 0 == 1", "9223372036854775807 + 1 > 0", "request.groups[7] == ''", "int('x') == 1"]
)
def test_what_cannot_be_evaluated_is_not_met(text: str) -> None:
    rule = BASELINE.rules[0].model_copy(update={"id": "odd", "cel": text, "on": "request"})
    assert Policy((rule,)).judge("request", {"groups": []}, {}, {})


@pytest.mark.parametrize("value", ["\ud800", {1: {2, 3}}, object()])
def test_what_cel_has_no_value_for_meets_nothing(value: Any) -> None:
    assert broken("request", {"user": value}) >= {"signed-in"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("object.spec ==", "does not parse"),
        ("'a'.matches('\\\\d')", "[0-9]"),
        ("size('a') == 1", "size()"),
        ("object.?spec == 1", "optional"),
        ("math.abs(1) > 0", "abs"),
        ("request.user == ''", "request"),
        ("object.spec.hostNetwork == false", "refers to object"),
        ("true || " * 400 + "true", "longer"),
        ("(" * 30 + "true" + ")" * 30, "nested"),
    ],
)
def test_text_outside_the_subset_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(BadRule, match=words.replace("[", r"\[").replace("(", r"\(").replace(")", r"\)")):
        compile_rule(text, "pod")


def test_a_rule_that_cannot_be_evaluated_is_not_met() -> None:
    rule = BASELINE.rules[0].model_copy(update={"id": "odd", "cel": "variables.spec.nothing.there == 1"})
    assert [one.rule.id for one in Policy((rule,)).judge("pod", RENDERING.pod, {}, {})] == ["odd"]


def test_only_a_plain_true_is_met() -> None:
    rule = BASELINE.rules[0].model_copy(update={"id": "odd", "cel": "variables.spec.restartPolicy"})
    assert Policy((rule,)).judge("pod", RENDERING.pod, {}, {})


def test_two_rules_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        merge([BASELINE, BASELINE])


def test_nulls_are_not_there() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}]}) == {"b": [{}]}


def test_extremes_are_every_combination_of_choices_and_bounds() -> None:
    large = CATALOG.versions("large-memory")[-1]
    found = list(extremes(large))
    assert len(found) == 3 * 2 * 3
    assert {one["cores"] for one in found} == {1, 4}


def test_check_names_file_rule_and_choice() -> None:
    largest = ENCLAVE.spec.largest.model_copy(update={"memory": "6Gi"})
    small = ENCLAVE.model_copy(update={"spec": ENCLAVE.spec.model_copy(update={"largest": largest})})
    lock = ImagesLock.of("low", 1, {"notebooks/standard": IMAGE})
    [found] = check_profile(STANDARD, Catalog((), (), POLICY, small, lock=lock))
    assert (found.path, found.rule, found.options) == ("standard/1.yaml", "memory-limit", {"memory": "8Gi", "idle": 15})
    assert str(found).endswith("(with memory=8Gi, idle=15)")


def test_everything_that_ships_passes_and_the_reports_can_be_read() -> None:
    assert check(CATALOG) == []
    assert check(Catalog((), ())) == []
    catalog = Catalog(CATALOG.profiles, (), POLICY, ENCLAVE)  # no lock says what an image is
    findings = check(catalog)
    assert '"ruleId": "digest-pinned"' in sarif(findings, POLICY, "1.0")
    assert 'failures="4"' in junit(findings, catalog)
