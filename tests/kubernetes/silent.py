"""An image like the notebook image whose server never answers: one more layer, pushed to the cluster's registry."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kubernetes.conftest import UsedCluster

_PROGRAM = "opt/notebook/bin/jupyterhub-singleuser"
_SCRIPT = b"#!/bin/sh\nexec sleep 86400\n"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def silent(cluster: UsedCluster) -> str:
    """Make it; return its registry, name and digest."""
    address, _, rest = cluster.image.partition("/")
    name, _, digest = rest.partition("@")
    there = _Registry(address, name)
    manifest = json.loads(there.get(f"manifests/{digest}"))
    config = json.loads(there.get(f"blobs/{manifest['config']['digest']}"))
    layer = _layer()
    config["rootfs"]["diff_ids"].append(_hash(layer))
    config["history"] = [*config.get("history", []), {"created_by": "a server that never answers"}]
    manifest["layers"].append(there.push(layer, _LAYER))
    changed = there.push(json.dumps(config).encode(), manifest["config"]["mediaType"])
    content = json.dumps(manifest | {"config": changed}).encode()
    there.ask("PUT", "manifests/silent", content, manifest.get("mediaType", _MANIFEST))
    return f"{address}/{name}@{_hash(content)}"


def _layer() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        about = tarfile.TarInfo(_PROGRAM)
        about.size, about.mode = len(_SCRIPT), 0o755
        archive.addfile(about, io.BytesIO(_SCRIPT))
    return packed.getvalue()


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Registry:
    """One name in a registry without TLS."""

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name

    def ask(self, method: str, path: str, body: bytes = b"", media: str = "") -> tuple[bytes, dict[str, str]]:
        """Ask it for something below the name, or for a whole path."""
        path = path if path.startswith("/") else f"/v2/{self._name}/{path}"
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"Content-Type": media} if media else {"Accept": _MANIFEST}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, (method, path, answer.status, said[:300])
            return said, {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()

    def get(self, path: str) -> bytes:
        """Return what is there."""
        return self.ask("GET", path)[0]

    def push(self, content: bytes, media: str) -> dict[str, Any]:
        """Push a blob; return how a manifest names it."""
        place = self.ask("POST", "blobs/uploads/")[1]["location"]
        path = "/" + place.partition("://")[2].partition("/")[2] if "://" in place else place
        self.ask("PUT", f"{path}&digest={_hash(content)}", content, "application/octet-stream")
        return {"mediaType": media, "digest": _hash(content), "size": len(content)}
