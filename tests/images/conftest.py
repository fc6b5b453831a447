"""Images with signatures, statements and lists, in a registry that a test may trouble, or in a folder."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.dsse import Envelope

from hub_ext.catalog.keys import PublicKey, make_pair, public_key, signer
from hub_ext.images import cosign
from hub_ext.images.layout import Layouts
from hub_ext.images.registry import Reach, Registry
from hub_ext.images.source import Source

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "notebooks/standard"
_PAIRS = {name: make_pair(None) for name in ("builds", "eve")}
KEYS: dict[str, PublicKey] = {name: public_key(name, public) for name, (_, public) in _PAIRS.items()}
PUBLIC = {name: public for name, (_, public) in _PAIRS.items()}
OURS = [KEYS["builds"]]


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def sign(name: str, data: bytes) -> str:
    """Return a signature, in base64."""
    made = signer(_PAIRS[name][0], None).sign(data).signature
    return base64.b64encode(bytes.fromhex(made)).decode()


def payload(digest: str, **changes: Any) -> bytes:
    """Return what cosign signs for an image."""
    critical = {
        "identity": {"docker-reference": f"registry.low/{NAME}"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    } | changes
    return json.dumps({"critical": critical, "optional": None}).encode()


def statement(by: str, digest: str, kind: str, **changes: Any) -> bytes:
    """Return a statement in its envelope."""
    said = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": kind,
        "subject": [{"name": NAME, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicate": {},
    } | changes
    body = json.dumps(said).encode()
    data = Envelope(body, "application/vnd.in-toto+json", {}).pae()
    signatures = [{"keyid": "", "sig": sign(by, data)}]
    content = {"payloadType": "application/vnd.in-toto+json", "payload": base64.b64encode(body).decode()}
    return json.dumps(content | {"signatures": signatures}).encode()


@dataclass
class Shelf:
    """Contents by digest, and tags.

    Attributes:
        contents: Digest → content.
        manifests: Those of them that are manifests.
        tags: Tag → digest.
        referring: Digests that a registry lists as referrers, with what they are.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    manifests: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    referring: list[dict[str, Any]] = field(default_factory=list)

    def put(self, content: bytes) -> str:
        digest = digest_of(content)
        self.contents[digest] = content
        return digest

    def manifest(self, *layers: dict[str, Any], tag: str = "", **more: Any) -> str:
        """Make a manifest of layers."""
        config = self.put(b"{}")
        found = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": list(layers),
        } | more
        digest = self.put(json.dumps(found).encode())
        self.manifests.add(digest)
        self.tags |= {tag: digest} if tag else {}
        return digest

    def layer(self, content: bytes, media: str, **marks: str) -> dict[str, Any]:
        """Return the entry of a layer."""
        made = {"mediaType": media, "digest": self.put(content), "size": len(content)}
        return made | ({"annotations": marks} if marks else {})

    def image(self) -> str:
        """Make an image; return its digest."""
        return self.manifest(self.layer(b"files", "application/vnd.oci.image.layer.v1.tar+gzip"), tag="latest")

    def signed(
        self, digest: str, by: str = "builds", *, body: bytes | None = None, signature: str | None = None
    ) -> None:
        """Hang a signature onto an image, as cosign does."""
        body = payload(digest) if body is None else body
        mark = {cosign.ANNOTATION: sign(by, body) if signature is None else signature}
        self.manifest(self.layer(body, cosign.SIGNATURE, **mark), tag=f"{digest.replace(':', '-')}.sig")

    def attested(self, digest: str, *envelopes: bytes) -> None:
        """Hang statements onto an image."""
        layers = [self.layer(one, cosign.ENVELOPE) for one in envelopes]
        self.manifest(*layers, tag=f"{digest.replace(':', '-')}.att")

    def attached(self, digest: str, content: bytes, media: str = "application/vnd.cyclonedx+json") -> None:
        """Hang a list of parts onto an image."""
        self.manifest(self.layer(content, media), tag=f"{digest.replace(':', '-')}.sbom")

    def refers(self, digest: str, content: bytes, kind: str, media: str = "") -> None:
        """Make something that names an image as its subject."""
        subject = {"mediaType": MANIFEST, "digest": digest, "size": 1}
        made = self.manifest(self.layer(content, media or kind), subject=subject, artifactType=kind)
        self.referring.append({"mediaType": MANIFEST, "digest": made, "size": 1, "artifactType": kind})

    def write(self, folder: Path) -> Path:
        """Write an OCI image layout."""
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        for digest, content in self.contents.items():
            (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
        names = {digest: tag for tag, digest in self.tags.items()}
        entries = [
            {"mediaType": MANIFEST, "digest": digest, "size": len(self.contents[digest])}
            | ({"annotations": {"org.opencontainers.image.ref.name": names[digest]}} if digest in names else {})
            for digest in sorted(self.manifests)
        ]
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
        return folder


Answer = Callable[[BaseHTTPRequestHandler], bool]


class HttpRegistry:
    """A registry by real HTTP.

    Attributes:
        shelf: What it has.
        first: Asked before anything else; answers itself, and returns True, or leaves the request alone.
        asked: Paths that were asked for, with their `Authorization`.
        lists_referrers: Whether it knows that part of the specification.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.first: Answer = lambda request: False
        self.asked: list[tuple[str, str | None]] = []
        self.lists_referrers = True
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append((self.path, self.headers.get("Authorization")))
                if not registry.first(self):
                    registry.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        _, _, rest = request.path.partition(f"/v2/{NAME}/")
        what, _, reference = rest.partition("/")
        found: bytes | None = None
        if what == "manifests":
            digest = self.shelf.tags.get(reference, reference)
            found = self.shelf.contents.get(digest) if digest in self.shelf.manifests else None
        elif what == "blobs":
            found = self.shelf.contents.get(reference)
        elif what == "referrers" and self.lists_referrers:
            found = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.shelf.referring}).encode()
        send(request, 404, b'{"errors": []}') if found is None else send(request, 200, found)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def send(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> bool:
    """Answer a request."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
    return True


@pytest.fixture
def shelf() -> Shelf:
    """What a registry or a folder has."""
    return Shelf()


@pytest.fixture
def registry(shelf: Shelf) -> Iterator[HttpRegistry]:
    """A registry."""
    made = HttpRegistry(shelf)
    yield made
    made.stop()


@pytest.fixture
def client(registry: HttpRegistry) -> Iterator[Registry]:
    """Our client of it."""
    made = Registry(Reach(registry.host, tls=False, within=5.0))
    yield made
    made.close()


@pytest.fixture(params=["registry", "folder"])
def source(request: pytest.FixtureRequest, shelf: Shelf, tmp_path: Path) -> Callable[[], Source]:
    """What is on the shelf, when the test is done with that: in a registry, and in a folder."""
    if request.param == "registry":
        made: Registry = request.getfixturevalue("client")
        return lambda: made
    return lambda: Layouts(shelf.write(tmp_path / "carried" / "one").parent)
