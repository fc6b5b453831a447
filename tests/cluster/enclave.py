"""The enclave that a cluster is to hub-ext: its file, and its signed `images.lock`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub_ext.catalog.documents import read
from hub_ext.catalog.keys import make_pair, signer
from hub_ext.catalog.locks import ImagesLock

NAME = "cluster"
_SIGNER = "cluster"


def write(catalog: Path, key: Path, images: Mapping[str, str], spec: Mapping[str, Any]) -> None:
    """Write the enclave's file and its lock.

    Args:
        catalog: The profiles folder.
        key: The private key that signs the lock; it is made where there is none, with its public one beside it.
        images: Name → registry, name and digest.
        spec: What the enclave's spec has beside registries and signers, or in place of what is here.
    """
    folder, public = catalog / "_enclaves", key.with_suffix(".pub")
    folder.mkdir(parents=True, exist_ok=True)
    if not public.exists():
        private, text = make_pair(None)
        key.touch(mode=0o600)
        key.write_bytes(private)
        public.write_text(text)
    registries = sorted({reference.partition("/")[0] for reference in images.values()})
    content = {
        "apiVersion": "hub-ext/v1",
        "kind": "Enclave",
        "metadata": {"name": NAME, "title": "The cluster of the tests", "owner": "platform-team"},
        "spec": {
            "domain": "open",
            "registries": registries,
            "without_tls": registries,
            "largest": {"cpu": 16, "memory": "64Gi", "gpu": 0},
            "signers": {_SIGNER: public.read_text()},
            **spec,
        },
    }
    _put(folder / f"{NAME}.yaml", content)
    path = folder / f"{NAME}.images.lock"
    before = read(path, path.name, ImagesLock) if path.exists() else None
    lock = before.with_images(images) if isinstance(before, ImagesLock) else ImagesLock.of(NAME, 1, images)
    _put(path, lock.signed(_SIGNER, signer(key.read_bytes(), None)).model_dump(mode="json", by_alias=True))


def _put(path: Path, content: object) -> None:
    """Write a file, all or nothing. What is JSON is YAML, too."""
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)
