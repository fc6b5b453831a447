"""A Hub that was killed answers again soon: it imports nothing that costs much and gives nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

NEEDLESS = ("rfc3987_syntax.syntax_helpers", "prompt_toolkit")


@pytest.mark.parametrize("main", ["hub_ext.embedded.hub", "hub_ext.deployed.__main__"])
def test_a_hub_imports_nothing_that_only_costs(main):
    program = (
        f"import json, sys; import {main}, hub_ext.app, hub_ext.spawner.kubernetes; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"jupyterhub.app", "jsonschema", "cel"} <= loaded
    assert loaded.isdisjoint(NEEDLESS)


def test_what_starts_no_pods_imports_nothing_of_a_cluster():
    program = (
        "import json, sys; from hub_ext.embedded.hub import EmbeddedHub; import hub_ext.spawner.local;"
        " EmbeddedHub().classes; print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "jupyterhub.app" in loaded
    assert loaded.isdisjoint({"kubespawner", "kubernetes_asyncio"})


@pytest.mark.parametrize("main", ["hub_ext.cli", "hub_ext.sharing.publishing", "hub_ext.signin.authenticator"])
def test_whatever_begins_with_us_imports_nothing_that_only_costs(main):
    program = f"import json, sys; import {main}, nbformat; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint(NEEDLESS[:1])
