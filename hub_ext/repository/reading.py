"""A commit of a repository, read from git's objects: no checkout, no links, nothing but plain files of bounded size."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub_ext.catalog.documents import LARGEST, FileProblem
from hub_ext.repository.address import Source
from hub_ext.repository.git import Git, GitSays, Trouble

MOST_FILES = 20_000
MOST_BYTES = 32 * 2**20
_MOST_ENTRIES = 100_000
_FETCHED, _HELD = "refs/sync/fetched", "refs/sync/held"
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force")

# What the catalog reads of a profiles folder.
_WANTED = re.compile(r"[^/_.][^/]*/[^/]*\.yaml|_policy/[^/]*\.yaml|_enclaves/[^/]*\.(?:yaml|images\.lock)")
_PLAIN = ("100644", "100755")
_KINDS = {"120000": "is a link", "160000": "is a submodule"}


@dataclass(frozen=True)
class Commit:
    """A commit with the files of its profiles folder.

    Attributes:
        id: Its id.
        author: Who wrote it, as git says it: anybody may write anything there.
        at: When it was made, as git says it.
        files: Path in the folder → text.
    """

    id: str
    author: str
    at: datetime | None
    files: Mapping[str, str]


@contextlib.contextmanager
def working(root: Path) -> Iterator[Path]:
    """Make a folder to work in, and throw it away afterwards.

    Args:
        root: Where; what a process that was killed left there is swept by `sweep`.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=".fetching-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Reader:
    """Reads the newest commit of a source.

    Args:
        git: Git, in an empty folder.
        source: The source.
    """

    def __init__(self, git: Git, source: Source) -> None:
        self._git = git
        self._source = source

    def tip(self) -> tuple[str, str]:
        """Return what the ref stands for now: its full name (a commit's own id) and the id of the commit.

        Raises:
            Trouble: If the repository does not say.
        """
        if self._source.commit:
            return self._source.commit, self._source.commit
        wanted = self._source.refs
        lines = self._asked("ls-remote", "--quiet", self._source.address, *wanted, *(f"{one}^{{}}" for one in wanted))
        found = dict(line.split("\t")[::-1] for line in lines.decode(errors="replace").splitlines() if "\t" in line)
        there = [name for name in wanted if name in found]
        if len(there) > 1:
            words = f"{self._source.ref} is a branch and a tag: say refs/heads/… or refs/tags/… in profiles_ref."
            raise Trouble("away", words)
        if not there:
            raise Trouble("away", f"There is no branch and no tag {self._source.ref} in it.")
        return there[0], found.get(f"{there[0]}^{{}}", found[there[0]])

    def read(self, ref: str, tip: str, held: str = "") -> Commit:
        """Fetch a commit, and read it.

        Args:
            ref: As `tip` says it.
            tip: As `tip` says it.
            held: The commit in force: what follows must be made on top of it. Empty: anything may follow.

        Raises:
            Trouble: If it cannot be had, is not made on top of the one in force, or holds what is not taken.
        """
        kind = "sha256" if len(tip) == 64 else "sha1"
        self._asked("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        known = bool(held) and self._fetch_held(held)
        depth = () if known else ("--depth=1",)
        self._asked(*_FETCH, *depth, self._source.address, f"{ref}:{_FETCHED}")
        about = self._asked("log", "-1", "--format=%H%x00%an <%ae>%x00%ct", _FETCHED).decode(errors="replace")
        commit, author, at = about.strip("\n").split("\0")
        if held and not (known and self._is_on_top(held)):
            words = (
                f"Its history was written anew: {commit[:12]} is not made on top of {held[:12]}, which is in force. "
                "A curator can take it all the same."
            )
            raise Trouble("rewritten", words, commit)
        try:
            files = self._files(commit)
        except Trouble as trouble:
            trouble.commit = commit
            raise
        return Commit(commit, _plain(author), _time(at), files)

    def _fetch_held(self, held: str) -> bool:
        try:
            self._git.run(*_FETCH, "--depth=1", self._source.address, f"{held}:{_HELD}")
        except GitSays:
            return False  # it is gone from there, or the repository does not answer, which the next question tells
        return True

    def _is_on_top(self, held: str) -> bool:
        try:
            self._git.run("merge-base", "--is-ancestor", held, _FETCHED)
        except GitSays as said:
            if said.code == 1:
                return False
            raise said.trouble(self._source) from None
        return True

    def _asked(self, *arguments: str) -> bytes:
        try:
            return self._git.run(*arguments)
        except GitSays as said:
            raise said.trouble(self._source) from None

    def _files(self, commit: str) -> dict[str, str]:
        """Return the files of a commit that the catalog reads."""
        try:
            listing = self._git.run("ls-tree", "-r", "-z", "-l", "--full-tree", f"{commit}:{self._source.folder}")
        except GitSays:
            raise Trouble("broken", f"There is no folder {self._source.folder} in it.") from None
        wanted, problems, size = dict[str, str](), list[FileProblem](), 0
        entries = listing.split(b"\0")[:-1]
        if len(entries) > _MOST_ENTRIES:
            raise Trouble("broken", f"It holds more than {_MOST_ENTRIES} files.")
        for entry in entries:
            about, _, name = entry.partition(b"\t")
            mode, _, found, long = about.decode().split()
            path = name.decode(errors="replace")
            wrong = _wrong(path, name, mode, long)
            if wrong:
                problems.append(FileProblem(_plain(path), wrong))
            elif _WANTED.fullmatch(path):
                wanted[path] = found
                size += int(long)
        if problems:
            raise Trouble("broken", "It holds what is not taken.", problems=problems)
        if len(wanted) > MOST_FILES or size > MOST_BYTES:
            raise Trouble("broken", f"It holds more than {MOST_FILES} files, or {MOST_BYTES // 2**20} MiB.")
        return self._contents(wanted)

    def _contents(self, wanted: Mapping[str, str]) -> dict[str, str]:
        try:
            answer = self._git.run("cat-file", "--batch", asked="".join(f"{one}\n" for one in wanted.values()).encode())
        except GitSays as said:
            raise said.trouble(self._source) from None
        files, at = dict[str, str](), 0
        for path in wanted:
            end = answer.index(b"\n", at)
            size = int(answer[at:end].rpartition(b" ")[2])
            try:
                files[path] = answer[end + 1 : end + 1 + size].decode()
            except UnicodeDecodeError:
                problem = FileProblem(path, "is not text in UTF-8")
                raise Trouble("broken", "A file cannot be read.", problems=[problem]) from None
            at = end + 1 + size + 1
        return files


def _wrong(path: str, name: bytes, mode: str, size: str) -> str:
    """Return why an entry of a tree is not taken, empty for what is."""
    if mode not in _PLAIN:
        return f"{_KINDS.get(mode, 'is no plain file')}, and only plain files are taken"
    if path.encode(errors="replace") != name or not path.isprintable():
        return "has a name that is not plain text in UTF-8"
    if any(part in ("", ".", "..") or len(part.encode()) > 255 for part in path.split("/")):
        return "has a name that no file can have"
    if _WANTED.fullmatch(path) and int(size) > LARGEST:
        return f"is larger than {LARGEST // 1024} KiB"
    return ""


def _plain(text: str) -> str:
    """Return a text that anybody may have written as one line that can be shown."""
    return "".join(one if one.isprintable() else "�" for one in text)[:200]


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None
