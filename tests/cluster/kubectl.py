"""kubectl, called from Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig.

    Attributes:
        program: Which one.
        kubeconfig: The kubeconfig.
    """

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run it; return what it printed.

        Args:
            arguments: Its arguments.
            stdin: What it reads.
            seconds: How long it gets.

        Raises:
            ClusterError: It ended with an error, which is the text, or took too long.
        """
        command = [str(self.program), f"--kubeconfig={self.kubeconfig}", *arguments]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.kubeconfig.parent)}
        try:
            answer = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False, env=env
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"kubectl {' '.join(arguments)}: not within {seconds:.0f} s") from None
        if answer.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {answer.stderr.strip()[-2000:]}")
        return answer.stdout

    def json(self, *arguments: str) -> Any:
        """Run it for an answer in JSON; return that."""
        return json.loads(self(*arguments, "-o", "json"))

    def items(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Return objects of a kind, of all namespaces unless the arguments say otherwise."""
        where = () if any(one.startswith(("-n", "--namespace")) for one in arguments) else ("--all-namespaces",)
        return list(self.json("get", kind, *where, *arguments)["items"])

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Have objects as manifests say."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self("apply", "-f", "-", stdin=json.dumps(items))
