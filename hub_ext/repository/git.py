"""The `git` program, alone with its task: nothing of this machine's configuration, no hooks, no questions, bounded.

It gets an environment of its own. What opens a repository is in that environment, for git's children alone: never in an
argument, and never in what is told of an error.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub_ext.catalog.documents import FileProblem
from hub_ext.repository.address import Source

LARGEST = 64 * 2**20  # bytes of a file that git may write: a pack, or an answer
LONGEST = 60.0  # seconds for everything that one sync asks git
_LARGEST_SECRET = 8 * 1024
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
_ALWAYS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.bigFileThreshold": "1m",  # a blob that is larger is streamed, and not held in memory
    "pack.threads": "1",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "protocol.version": "2",
    "transfer.bundleURI": "false",
    "log.showSignature": "false",
    "http.followRedirects": "false",  # or what opens one host might reach another
    "http.sslVerify": "true",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "credential.helper": "",
}
# Says what opens the repository to git, which asks no other host's.
_HELPER = """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$HUB_EXT_NAME" "$HUB_EXT_WORD"; }; f"""
_LIMITED = 'ulimit -f "$1" && shift && exec timeout --signal=KILL "$@"'

# What git or curl say → what people are told.
_WORDS = (
    (r"could not read (?:Username|Password)|Authentication failed|error: 40[13]\b", "It does not let us in: {opens}."),
    (r"Could not resolve (?:host|proxy)", "The name of its host is not known here."),
    (r"certificate", "Its certificate is none that this machine trusts; profiles_ca_file names others."),
    (r"Failed to connect|Couldn't connect|Connection|timed out|too slow", "It does not answer."),
    (r"dubious ownership", "It belongs to another user of this machine, so git does not read it."),
    (r"No space left|Disk quota", "The disk of the state folder is full."),
    (r"File too large|signal 25|File size limit", f"It is larger than {LARGEST // 2**20} MiB."),
    (r"redirect", "It has moved: redirects are not followed."),
    (r"not found|does not exist|not appear to be a git|error: 404", "There is no git repository that we may see."),
    (r"not our ref|couldn't find remote ref", "There is no such branch, tag or commit in it."),
)


class Trouble(Exception):
    """Why no commit could be taken.

    Args:
        kind: ``away`` (it does not answer as it should), ``broken`` (what is in it cannot be taken) or ``rewritten``
            (the commit in force is none of its ancestors).
        words: What people are told.
        commit: The commit that was not taken, where one was found.
        problems: What is wrong with files.
    """

    def __init__(self, kind: str, words: str, commit: str = "", problems: Iterable[FileProblem] = ()) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.commit = commit
        self.problems = tuple(problems)


class GitSays(Exception):
    """Git ended with an error.

    Args:
        code: Its exit code.
        text: What it wrote, without what opens the repository.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def trouble(self, source: Source) -> Trouble:
        """Return it as what people are told.

        Args:
            source: The repository.
        """
        if source.credentials is None:
            opens = "profiles_credentials_file is not set"
        else:
            opens = "what profiles_credentials_file holds is not accepted"
        for pattern, words in _WORDS:
            if re.search(pattern, self.text):
                return Trouble("away", words.format(opens=opens))
        lines = [line for line in self.text.splitlines() if line.startswith(("fatal:", "error:"))]
        last = "".join(one if one.isprintable() else " " for one in (lines[-1] if lines else self.text))
        return Trouble("away", f"git cannot read it: {last.strip()[:200] or f'it ended with {self.code}'}")


@dataclass(frozen=True)
class Secret:
    """What opens a repository.

    Attributes:
        name: A name; hosts that take tokens look at none.
        word: A password or a token.
    """

    name: str = field(repr=False)
    word: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Secret:
        """Read it from a file.

        Args:
            path: Holds ``name:password``, or a token alone, in one line.

        Raises:
            Trouble: If it does not; what stands in it is not told.
        """
        text = ""
        with contextlib.suppress(OSError, UnicodeDecodeError), path.open("rb") as stream:
            text = stream.read(_LARGEST_SECRET).decode().strip()
        name, colon, word = text.partition(":")
        if not text or not text.isprintable() or (colon and not word):
            message = "profiles_credentials_file is no file with one line, `name:password` or a token, that can be read"
            raise Trouble("away", f"{message}.")
        return cls(name, word) if colon else cls("git", text)


class Git:
    """Runs git in a folder that is thrown away afterwards.

    Args:
        folder: The folder; git's own is `repository` in it.
        source: The repository that is asked.

    Raises:
        Trouble: If there is no git on this machine, or what opens the repository cannot be read.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        if shutil.which("git") is None:
            raise Trouble("away", "The program git is missing on this machine (Debian: apt-get install git).")
        self._folder = folder
        self._source = source
        self._secret = Secret.read(source.credentials) if source.credentials and source.is_remote else None
        self._deadline = time.monotonic() + LONGEST
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        """Return everything that git gets to know."""
        settings = dict(_ALWAYS)
        found = {name: os.environ[name] for name in ("PATH", *_PROXIES) if name in os.environ}
        found |= {
            "LC_ALL": "C",
            "HOME": str(self._folder),
            "GIT_DIR": str(self._folder / "repository"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "https" if self._source.is_remote else "file",
        }
        if self._source.authorities is not None:
            settings["http.sslCAInfo"] = str(self._source.authorities)
        if self._secret is not None:
            settings[f"credential.https://{self._source.host}.helper"] = _HELPER
            found |= {"HUB_EXT_NAME": self._secret.name, "HUB_EXT_WORD": self._secret.word}
        return found | _numbered(settings)

    def run(self, *arguments: str, asked: bytes = b"") -> bytes:
        """Run git and return what it answers.

        Args:
            arguments: Its arguments.
            asked: What it reads.

        Raises:
            GitSays: If it ends with an error.
            Trouble: If it takes too long.
        """
        left = self._deadline - time.monotonic()
        if left <= 0 or self._stopped.is_set():
            raise self._late()
        said, told, given = (self._folder / name for name in ("said", "told", "asked"))
        given.write_bytes(asked)
        command = ["sh", "-c", _LIMITED, "sh", str(LARGEST // 512), str(int(left) + 1), "git", *arguments]
        with given.open("rb") as stdin, said.open("wb") as stdout, told.open("wb") as stderr:
            # Files, and not pipes: their size is bounded as well.
            self._process = subprocess.Popen(  # noqa: S603  # what people set passed `address.py`
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=self._folder,
                env=self.environment(),
                start_new_session=True,
            )
            try:
                code = self._process.wait(left)
            except subprocess.TimeoutExpired:
                code = -signal.SIGKILL
            finally:
                self._kill()
        if time.monotonic() >= self._deadline or self._stopped.is_set():
            raise self._late()
        if code != 0:
            raise GitSays(code, self._without_secret(told.read_bytes()[-4000:].decode(errors="replace")))
        return said.read_bytes()

    def _late(self) -> Trouble:
        if self._stopped.is_set():
            return Trouble("stopped", "The service ends.")
        return Trouble("away", f"It took more than {LONGEST:.0f} seconds.")

    def _without_secret(self, text: str) -> str:
        text = text.replace(self._secret.word, "•••") if self._secret else text
        return text.replace(str(self._folder), "").replace("\0", "")

    def _kill(self) -> None:
        """End git and its children, where it has not ended by itself."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End at once, and do nothing more; may be called in any thread."""
        self._stopped.set()
        self._kill()


def _numbered(settings: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration as variables of the environment: arguments are seen by everybody on the machine."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
