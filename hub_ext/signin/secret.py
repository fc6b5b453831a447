"""The secret that the provider gave this platform: in no setting, nor in the environment of what the Hub starts."""

from __future__ import annotations

import os
from pathlib import Path

from hub_ext.errors import InvalidInput
from hub_ext.settings import HubExt

VARIABLE = "HUB_EXT_SIGN_IN_CLIENT_SECRET"

_taken: dict[str, str] = {}


def take_from_environment() -> None:
    """Keep the secret in memory, so that nothing that this process starts finds it in its environment."""
    value = os.environ.pop(VARIABLE, "")
    if value:
        _taken[VARIABLE] = value


def read(settings: HubExt) -> str:
    """Return the secret.

    Args:
        settings: Says in which file it is.

    Raises:
        InvalidInput: If there is none; the message names the setting, and holds nothing of a file.
    """
    field = "sign_in_client_secret_file"
    if settings.sign_in_client_secret_file:
        try:
            found = Path(settings.sign_in_client_secret_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput.of(field, f"cannot be read ({type(error).__name__})") from None
    else:
        take_from_environment()
        found = _taken.get(VARIABLE, "")
    if not found or not found.isprintable():
        raise InvalidInput.of(field, f"holds no secret; {VARIABLE} in the Hub's environment is the other way")
    return found
