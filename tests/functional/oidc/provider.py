"""The provider as the tests hold it: a process, and what can be changed of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.functional.oidc.installing import HERE, installed

SECRET = "s3cret-that-nobody-else/knows&it%"
CLIENT = "hub-ext"


@dataclass(frozen=True)
class Tls:
    """How a provider is reached from elsewhere.

    Attributes:
        host: Its address.
        certificate: File of its certificate.
        key: File of its key.
    """

    host: str
    certificate: Path
    key: Path


class OidcProvider:
    """A provider that runs.

    Args:
        folder: Of its own; it must not exist.
        hub: Address of the Hub that people are led back to.
        tls: For others than this machine.

    Attributes:
        issuer: Its address.
    """

    def __init__(self, folder: Path, hub: str, tls: Tls | None = None) -> None:
        folder.mkdir()
        shutil.copy(HERE / "provider.mjs", folder)
        (folder / "node_modules").symlink_to(installed())
        command = ["node", "provider.mjs", hub, SECRET]
        if tls is not None:
            command += [tls.host, str(tls.certificate), str(tls.key)]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.issuer = str(told["issuer"])
        self._http = httpx.Client(base_url=told["control"], trust_env=False, timeout=30)

    def do(self, act: str, **more: Any) -> Any:
        """Change something of the provider."""
        answer = self._http.post("/", json={"act": act, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def person(self, sub: str, name: str, groups: Sequence[str], **claims: Any) -> None:
        """Let an account exist, or change it."""
        self.do("people", people={sub: {"preferred_username": name, "groups": list(groups), **claims}})

    def remove(self, sub: str) -> None:
        """Let an account exist no more."""
        self.do("people", people={sub: None})

    @contextlib.contextmanager
    def changed(self, **values: Any) -> Iterator[None]:
        """Change its clock (`offset`, in seconds), whether it gives refresh tokens, or our secret, for a while."""
        usual = {"offset": 0, "refresh": True, "secret": SECRET}
        self.do("set", values=values)
        try:
            yield
        finally:
            self.do("set", values={name: usual[name] for name in values})

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Let nobody reach it."""
        self.do("down")
        try:
            yield
        finally:
            self.do("up")

    def close(self) -> None:
        """End it."""
        self._http.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
