"""Templates of the chart that are made from code: accounts with their rights, and the policy in the cluster."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hub_ext.catalog.loading import load  # noqa: E402
from hub_ext.catalog.policy import NO_ENCLAVE  # noqa: E402
from hub_ext.kubernetes import rbac  # noqa: E402
from hub_ext.kubernetes.admission import export  # noqa: E402
from hub_ext.kubernetes.objects import Manifest  # noqa: E402
from hub_ext.kubernetes.yaml_text import to_yaml  # noqa: E402
from hub_ext.settings import shipped  # noqa: E402

# They stand for what is known at the installation alone.
_NAMESPACE, _STORAGE, _PARAMS = "release-namespace", "release-storage", "release-params"


def _template(manifests: Sequence[Manifest], source: str, condition: str) -> str:
    """Return manifests as a template."""
    text = to_yaml(manifests)
    if "{{" in text:
        msg = "a template of the chart would read what is in the manifests as its own"
        raise ValueError(msg)
    text = re.sub(rf": {_NAMESPACE}$", ": {{ .Release.Namespace | quote }}", text, flags=re.MULTILINE)
    text = text.replace(_NAMESPACE, "{{ .Release.Namespace }}")
    text = text.replace(f"object.spec.storageClassName == '{_STORAGE}'", '{{ include "hub-ext.storage-condition" . }}')
    text = re.sub(rf": {_PARAMS}$", ': {{ include "hub-ext.params" . | toJson }}', text, flags=re.MULTILINE)
    head = f"{{{{- /* Made from {source} by scripts/generate.py; do not edit. */ -}}}}\n"
    return f"{head}{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"


def accounts() -> str:
    """The accounts of Hub and service, with their rights."""
    return _template(rbac.manifests(_NAMESPACE), "hub_ext/kubernetes/rbac.py", ".Values.rbac.create")


def admission() -> str:
    """The policy that ships, as the API server holds it."""
    about = {"system_namespace": _NAMESPACE, "storage_class": _STORAGE}
    enclave = NO_ENCLAVE.model_copy(update={"spec": NO_ENCLAVE.spec.model_copy(update=about)})
    made = export(load(shipped("profiles")).policy, enclave)
    for one in made:
        for variable in one["spec"].get("variables", ()):
            if variable["name"] == "params":
                variable["expression"] = _PARAMS
    return _template(made, "hub_ext/kubernetes/admission.py", ".Values.admissionPolicy.enabled")


def profiles() -> dict[str, Path]:
    """The profiles that ship: path in the chart → file."""
    folder = shipped("profiles")
    return {
        f"helm/hub-ext/files/profiles/{one.relative_to(folder).as_posix()}": one
        for one in sorted(folder.glob("[!_.]*/*.yaml"))
    }
