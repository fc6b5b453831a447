"""The seam between runs and what executes them: only what the reconciler needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hub_ext.catalog.models import Spec
from hub_ext.executor.folder import Folder
from hub_ext.executor.spec import LaunchSpec


@dataclass(frozen=True)
class Placement:
    """What was decided on, for a runtime that makes more of it than a process.

    Attributes:
        user: Whose run it is.
        profile: Name of the profile.
        version: Its version.
        resolved: The profile with the chosen options in it.
        image: Registry, name and digest, as the decision recorded them.
        around: What bounds the person's namespace, as it was decided; empty for what this run alone needs.
    """

    user: str
    profile: str
    version: int
    resolved: Spec
    image: str
    around: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Launch:
    """One start of a run.

    Attributes:
        id: The launch id, committed before anything is started under it.
        spec: What the executor is told.
        notebook: The notebook, as it was published.
        placement: What was decided on.
        secrets: Values of secret parameters, by environment variable; never written anywhere.
    """

    id: str
    spec: LaunchSpec
    notebook: bytes
    placement: Placement
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Alive:
    """The executor is there.

    Attributes:
        begun: Whether it was told to go.
        age: Seconds that it has been there, counted by what no set clock changes; None where nothing counts so.
        waiting: Why it has not begun, in words, where that may take long; empty where it should soon.
        spare: Seconds past its limit that it has to end itself.
    """

    begun: bool
    age: float | None = field(default=None, compare=False)
    waiting: str = ""
    spare: float = 60.0


@dataclass(frozen=True)
class Ended:
    """No executor is there (any more).

    Attributes:
        begun: Whether it was told to go, so that a part of the notebook may have run.
        outcome: How it ended; None when it was killed before it could tell.
        words: How its process ended and what it wrote last, where that is known.
        traced: Whether there is any trace of it; else nobody can learn how it ended.
        reason: Why it ended, as a sentence of its own, where its surroundings know that.
        final: Whether another start would end alike.
    """

    begun: bool
    outcome: dict[str, Any] | None
    words: str = ""
    traced: bool = True
    reason: str = ""
    final: bool = False


class Started(Protocol):
    """An executor that waits for the word to go."""

    process: dict[str, Any]

    def go(self, secrets: dict[str, str]) -> None:
        """Let it run. Called once what finds it again is committed."""

    def drop(self) -> None:
        """Let it end without having run anything."""


class Runtime(Protocol):
    """Starts launches, finds them again, ends them."""

    def start(self, launch: Launch) -> Started:
        """Start an executor that waits.

        Raises:
            OSError: If it cannot be started.
        """

    def observe(self, launch_id: str, process: dict[str, Any] | None = None) -> Alive | Ended:
        """Return what is true about a launch now.

        Args:
            launch_id: The launch.
            process: What finds its executor again, if that was committed.
        """

    def cancel(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """Ask an executor to end its run and report."""

    def end(self, launch_id: str, process: dict[str, Any] | None) -> None:
        """End an executor and every process of the run, at once."""

    def folder(self, launch_id: str) -> Folder:
        """Return where the launch reports."""

    def remove(self, launch_id: str) -> None:
        """Forget a launch that has ended, with all its files."""

    def launches(self) -> list[str]:
        """Return the ids of all launches that have left something."""

    def prepare(self) -> None:
        """Do in advance what makes starts faster."""

    def close(self) -> None:
        """Let go of what is needed to look after launches; they go on."""

    @property
    def fonts(self) -> Path | None:
        """Where font lists are kept for runs."""

    @property
    def most_of_one(self) -> int | None:
        """How many launches one person has at once at most; None for as many as there is room for."""
