"""Options: what a person may choose, checked and put into the profile.

Every function here is total: whatever comes in, it returns either a value or a sentence that says what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hub_ext.catalog.models import SETTABLE, Option, Profile, Spec, field_of
from hub_ext.catalog.quantities import format_size, parse_size

Value = str | int | float | bool

_LARGEST_NUMBER = 2**53  # beyond it, a float cannot tell two whole numbers apart
_MOST_UNKNOWN = 20  # options that are not there are named up to this many


@dataclass(frozen=True)
class Misfit:
    """A chosen value that is not allowed.

    Attributes:
        option: Its name.
        message: What is wrong, in one sentence.
        allowed: What would be allowed, in words.
        nearest: The allowed value that comes nearest, None when there is none to suggest.
    """

    option: str
    message: str
    allowed: str = ""
    nearest: Value | None = None


def shown(value: object) -> str:
    """Return what somebody sent as it can be told: short, and all of it can be seen."""
    if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        return "a number of that size"
    return "".join(char if char.isprintable() else "?" for char in str(value)[:60])


def _number(value: object, *, whole: bool) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:  # neither infinite nor NaN
        return None
    if whole and value != int(value):
        return None
    return int(value) if whole else value


def normalise(kind: str, value: object) -> Value | None:
    """Return a value in the form that its kind is compared in, None when it is not of that kind.

    Args:
        kind: ``string``, ``integer``, ``number``, ``boolean`` or ``quantity``.
        value: Anything.
    """
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "string":
        return value if isinstance(value, str) and len(value) <= 200 else None
    if kind == "quantity":
        try:
            return format_size(parse_size(value))
        except ValueError:
            return None
    return _number(value, whole=kind == "integer")


def _rank(kind: str, value: Value) -> float:
    """Return where a value stands on its scale, for bounds and for the nearest one."""
    return float(parse_size(value)) if kind == "quantity" else float(value)


def allowed_words(option: Option) -> str:
    """Say what an option allows, in words."""
    if option.choices is not None:
        return "one of " + ", ".join(str(choice) for choice in option.choices)
    if option.type == "boolean":
        return "yes or no"
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}"


def _nearest(option: Option, value: Value) -> Value | None:
    kind = option.type
    if kind in ("boolean", "string"):
        near = get_close_matches(str(value), [str(choice) for choice in option.choices or ()], n=1)
        return near[0] if near else None
    candidates = option.choices or tuple(bound for bound in (option.minimum, option.maximum) if bound is not None)
    return min(candidates, key=lambda one: abs(_rank(kind, one) - _rank(kind, value)))


def choose(name: str, option: Option, value: object) -> Value | Misfit:
    """Check one chosen value.

    Returns:
        The value in normal form, or why it is not allowed.
    """
    normal = normalise(option.type, value)
    words = allowed_words(option)
    if normal is None:
        return Misfit(name, f"{option.title} must be {_KIND_WORDS[option.type]}: {words}.", words)
    if option.choices is not None:
        fits = any(type(choice) is type(normal) and choice == normal for choice in _normal_choices(option))
    else:
        fits = option.type == "boolean" or _in_bounds(option, normal)
    if fits:
        return normal
    return Misfit(
        name, f"{option.title} cannot be {shown(normal)}; it can be {words}.", words, _nearest(option, normal)
    )


_KIND_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "quantity": "a size",
}


def _normal_choices(option: Option) -> list[Value]:
    normal = (normalise(option.type, choice) for choice in option.choices or ())
    return [choice for choice in normal if choice is not None]


def _in_bounds(option: Option, value: Value) -> bool:
    rank = _rank(option.type, value)
    low, high = option.minimum, option.maximum
    return (low is None or rank >= _rank(option.type, low)) and (high is None or rank <= _rank(option.type, high))


def choose_all(profile: Profile, chosen: Mapping[str, object]) -> tuple[dict[str, Value], list[Misfit]]:
    """Check everything that was chosen, and fill in the defaults for what was not.

    Returns:
        The values of all options, and what is not allowed.
    """
    options = profile.spec.options
    unknown = [shown(name) for name in chosen if name not in options]
    misfits = [_unknown(name, options) for name in unknown[:_MOST_UNKNOWN]]
    values: dict[str, Value] = {}
    for name, option in options.items():
        result = choose(name, option, chosen.get(name, option.default))
        if isinstance(result, Misfit):
            misfits.append(result)
        else:
            values[name] = result
    return values, misfits


def _unknown(name: str, options: Mapping[str, Option]) -> Misfit:
    near = get_close_matches(name, list(options), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return Misfit(name, f"There is no option {name!r}.{hint}", f"options: {', '.join(options) or 'none'}")


@dataclass(frozen=True)
class Remembered:
    """What somebody chose the last time, as far as it can still be chosen.

    Attributes:
        values: A value for every option: the remembered one, else the nearest that is allowed, else the default.
        changed: What could not be kept, each with the nearest that is allowed.
    """

    values: Mapping[str, Value]
    changed: tuple[Misfit, ...] = ()


def remembered(profile: Profile, chosen: Mapping[str, object]) -> Remembered:
    """Return what was chosen the last time, made to fit; the decision at the start is taken on it in full.

    Args:
        profile: The version that would be started now.
        chosen: What was stored.
    """
    values, misfits = choose_all(profile, chosen)
    for misfit in misfits:
        option = profile.spec.options.get(misfit.option)
        if option is not None:
            values[misfit.option] = option.default if misfit.nearest is None else misfit.nearest
    return Remembered({name: values[name] for name in profile.spec.options}, tuple(misfits))


def apply(profile: Profile, values: Mapping[str, Value]) -> Spec:
    """Return the profile's spec with the chosen values in it.

    Raises:
        ValueError: If the values contradict each other (a request above its limit).
    """
    content = profile.spec.model_dump(mode="json", by_alias=True)
    for name, value in values.items():
        target = content
        *path, last = profile.spec.options[name].sets.split(".")
        for part in path:
            target = target[part]
        target[last] = value
    _pull_requests_down(content["resources"], {profile.spec.options[name].sets for name in values})
    return Spec.model_validate(content)


def _pull_requests_down(resources: dict[str, Any], chosen: set[str]) -> None:
    """A limit that is chosen below the profile's request takes the request with it."""
    memory, cpu = resources["memory"], resources["cpu"]
    if "resources.memory.limit" in chosen and parse_size(memory["request"]) > parse_size(memory["limit"]):
        memory["request"] = memory["limit"]
    if "resources.cpu.limit" in chosen and cpu["request"] > cpu["limit"]:
        cpu["request"] = cpu["limit"]


