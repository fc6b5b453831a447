"""What the pages of the catalog show, in words: states, checks, who is waited for, how many rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub_ext.catalog.check import denying
from hub_ext.catalog.diff import Change, ProfileDiff, with_words
from hub_ext.catalog.explain import Explanation, Part
from hub_ext.catalog.snapshot import people
from hub_ext.governance.overview import Entry
from hub_ext.governance.views import VersionInfo
from hub_ext.people import Person
from hub_ext.web.pages.rendering import query

ROWS = 50
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

# One word a state, the look of its pill and its icon.
STATES = {
    "file": ("Not proposed", "quiet", "fa-file"),
    "proposed": ("Proposed", "busy", "fa-hourglass-half"),
    "approved": ("Approved", "ok", "fa-check"),
    "trusted": ("Trusted", "ok", "fa-box"),
    "deprecated": ("Deprecated", "warn", "fa-triangle-exclamation"),
    "removed": ("Removed", "quiet", "fa-ban"),
    "withdrawn": ("Withdrawn", "quiet", "fa-rotate-left"),
}

SORTS = {"name": "by name", "waiting": "what waits first", "used": "last started first", "people": "most people now"}


def may_judge(version: VersionInfo, person: Person) -> bool:
    """Return whether a person may approve or refuse a version."""
    return version.state == "proposed" and person.has_role("curator") and not is_author(version, person)


def is_author(version: VersionInfo, person: Person) -> bool:
    """Return whether a person proposed a version."""
    return version.author == person.name


def waits_for(version: VersionInfo, person: Person) -> str:
    """Return whom a version waits for, as a person reads it; empty when it waits for nobody.

    Args:
        version: The version.
        person: Who reads.
    """
    if version.state == "file":
        return "a curator to propose it"
    if version.state != "proposed":
        return ""
    if version.refused_by:
        return f"{version.author}: {' and '.join(version.refused_by)} refused it"
    if may_judge(version, person) and person.name not in version.approved_by:
        return "you" if version.missing <= 1 else f"you and {other_curators(version.missing - 1)}"
    return f"{other_curators(version.missing)} than {'you' if is_author(version, person) else version.author}"


def other_curators(count: int) -> str:
    """Return how many other curators, in words."""
    return people(count).replace("person", "other curator").replace("people", "other curators")


@dataclass(frozen=True)
class Row:
    """One version in the table.

    Attributes:
        entry: The version with its checks and its use.
        waiting: Whom it waits for.
        mine: Whether it waits for the person who looks.
    """

    entry: Entry
    waiting: str
    mine: bool

    @property
    def version(self) -> VersionInfo:
        """The version."""
        return self.entry.version

    @property
    def checks(self) -> tuple[str, str]:
        """Look and words of its checks."""
        return checks_words(self.entry)


def checks_words(entry: Entry) -> tuple[str, str]:
    """Return the look and the words of what a check found.

    Args:
        entry: The version with its checks.
    """
    if entry.findings is None:
        return "quiet", "being checked"
    denied = len(denying(entry.findings))
    if denied:
        return "bad", f"{denied} problem{'s' if denied > 1 else ''}"
    excepted = sum(one.severity == "excepted" for one in entry.findings)
    warned = len(entry.findings) - excepted
    words = [f"{excepted} excepted"] if excepted else []
    words += [f"{warned} warning{'s' if warned > 1 else ''}"] if warned else []
    return ("warn", ", ".join(words)) if words else ("ok", "pass")


def rows(entries: Iterable[Entry], person: Person) -> list[Row]:
    """Return versions as rows.

    Args:
        entries: The versions.
        person: Who looks.
    """
    found = []
    for entry in entries:
        waiting = waits_for(entry.version, person)
        found.append(Row(entry, waiting, waiting.startswith("you")))
    return found


@dataclass(frozen=True)
class Filters:
    """What the address of the table holds.

    Attributes:
        q: Words that name, title, owner or author hold.
        state: State of the versions; empty for all but those withdrawn and removed.
        sort: One of `SORTS`.
        page: Number of the page, from 1.
    """

    q: str = ""
    state: str = ""
    sort: str = "name"
    page: int = 1

    @classmethod
    def read(cls, q: str, state: str, sort: str, page: str) -> Filters:
        """Return filters as an address has them; what is unknown is left out."""
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        return cls(q[:200], state if state in STATES else "", sort if sort in SORTS else "name", max(1, number))

    def address(self, base: str, **changes: Any) -> str:
        """Return the address with other filters; it begins at the first page.

        Args:
            base: Address of the table.
            changes: What is different; None or empty takes a filter away.
        """
        values = {"q": self.q, "state": self.state, "sort": "" if self.sort == "name" else self.sort, **changes}
        return base + query({key: None if key == "page" and value == 1 else value for key, value in values.items()})

    def choose(self, found: Sequence[Row]) -> list[Row]:
        """Return the rows that fit, in their order.

        Args:
            found: All rows.
        """
        words = self.q.casefold().split()
        fitting = [row for row in found if self._fits(row) and all(word in _text(row) for word in words)]
        if self.sort == "waiting":
            return sorted(fitting, key=lambda row: (not row.mine, not row.waiting, row.version.state == "file"))
        if self.sort == "used":
            return sorted(fitting, key=lambda row: row.entry.use.last or _LONG_AGO, reverse=True)
        if self.sort == "people":
            return sorted(fitting, key=lambda row: len(row.entry.use.people), reverse=True)
        return sorted(fitting, key=lambda row: (row.version.name, -row.version.number))

    def _fits(self, row: Row) -> bool:
        state = row.version.state
        return state == self.state if self.state else state not in ("withdrawn", "removed")


def _text(row: Row) -> str:
    about = row.version.profile.metadata
    return " ".join((row.version.name, about.title, about.owner, row.version.author, *about.tags)).casefold()


# --- what servers become ---------------------------------------------------------------------------------------------

_OBJECTS = {  # in the order in which they are told
    "Pod": "The server or run itself",
    "Job": "The job of a run",
    "NetworkPolicy": "What it may reach",
    "PersistentVolumeClaim": "Its home folder",
    "Namespace": "The person's namespace",
    "ResourceQuota": "The most that a person may have",
    "LimitRange": "The largest container",
}


@dataclass(frozen=True)
class Line:
    """One line that would be another, in words."""

    path: str
    before: str | None
    after: str | None
    when: str


def change_groups(change: ProfileDiff) -> list[tuple[str, str, list[Line]]]:
    """Return the lines that would be others, by object: its kind, what it is, its lines.

    Args:
        change: What servers would become.
    """
    found: dict[str, list[Line]] = {}
    for one in change.changes:
        found.setdefault(one.object, []).append(_line(one))
    order = [*(kind for kind in _OBJECTS if kind in found), *(kind for kind in found if kind not in _OBJECTS)]
    return [(kind, _OBJECTS.get(kind, ""), found[kind]) for kind in order]


def _line(one: Change) -> Line:
    before, after = (None if value is None else str(value) for value in (one.before, one.after))
    return Line(one.path, before, after, " or ".join(with_words(chosen) for chosen in one.when))


# --- why somebody may not --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explained:
    """How a profile stands with a person.

    Attributes:
        explanation: The whole of it.
        parts: What it depends on, but for rules that let it through.
        rules: Those.
        why: What is in the way, and whom to ask; or what it is warned of.
    """

    explanation: Explanation
    parts: tuple[Part, ...]
    rules: tuple[Part, ...]
    why: str

    @property
    def rules_words(self) -> str:
        """What is said of the rules that let it through."""
        count = f"{len(self.rules)} rule{'s' if len(self.rules) != 1 else ''} of the policy"
        asked = bool(self.explanation.decision.image)
        return f"It meets {count}." if asked else f"{count} would be asked, were it not denied before."


def explained(one: Explanation) -> Explained:
    """Return an explanation with what lets a start through folded away.

    Args:
        one: The explanation.
    """
    fine = {
        part.name for part in one.parts if part.about == "rule" and part.holds and "excepted until" not in part.words
    }
    rules = tuple(part for part in one.parts if part.about == "rule" and part.name in fine)
    parts = tuple(part for part in one.parts if part not in rules)
    failing = [part for part in parts if not part.holds]
    asks = " ".join(dict.fromkeys(f"Ask {part.ask}." for part in failing if part.ask))
    words = [*(part.words for part in failing), *([asks] if asks else [])]
    words += [] if failing else [warning.message for warning in one.decision.warnings]
    return Explained(one, parts, rules, " ".join(words))
