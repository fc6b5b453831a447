"""The table of hostile option sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NOTHING = object()  # no such key
ELSEWHERE = "elsewhere.example/miner:1.0"
_DEEP: Any = "8Gi"
for _ in range(200):
    _DEEP = [_DEEP]


@dataclass(frozen=True)
class Case:
    """One option set.

    Attributes:
        words: What it is, for people.
        profile: What is sent as the profile.
        options: What is sent as options.
        beside: What is sent beside profile and options.
        raw: The whole body as text, in place of all of these.
        form: Whether a form can say it, and its text is not what an honest form sends.
    """

    words: str
    profile: Any = "maps"
    options: Any = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    raw: str | None = None
    form: bool = True


def _without_profile() -> list[Case]:
    own = {"image": ELSEWHERE}
    nothings: tuple[object, ...] = (None, "", [])
    return [
        Case("no body", raw="", form=False),
        *(Case(f"the body `{text}`", raw=text, form=False) for text in ("{}", "null", "[]")),
        Case("a display name alone", raw='{"display_name": "mine"}', form=False),
        Case("`user_options` that are empty", raw='{"user_options": {}}', form=False),
        *(Case(f"the profile {value!r}", profile=value, form=False) for value in nothings),
        Case("no profile, an image of one's own", NOTHING, own),
        *(Case(f"the profile {value!r}, an image of one's own", value, own) for value in (None, 0)),
        Case("a display name, and an image of one's own", NOTHING, own, {"display_name": "mine"}, form=False),
        Case("no profile, a size that a profile has", NOTHING, {"memory": "8Gi"}),
        Case("no profile, an idle time beyond all bounds", NOTHING, {"idle": "99999"}),
        Case("no profile, an image that is an object", NOTHING, {"image": {"name": ELSEWHERE}}),
        Case("no profile, a field of the spawner", NOTHING, beside={"image": ELSEWHERE, "cmd": ["sh"]}),
    ]


def _names() -> list[Case]:
    names = [
        ("the profile of another group", "machine-learning"),
        ("a name that is not there", "no-such-profile"),
        ("the beginning of a name", "map"),
        ("a name with a Cyrillic letter", "mаps"),
        ("a name with a line break", "maps\n"),
        ("a name with U+0000", "maps\x00"),
        ("half a character", "maps\ud800"),
        ("a path", "../maps"),
        ("a template", "{username}{{7*7}}"),
        ("100,000 characters", "m" * 100_000),
    ]
    no_text: list[Any] = [["maps"], {"name": "maps"}, True, 10**400]
    return [
        *(Case(words, name, form="\ud800" not in name and "\x00" not in name) for words, name in names),
        *(Case(f"the profile {_short(value)}", value, form=False) for value in no_text),
        Case("two profiles in one body", raw='{"profile": "maps", "profile": "machine-learning"}', form=False),
    ]


def _versions() -> list[Case]:
    values: list[Any] = [2, "1", True, 10**400]
    return [Case(f"the version {_short(value)}", beside={"version": value}, form=False) for value in values]


def _memory() -> list[Case]:
    texts = ["16Gi", "8", "8Gi\n", "８Gi", "8Gi; reboot", "", "9" * 100_000]
    values: list[Any] = [8, None, ["8Gi"], {"8Gi": True}]
    return [
        *(Case(f"memory {_short(text)}", options={"memory": text}) for text in texts),
        *(Case(f"memory {_short(value)}", options={"memory": value}, form=False) for value in values),
        Case("memory in 200 lists", options={"memory": _DEEP}, form=False),
    ]


def _idle() -> list[Case]:
    numbers: list[Any] = [241, 14, 60.5, 10**400, float("nan"), float("inf")]
    texts = ["60\n", "６０", "6_0"]
    values: list[Any] = [-0.0, "60", True, None, [60]]
    return [
        *(Case(f"idle {_short(number)}", options={"idle": number}) for number in numbers),
        *(Case(f"idle {_short(text)}", options={"idle": text}) for text in texts),
        *(Case(f"idle {_short(value)}", options={"idle": value}, form=False) for value in values),
    ]


def _image() -> list[Case]:
    good = "registry.example/notebooks/geo:1.4"
    texts = [
        ("an image of elsewhere", ELSEWHERE),
        ("a good image with more behind it", f"{good}@sha256:{'0' * 64}"),
        ("a good image, and out of its folder", f"{good}/../../../miner:1.0"),
        ("a good image, a line break, another", f"{good}\n{ELSEWHERE}"),
        ("a registry with another character for its dot", "registryXexample/notebooks/geo:1.4"),
        ("an image without a tag", "registry.example/notebooks/geo"),
    ]
    return [
        *(Case(words, options={"image": text}) for words, text in texts),
        Case("an image that is an object", options={"image": {"name": ELSEWHERE}}, form=False),
    ]


def _cores() -> list[Case]:
    numbers: list[Any] = [64, float("nan")]
    values: list[Any] = [-0.0, "4", True]
    return [
        *(Case(f"cores {_short(number)}", options={"cores": number}) for number in numbers),
        *(Case(f"cores {_short(value)}", options={"cores": value}, form=False) for value in values),
    ]


def _unknown() -> list[Case]:
    beside: dict[str, Any] = {
        "kubespawner_override": {"image": ELSEWHERE},
        "image": ELSEWHERE,
        "environment": {"LD_PRELOAD": "/tmp/x.so"},
    }
    return [
        Case("a free text for an option that has none", options={"memory--unlisted-choice": "64Gi"}),
        *(Case(f"an option that is not there: {_short(name)}", options={name: 64}) for name in ("gpus", "")),
        Case("the field that an option sets", options={"resources.memory.limit": "64Gi"}),
        Case("1000 options that are not there", options={f"option-{number}": number for number in range(1000)}),
        *(Case(f"`{name}` beside the profile", beside={name: value}) for name, value in beside.items()),
        Case("options that are a list", options=["memory"], form=False),
        Case("options that are null", options=None, form=False),
    ]


def _short(value: Any) -> str:
    """Return a value as it is told in a table."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**63:
        return "10^400"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:12]}… ({len(text) - 2} characters)"


def cases() -> list[Case]:
    """Return the table."""
    found = [*_without_profile(), *_names(), *_versions(), *_memory(), *_idle(), *_image(), *_cores(), *_unknown()]
    assert len({case.words for case in found}) == len(found)
    return found