def check_options(spec: Spec) -> list[str]:
    """Return what is wrong with the options of a profile, as sentences that name the option."""
    problems = []
    seen: dict[str, str] = {}
    for name, option in spec.options.items():
        if option.sets in seen:
            problems.append(f"options.{name}: sets {option.sets}, which options.{seen[option.sets]} sets already")
        seen[option.sets] = name
        problems += [f"options.{name}: {problem}" for problem in _check_option(spec, option)]
    return problems


def _check_option(spec: Spec, option: Option) -> list[str]:
    kinds = SETTABLE.get(option.sets)
    if kinds is None:
        near = get_close_matches(option.sets, SETTABLE, n=1, cutoff=0.4)
        return [f"sets {option.sets!r}, which no option may set" + (f"; did you mean {near[0]}?" if near else "")]
    if option.type not in kinds:
        return [f"type must be {' or '.join(sorted(kinds))} to set {option.sets}"]
    problems = _check_bounds(option)
    if problems:
        return problems
    chosen = choose("default", option, option.default)
    if isinstance(chosen, Misfit):
        return [f"default {option.default!r} is not {chosen.allowed}"]
    field = field_of(spec, option.sets)
    if normalise(option.type, field) != chosen:
        return [f"default is {option.default!r} but {option.sets} is {field!r}; they must be equal"]
    return []


def _check_bounds(option: Option) -> list[str]:
    bounds = (option.minimum, option.maximum)
    if option.choices is not None:
        if bounds != (None, None):
            return ["has choices and bounds; use one of them"]
        bad = [choice for choice in option.choices if normalise(option.type, choice) is None]
        return [f"choices: {bad[0]!r} is not {_KIND_WORDS[option.type]}"] if bad else []
    if option.type == "string":
        return ["needs choices: a free text can limit nothing"]
    if option.type == "boolean":
        return [] if bounds == (None, None) else ["is a boolean and has bounds"]
    if None in bounds:
        return ["needs choices, or both minimum and maximum"]
    for word, bound in zip(("minimum", "maximum"), bounds, strict=True):
        if normalise(option.type, bound) is None:
            return [f"{word} {bound!r} is not {_KIND_WORDS[option.type]}"]
    low, high = (_rank(option.type, bound) for bound in bounds if bound is not None)
    return [f"minimum {bounds[0]} is above maximum {bounds[1]}"] if low > high else []
