"""What speaks S3, for the tests: a real server (versitygw, built from its Go module) over a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_ext.settings import HubExt

ACCESS = "hub-ext-tests"
SECRET = "a-secret-of-the-tests/with+signs"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
_START = 60.0  # seconds


class S3Server:
    """A server that runs, or ran.

    Args:
        folder: Of its own.
        host: The address that it listens at.
        tls: Files of its certificate and key, if it is behind TLS.

    Attributes:
        endpoint: Its address.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None) -> None:
        from tests.cluster.builds import S3

        self.root = folder / "buckets"
        self.root.mkdir(parents=True, exist_ok=True)
        self._program = S3.make(print) / "versitygw"
        self._folder, self._host, self._tls = folder, host, tls
        with socket.socket() as probe:
            probe.bind((host, 0))
            self._port = int(probe.getsockname()[1])
        self.endpoint = f"{'https' if tls else 'http'}://{host}:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        sidecar = self._folder / "sidecar"  # not every disk of a test keeps attributes of files
        sidecar.mkdir(exist_ok=True)
        command = [str(self._program), "--port", f"{self._host}:{self._port}", "--quiet"]
        if self._tls:
            command += ["--cert", str(self._tls[0]), "--key", str(self._tls[1])]
        command += ["posix", "--sidecar", str(sidecar), str(self.root)]
        env = {"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + _START
        while True:
            try:
                socket.create_connection((self._host, self._port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def bucket(self, name: str) -> str:
        """Have a bucket; return its address."""
        (self.root / name).mkdir(exist_ok=True)
        return f"s3://{name}"

    def settings(self, url: str, state: Path) -> HubExt:
        """Return settings whose result store is here."""
        return HubExt(state_dir=str(state), results_url=url, results_endpoint=self.endpoint)


@contextmanager
def s3_server(folder: Path, host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """Run a server."""
    if shutil.which("go") is None:
        pytest.skip("What speaks S3 is built by Go, which is not on the PATH.")
    found = S3Server(folder, host, tls)
    try:
        found.start()
        yield found
    finally:
        found.kill()
