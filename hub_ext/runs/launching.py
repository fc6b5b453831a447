"""A run becomes a launch: what its executor is told."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from hub_ext.catalog.models import Spec
from hub_ext.catalog.quantities import human_size, parse_size
from hub_ext.db.tables import Run
from hub_ext.errors import Unavailable
from hub_ext.executor.spec import LaunchSpec
from hub_ext.runs.vault import Vault
from hub_ext.runtimes.base import Launch, Placement
from hub_ext.runtimes.local import inherited
from hub_ext.settings import HubExt
from hub_ext.sharing.parameters import injection
from hub_ext.store import Store

IMAGE_PYTHON = "python"  # the one that the executor of an image runs in
IMAGE_FONTS = "/opt/hub-ext/fonts"  # where an image keeps matplotlib's list of its fonts, if it has one


def launch_of(run: Run, store: Store, vault: Vault, settings: HubExt, *, assets: str, fonts: Path | None) -> Launch:
    """Return the launch of a run.

    Args:
        run: The run, with its version, workflow and decision, and a launch id.
        store: Where the notebook is.
        vault: Where its secrets are.
        settings: The settings.
        assets: Address prefix of the scripts that its report uses.
        fonts: Where font lists are kept.

    Raises:
        NotFound: If the notebook is not there.
        InvalidInput: If the values do not fit the version any more.
        Unavailable: If secrets, the store or the environment cannot be reached.
    """
    values = vault.get(run.id)
    missing = [name for name in run.secret_names if name not in values]
    if missing:
        raise Unavailable(f"The secret value of {missing[0]} is not there any more.", hint="Run it again.")
    cell = injection(run.version.schema, {**run.parameters, **values})
    resolved, notebook = Spec.model_validate(run.spec), store.get(run.version.notebook)
    spec = LaunchSpec(
        run_id=run.id,
        title=run.workflow.title,
        kernel=(),
        secrets=tuple(sorted(cell.secrets.values())),
        injected=cell.source,
        output_limit=settings.output_limit,
        assets=assets,
    )
    if settings.runtime == "kubernetes":
        spec = _in_image(spec, notebook)
    else:
        spec = _on_this_machine(spec, resolved, settings, fonts)
    secrets = {variable: values[name] for name, variable in cell.secrets.items()}
    return Launch(str(run.launch_id), _limited(spec, resolved), notebook, _placement(run, resolved), secrets)


def _placement(run: Run, resolved: Spec) -> Placement:
    image = run.decision.image if run.decision else ""
    around = tuple((run.process or {}).get("around") or ())
    return Placement(run.caller, run.profile, run.profile_version or 0, resolved, image, around)


def in_words(minutes: int) -> str:
    """Return a number of minutes as people say it."""
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _limited(spec: LaunchSpec, resolved: Spec) -> LaunchSpec:
    """Return what the executor is told with the limits of the profile in it."""
    memory, minutes = parse_size(resolved.resources.memory.limit), resolved.lifetime.maximum
    limited = replace(spec, deadline=minutes * 60.0, deadline_words=in_words(minutes))
    return replace(limited, memory=memory, memory_words=human_size(memory))


def _on_this_machine(spec: LaunchSpec, resolved: Spec, settings: HubExt, fonts: Path | None) -> LaunchSpec:
    python = settings.python(resolved.local.environment)
    if python is None:
        raise Unavailable(f"The environment {resolved.local.environment} is not there any more.")
    font_cache = str(fonts) if fonts and python == sys.executable else ""
    return replace(spec, kernel=_kernel(python), environment=_environment(python), font_cache=font_cache)


def _in_image(spec: LaunchSpec, notebook: bytes) -> LaunchSpec:
    """Return what an executor in a container is told: the kernel is its image's, and so is the environment."""
    kernel = _kernel(IMAGE_PYTHON)
    return replace(spec, kernel=kernel, font_cache=IMAGE_FONTS, memory_held=True, repeatable=is_repeatable(notebook))


def is_repeatable(notebook: bytes) -> bool:
    """Return whether the author says that a run may be done again after it was interrupted.

    Args:
        notebook: The notebook, as it was published (``metadata.hub_ext.repeatable``).
    """
    found = json.loads(notebook)
    for key in ("metadata", "hub_ext", "repeatable"):
        found = found.get(key) if isinstance(found, dict) else None
    return found is True


def _kernel(python: str) -> tuple[str, ...]:
    history = "--HistoryManager.hist_file=:memory:"
    return (python, "-m", "ipykernel_launcher", "-f", "{connection_file}", history)


def _environment(python: str) -> dict[str, str]:
    """Return the environment of a kernel: nothing of the Hub, nothing of ours."""
    found = inherited()
    programs = str(Path(python).parent)
    found["PATH"] = os.pathsep.join([programs, found.get("PATH", os.defpath)])
    found.pop("VIRTUAL_ENV", None)
    return found
