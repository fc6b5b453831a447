"""The kernel: a process that is started before anything heavy is imported, so that both boot at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import IO, Any

from .folder import MARKER, Folder
from .masking import Masker
from .processes import die_with_parent, prefer_for_memory_kill
from .spec import LaunchSpec

_CHANNELS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
_LONGEST_SOCKET = 100  # of the 107 characters that the address of a local socket may have
_LONGEST_TEMPORARY = 60  # libraries put sockets of their own there
_LAST_WORDS = 4000


class Kernel:
    """A kernel's process and where it listens.

    Args:
        folder: The launch folder.
        spec: Its command and environment.
        secret_values: Values of secret parameters, by environment variable; they go nowhere else.
    """

    def __init__(self, folder: Folder, spec: LaunchSpec, secret_values: dict[str, str]) -> None:
        self.connection = _connection(folder.root)
        connection_file = folder.root / "kernel.json"
        connection_file.touch(mode=0o600)
        connection_file.write_text(json.dumps(self.connection), encoding="ascii")
        _copy_fonts(spec.font_cache, folder.home)
        command = [part.replace("{connection_file}", str(connection_file)) for part in spec.kernel]
        self.process = subprocess.Popen(  # noqa: S603  # the command is ours
            command,
            cwd=folder.work,
            env=_environment(folder, spec, secret_values),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # no other thread has been started yet
        )
        prefer_for_memory_kill(self.process.pid)
        self._tail: deque[bytes] = deque()
        if self.process.stdout is not None:
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        size = 0
        while chunk := stream.read1(65536):  # type: ignore[attr-defined]  # a pipe is a BufferedReader
            self._tail.append(chunk[-_LAST_WORDS:])
            size += len(self._tail[-1])
            while size - len(self._tail[0]) >= _LAST_WORDS:
                size -= len(self._tail.popleft())

    def last_words(self, masker: Masker) -> str:
        """Return the end of what the process itself wrote (a crash of the interpreter), without secrets."""
        text = b"".join(self._tail).decode(errors="replace")
        return masker.text(text)[-_LAST_WORDS:].strip()

    def alive(self) -> bool:
        """Return whether it has not ended."""
        return self.process.poll() is None

    def interrupt(self) -> None:
        """Interrupt what it does, as Ctrl-C would."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, and return whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def how_it_ended(self, *, ready: bool) -> str:
        """Return in words how it ended.

        Args:
            ready: Whether it had answered before, so that the notebook may have ended it.
        """
        code = self.process.poll()
        if code is None:
            return "the kernel does not answer"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the kernel was ended by signal {-code} ({signal.Signals(-code).name})"
            return f"the kernel was ended by signal {-code}"
        who = "the notebook ended its own process" if ready else "the kernel ended while it started,"
        return f"{who} with exit code {code}"


def _connection(root: Path) -> dict[str, Any]:
    base = root / "k"
    found: dict[str, Any] = {"key": secrets.token_hex(32), "signature_scheme": "hmac-sha256", "kernel_name": ""}
    numbered = {name: number for number, name in enumerate(_CHANNELS, 1)}
    if len(str(base)) + 2 <= _LONGEST_SOCKET:
        return found | {"transport": "ipc", "ip": str(base)} | numbered
    if platform.system() == "Linux":  # an abstract address has no path; the key keeps strangers out, as with a port
        return found | {"transport": "ipc", "ip": f"@hub-ext-{secrets.token_hex(8)}"} | numbered
    return found | {"transport": "tcp", "ip": "127.0.0.1"} | dict(zip(_CHANNELS, _free_ports(), strict=True))


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in _CHANNELS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _environment(folder: Folder, spec: LaunchSpec, secret_values: dict[str, str]) -> dict[str, str]:
    own = {
        MARKER: folder.launch_id,
        "HOME": str(folder.home),
        "MPLCONFIGDIR": str(folder.home / ".matplotlib"),
        "JPY_PARENT_PID": str(os.getpid()),  # it ends itself should this process end
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if len(str(folder.temporary)) <= _LONGEST_TEMPORARY:
        own["TMPDIR"] = str(folder.temporary)
    asked = {name: value for name, value in secret_values.items() if name in spec.secrets}
    return {**spec.environment, **own, **asked}


def _copy_fonts(cache: str, home: Path) -> None:
    """Give matplotlib a copy of its font list: a shared one could be changed by any run."""
    found = list(Path(cache).glob("fontlist-*.json")) if cache else []
    if found:
        target = home / ".matplotlib"
        target.mkdir(exist_ok=True)
        for source in found:
            shutil.copyfile(source, target / source.name)
