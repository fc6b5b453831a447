"""Which commits of which repository are meant: checked before git ever sees a word of it. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from hub_ext.settings import HubExt

_LONGEST = 500  # characters of an address, a ref or a folder
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOT_IN_REFS = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|\.lock(?:/|$)|(?:^|/)\.|\.$|/$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def wrong_address(text: str) -> str:
    """Return what is wrong with the address of a repository, empty for nothing; never a word of the address.

    Args:
        text: The address.
    """
    kinds = "must be https://…, file:///… or an absolute path"
    if len(text) > _LONGEST or _CONTROL.search(text):
        return f"must be at most {_LONGEST} characters, and none of them a control character"
    if text.startswith("/"):
        return ""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return kinds
    if parts.scheme == "file":
        return "" if not parts.netloc and parts.path.startswith("/") else kinds
    if parts.scheme != "https" or not host:
        return kinds
    if "@" in parts.netloc:
        return "must not hold a name or a password: profiles_credentials_file names a file with them"
    if "?" in text or "#" in text or " " in text or "\\" in text:
        return "must be a plain address, without ? and #, spaces and backslashes"
    return ""


def wrong_ref(text: str) -> str:
    """Return what is wrong with the name of a branch or tag, or the id of a commit; empty for nothing.

    Args:
        text: The name.
    """
    if not text or len(text) > _LONGEST or text.startswith(("-", "/")) or _NOT_IN_REFS.search(text) or text == "@":
        return "must be a branch, a tag or a whole commit id, as git allows them"
    return ""


def wrong_folder(text: str) -> str:
    """Return what is wrong with a folder inside a repository, empty for nothing.

    Args:
        text: The folder.
    """
    parts = text.split("/")
    if len(text) > _LONGEST or _CONTROL.search(text) or any(part in ("", ".", "..") for part in parts):
        return "must be a folder inside the repository, such as platform/profiles"
    return ""


@dataclass(frozen=True)
class Source:
    """What profiles are taken from.

    Attributes:
        address: The repository.
        ref: Branch, tag or commit.
        folder: Folder inside it; empty for all of it.
        credentials: File with what opens it, None for nothing.
        authorities: File with the certificates that vouch for its host, None for those of the machine.
    """

    address: str
    ref: str
    folder: str = ""
    credentials: Path | None = None
    authorities: Path | None = None

    @classmethod
    def of(cls, settings: HubExt) -> Source | None:
        """Return the source that settings name, None where profiles come from a folder.

        Args:
            settings: The settings.
        """
        if not settings.profiles_repository:
            return None
        credentials, authorities = str(settings.profiles_credentials_file), str(settings.profiles_ca_file)
        return cls(
            str(settings.profiles_repository),
            str(settings.profiles_ref),
            str(settings.profiles_folder),
            Path(credentials) if credentials else None,
            Path(authorities).absolute() if authorities else None,
        )

    @property
    def id(self) -> str:
        """What tells this source from others: where files come from, and not how it is opened."""
        return hashlib.sha256("\0".join((self.address, self.ref, self.folder)).encode()).hexdigest()

    @property
    def is_remote(self) -> bool:
        """Whether it is asked by https."""
        return self.address.startswith("https:")

    @property
    def host(self) -> str:
        """Host and port of one that is asked by https, as its address has them."""
        return urlsplit(self.address).netloc

    @property
    def commit(self) -> str:
        """The commit, where the ref is one; else empty."""
        return self.ref if _COMMIT.fullmatch(self.ref) else ""

    @property
    def refs(self) -> tuple[str, ...]:
        """Full names that the ref may stand for."""
        if self.ref.startswith(("refs/heads/", "refs/tags/")):
            return (self.ref,)
        return (f"refs/heads/{self.ref}", f"refs/tags/{self.ref}")
