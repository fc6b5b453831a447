"""The seam between runs and what executes them: only what the reconciler needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hub_ext.executor.folder import Folder
from hub_ext.executor.spec import LaunchSpec


@dataclass(frozen=True)
class Launch:
    """One start of a run.

    Attributes:
        id: The launch id, committed before anything is started under it.
        spec: What the executor is told.
        notebook: The notebook, as it was published.
        secrets: Values of secret parameters, by environment variable; never written anywhere.
    """

    id: str
    spec: LaunchSpec
    notebook: bytes
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Alive:
    """The executor is there.

    Attributes:
        begun: Whether it was told to go.
        age: Seconds that it has been there, counted by what no set clock changes; None where nothing counts so.
    """

    begun: bool
    age: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Ended:
    """No executor is there (any more).

    Attributes:
        begun: Whether it was told to go, so that a part of the notebook may have run.
        outcome: How it ended; None when it was killed before it could tell.
        words: How its process ended and what it wrote last, where that is known.
        traced: Whether there is any trace of it; else nobody can learn how it ended.
    """

    begun: bool
    outcome: dict[str, Any] | None
    words: str = ""
    traced: bool = True


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

    @property
    def fonts(self) -> Path | None:
        """Where font lists are kept for runs."""
