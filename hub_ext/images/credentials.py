"""Names and passwords of registries, from a file as `docker login` and `buildah login` write it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub_ext.errors import InvalidInput

_LARGEST = 256 * 1024  # bytes


@dataclass(frozen=True)
class Credentials:
    """What each registry is asked with.

    Attributes:
        known: Host → ``name:password``.
    """

    known: Mapping[str, str] = field(repr=False)

    def basic(self, host: str) -> str:
        """Return the value of a header, empty where nothing is known of a host."""
        found = self.known.get(host)
        return "" if found is None else f"Basic {base64.b64encode(found.encode()).decode()}"

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """Read a file.

        Raises:
            InvalidInput: If it cannot be read; what stands in it is not told.
        """
        try:
            content = path.read_bytes()[: _LARGEST + 1]
            hosts: dict[str, dict[str, str]] = json.loads(content)["auths"] if len(content) <= _LARGEST else {}
            return cls({str(host): _pair(entry) for host, entry in hosts.items() if entry.get("auth")})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            message = "is no file with the passwords of registries, as `docker login` writes it"
            raise InvalidInput.of("registry_auth_file", message) from None


def _pair(entry: Mapping[str, str]) -> str:
    try:
        found = base64.b64decode(entry["auth"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError from error
    if ":" not in found or not found.isprintable():
        raise ValueError
    return found
