"""The registry of images: its files, and pushing to one."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub_ext.embedded.processes import free_port
from tests.cluster.errors import PartFailed
from tests.cluster.waiting import answers


@contextlib.contextmanager
def serving(folder: Path, log: Path) -> Iterator[str]:
    """Run a registry on a folder for a moment; yield its address.

    Args:
        folder: Where it keeps its files.
        log: Where its output goes.
    """
    address = f"127.0.0.1:{free_port()}"
    config = folder.with_name("registry.json")
    storage = {"filesystem": {"rootdirectory": str(folder)}}
    logging = {"level": "error", "accesslog": {"disabled": True}}
    config.write_text(json.dumps({"version": 0.1, "log": logging, "storage": storage, "http": {"addr": address}}))
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://{address}/v2/"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PartFailed("The registry that images are kept by does not start.", log)
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        config.unlink()


def push(address: str, name: str, parts: Path, tag: str = "latest") -> str:
    """Push an image that lies in a folder, as buildah writes it (`dir:`).

    Args:
        address: Host and port of the registry, which is spoken to without TLS.
        name: The image's name there.
        parts: The folder: the manifest, and each blob in a file named by its hash.
        tag: Its tag.

    Returns:
        The digest of its manifest.
    """
    manifest = (parts / "manifest.json").read_bytes()
    content = json.loads(manifest)
    for blob in (content["config"], *content["layers"]):
        _push_blob(address, name, blob["digest"], parts / str(blob["digest"]).removeprefix("sha256:"))
    path = f"/v2/{name}/manifests/{tag}"
    _ask(address, "PUT", path, manifest, {"Content-Type": str(content["mediaType"])})
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _push_blob(address: str, name: str, digest: str, file: Path) -> None:
    place = _ask(address, "POST", f"/v2/{name}/blobs/uploads/", b"", {})["location"]
    path = urllib.parse.urlsplit(place)
    with file.open("rb") as body:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
        _ask(address, "PUT", f"{path.path}?{path.query}&digest={urllib.parse.quote(digest)}", body, headers)


def _ask(address: str, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, str]:
    """Ask a registry; return the headers of its answer.

    Raises:
        PartFailed: It refused.
    """
    connection = http.client.HTTPConnection(address, timeout=300)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status >= 300:
            raise PartFailed(f"{method} {path.partition('?')[0]}: {answer.status} {text[:300]}")
        return {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()


def install(kept: Path, folder: Path) -> None:
    """Put the files of a registry that holds one image into another's: blobs by link, the rest by copy.

    Args:
        kept: Folder of the first.
        folder: Folder of the second.
    """
    for file in (one for one in kept.rglob("*") if one.is_file()):
        target = folder / file.relative_to(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.name == "data":  # a blob, which never changes
            link(file, target)
        else:
            shutil.copyfile(file, target)


def link(source: Path, target: Path) -> None:
    """Have a file in two places, by link where that is possible; a file of another content is replaced."""
    if target.exists() and target.stat().st_ino == source.stat().st_ino:
        return
    partial = target.with_name(f".{target.name}")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:  # another file system
        shutil.copy2(source, partial)
    partial.replace(target)
