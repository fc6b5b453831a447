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
_NAMESPACE, _STORAGE, _PARAMS, _SHARED = "release-namespace", "release-storage", "release-params", "release-shared"
_OF_ALL = ".Values.enclave.spec.shared_namespace"


def _head(source: str) -> str:
    return f"{{{{- /* Made from {source} by scripts/generate.py; do not edit. */ -}}}}\n"


def _template(manifests: Sequence[Manifest], condition: str) -> str:
    """Return manifests as a part of a template."""
    text = to_yaml(manifests)
    if "{{" in text:
        msg = "a template of the chart would read what is in the manifests as its own"
        raise ValueError(msg)
    text = re.sub(rf": {_NAMESPACE}$", ": {{ .Release.Namespace | quote }}", text, flags=re.MULTILINE)
    text = text.replace(_NAMESPACE, "{{ .Release.Namespace }}")
    text = text.replace(f"object.spec.storageClassName == '{_STORAGE}'", '{{ include "hub-ext.storage-condition" . }}')
    text = re.sub(rf": {_PARAMS}$", ': {{ include "hub-ext.params" . | toJson }}', text, flags=re.MULTILINE)
    text = re.sub(rf": {_SHARED}$", ": {{ .Values.enclave.spec.shared_namespace | quote }}", text, flags=re.MULTILINE)
    text = text.replace(_SHARED, "{{ .Values.enclave.spec.shared_namespace }}")
    return f"{{{{- if {condition} }}}}\n---\n{text}{{{{- end }}}}\n"


def accounts() -> str:
    """The accounts of Hub and service, with their rights."""
    source, made = "hub_ext/kubernetes/rbac.py", ".Values.rbac.create"
    shared = [one for one in rbac.manifests(_NAMESPACE, _SHARED) if one["kind"] != "Namespace"]  # it is there before
    return (
        _head(source)
        + _template(rbac.manifests(_NAMESPACE), f"and {made} (not {_OF_ALL})")
        + _template(shared, f"and {made} {_OF_ALL}")
    )


def admission() -> str:
    """The policy that ships, as the API server holds it."""
    on, policy = ".Values.admissionPolicy.enabled", load(shipped("profiles")).policy
    text = _head("hub_ext/kubernetes/admission.py")
    both: list[list[Manifest]] = []
    for shared in (None, _SHARED):
        about = {"system_namespace": _NAMESPACE, "storage_class": _STORAGE, "shared_namespace": shared}
        enclave = NO_ENCLAVE.model_copy(update={"spec": NO_ENCLAVE.spec.model_copy(update=about)})
        made = export(policy, enclave)
        for one in made:
            for variable in one["spec"].get("variables", ()):
                if variable["name"] == "params":
                    variable["expression"] = _PARAMS
        both.append(made)
    same = [one for one in both[0] if one in both[1]]
    text += _template(same, on)
    for made, condition in zip(both, (f"(not {_OF_ALL})", _OF_ALL), strict=True):
        text += _template([one for one in made if one not in same], f"and {on} {condition}")
    return text


def profiles() -> dict[str, Path]:
    """The profiles that ship: path in the chart → file."""
    folder = shipped("profiles")
    return {
        f"helm/hub-ext/files/profiles/{one.relative_to(folder).as_posix()}": one
        for one in sorted(folder.glob("[!_.]*/*.yaml"))
    }
