"""The token of a run: what its executor shows the service, good for that one launch while its run is active."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from hub_ext.keys import secret_key

_PURPOSE = b"run token: "


class RunTokens:
    """Makes and checks tokens; none is kept anywhere, since each follows from the key and the launch id.

    Args:
        state: The state folder; replicas of the service share its keys.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "keys" / "run-tokens"
        self._key: bytes | None = None

    def token(self, launch_id: str) -> str:
        """Return the token of a launch."""
        if self._key is None:
            self._key = secret_key(self._path)
        made = hmac.new(self._key, _PURPOSE + launch_id.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def is_of(self, token: str, launch_id: str) -> bool:
        """Return whether a token is that of a launch; how long that takes tells nothing."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token(launch_id).encode())
