"""A module that is run quickly is run as it would be otherwise, without an import that takes longer than all others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import json, sys
import jsonschema
slow = "rfc3987_syntax.syntax_helpers" in sys.modules
print(json.dumps([__name__, sys.argv[0] == __file__, sys.argv[1:], slow]))
sys.exit(3)
"""


def run(folder: Path, *command: str) -> tuple[int, list[object]]:
    (folder / "some_module.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command, "some_module", "--port", "80"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_module_is_run_as_by_itself_but_for_what_only_costs(tmp_path: Path) -> None:
    assert run(tmp_path) == (3, ["__main__", True, ["--port", "80"], True])
    assert run(tmp_path, "hub_ext.executor.quickly") == (3, ["__main__", True, ["--port", "80"], False])
