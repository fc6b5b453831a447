"""Keys and certificates of a cluster, by openssl(1). They are good for this one cluster and are removed with it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import PartFailed
from tests.cluster.layout import DOMAIN, NODE, Layout

_DAYS = "3650"


@dataclass(frozen=True)
class Identity:
    """Whom a certificate is for.

    Attributes:
        name: Its file's name.
        user: The common name, which is a user to the API server.
        groups: Organizations, which are groups to the API server.
        names: Names and addresses that it serves by; none for a mere client.
    """

    name: str
    user: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject, as openssl takes it."""
        return "".join(f"/O={group}" for group in self.groups) + f"/CN={self.user}"

    @property
    def extensions(self) -> str:
        """The certificate's extensions, as openssl takes them."""
        usage = "clientAuth" + (",serverAuth" if self.names else "")
        lines = ["basicConstraints=CA:FALSE", f"extendedKeyUsage={usage}"]
        if self.names:
            kinds = (f"{'IP' if name.replace('.', '').isdigit() else 'DNS'}:{name}" for name in self.names)
            lines.append(f"subjectAltName={','.join(kinds)}")
        return "\n".join(lines) + "\n"


def identities(layout: Layout) -> list[Identity]:
    """Return everybody who has a certificate."""
    addresses = layout.addresses
    service = [f"kubernetes.default.svc.{DOMAIN}", "kubernetes.default.svc", "kubernetes.default", "kubernetes"]
    return [
        Identity("admin", "admin", ("system:masters",)),
        Identity("apiserver", "kube-apiserver", (), (*service, addresses.kubernetes, addresses.node, "127.0.0.1")),
        Identity("apiserver-kubelet", "kube-apiserver-kubelet-client", ("system:masters",)),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("network-policy", "hub-ext:network-policy"),
        Identity("kubelet", f"system:node:{NODE}", ("system:nodes",), (NODE, addresses.node)),
    ]


def make(layout: Layout) -> None:
    """Make the authority, a certificate for everybody, and the key that signs service accounts' tokens.

    What was made before stays; what was begun and not ended is made again.
    """
    keys = layout.keys
    keys.mkdir(mode=0o700, exist_ok=True)
    make_authority(keys)
    for identity in identities(layout):
        if not (keys / f"{identity.name}.crt").exists():
            _certificate(keys, identity)
    if not (keys / "service-accounts.pub").exists():
        _key(keys / "service-accounts.key")
        _made(keys / "service-accounts.pub", "ec", "-in", keys / "service-accounts.key", "-pubout")


def make_authority(keys: Path) -> None:
    """Make an authority in a folder, where there is none: `ca.crt` and `ca.key`."""
    if not (keys / "ca.crt").exists():
        _key(keys / "ca.key")
        subject = ("-subj", "/CN=hub-ext cluster", "-days", _DAYS)
        _made(keys / "ca.crt", "req", "-x509", "-new", "-key", keys / "ca.key", *subject)


def serving(keys: Path, name: str, address: str, folder: Path) -> tuple[Path, Path]:
    """Make a certificate for something beside a cluster; return its file, and that of its key.

    Args:
        keys: Folder of the authority. That of a cluster is known in each namespace, by `kube-root-ca.crt`.
        name: Of the files.
        address: Which address or name it is for.
        folder: Where the two are put.
    """
    _certificate(folder, Identity(name, name, (), (address,)), keys)
    return folder / f"{name}.crt", folder / f"{name}.key"


def _certificate(keys: Path, identity: Identity, authority: Path | None = None) -> None:
    key, request = keys / f"{identity.name}.key", keys / f"{identity.name}.csr"
    extensions = keys / f"{identity.name}.ext"
    extensions.write_text(identity.extensions)
    _key(key)
    _openssl("req", "-new", "-key", key, "-subj", identity.subject, "-out", request)
    ours = authority or keys
    signing = ("-CA", ours / "ca.crt", "-CAkey", ours / "ca.key", "-CAcreateserial", "-extfile", extensions)
    _made(keys / f"{identity.name}.crt", "x509", "-req", "-in", request, *signing, "-days", _DAYS)
    request.unlink()
    extensions.unlink()


def _key(path: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    path.chmod(0o600)


def _made(path: Path, *arguments: str | Path) -> None:
    """Have openssl write a file, all or nothing."""
    partial = path.with_suffix(".partial")
    _openssl(*arguments, "-out", partial)
    partial.replace(path)


def _openssl(*arguments: str | Path) -> None:
    command = ["openssl", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if answer.returncode:
        raise PartFailed(f"openssl {arguments[0]}: {answer.stderr.strip()[-500:]}")
