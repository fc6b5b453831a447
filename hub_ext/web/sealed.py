"""What a browser carries for us between two requests: sealed, so that it is read and written by this service alone.

Any replica opens what another one has sealed, since they share the key; none of them has to remember anything.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from hub_ext.keys import secret_key


class Sealed:
    """Seals and opens.

    Args:
        state: The state folder, which has the key.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "keys" / "sealed-in-browsers"
        self._fernet: Fernet | None = None

    def seal(self, content: dict[str, Any]) -> str:
        """Return something as text that only this service reads.

        Args:
            content: JSON.
        """
        return self._cipher().encrypt(json.dumps(content).encode()).decode("ascii")

    def open(self, text: str, seconds: int) -> dict[str, Any]:
        """Return what was sealed; nothing where that was longer ago, or somebody else did it.

        Args:
            text: From `seal`.
            seconds: How long it is good for.
        """
        try:
            found = json.loads(self._cipher().decrypt(text.encode(), ttl=seconds))
        except (InvalidToken, ValueError):  # a lone surrogate is no text that we made
            return {}
        return dict(found)

    def _cipher(self) -> Fernet:
        if self._fernet is None:
            self._fernet = Fernet(base64.urlsafe_b64encode(secret_key(self._path)))
        return self._fernet
