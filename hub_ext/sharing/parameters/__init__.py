"""Parameters of a workflow: inferred from the notebook, described by a JSON Schema, checked, and injected.

Pure, and without IPython, papermill or a kernel: the cell is parsed, and nothing that people type becomes code except
through :func:`injection`.
"""

from __future__ import annotations

from hub_ext.sharing.parameters.form import from_form
from hub_ext.sharing.parameters.inference import infer
from hub_ext.sharing.parameters.inject import Injection, injection
from hub_ext.sharing.parameters.model import Finding, Parameter, Parameters
from hub_ext.sharing.parameters.names import environment_name
from hub_ext.sharing.parameters.values import check_schema, split_secrets, validate

__all__ = [
    "Finding",
    "Injection",
    "Parameter",
    "Parameters",
    "check_schema",
    "environment_name",
    "from_form",
    "infer",
    "injection",
    "split_secrets",
    "validate",
]
