"""What the service tells the executor about one launch. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LaunchSpec:
    """How one notebook is to be run.

    Attributes:
        run_id: The run, for the title of the report.
        title: Title of the report.
        kernel: Command of the kernel; ``{connection_file}`` stands for the file that says where it listens.
        environment: Environment of the kernel, without secrets.
        secrets: Names of environment variables that arrive with "go"; nothing else is taken from there.
        injected: Source of the cell that sets the parameters; empty for none.
        deadline: Seconds from "go" until the run is ended.
        deadline_words: The same, as people are told (``720 minutes``).
        memory: Most memory of all its processes, in bytes; 0 for no limit.
        memory_words: The same, as people are told (``4 GB``).
        output_limit: Most bytes of output that are kept, in the notebook and in the events each.
        assets: Address prefix of the scripts that the report uses (``<assets>/vendor/require.js`` …).
        startup: Seconds until a kernel that does not answer is given up.
        grace: Seconds that a cell has to end after it was interrupted.
        font_cache: Folder with font lists of matplotlib that are copied, so that fonts are not scanned; may be empty.
        memory_held: Whether the system holds the run to `memory`, and ends what needs more.
        repeatable: Whether its author says that it may be run again after it was ended in the middle.
    """

    run_id: str
    title: str
    kernel: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    injected: str = ""
    deadline: float = 12 * 3600.0
    deadline_words: str = "720 minutes"
    memory: int = 0
    memory_words: str = ""
    output_limit: int = 10 * 2**20
    assets: str = "/services/workflows/static"
    startup: float = 60.0
    grace: float = 2.0
    font_cache: str = ""
    memory_held: bool = False
    repeatable: bool = False

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> LaunchSpec:
        """Return what a file says."""
        return cls.of(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, content: dict[str, Any]) -> LaunchSpec:
        """Return what JSON says; what is not known is left out, since an image may be older than the service."""
        known = {name: value for name, value in content.items() if name in cls.__dataclass_fields__}
        known["kernel"], known["secrets"] = tuple(known["kernel"]), tuple(known["secrets"])
        return cls(**known)
