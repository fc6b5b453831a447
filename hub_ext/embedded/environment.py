"""What `hub-ext up` tells the Hub that it starts, in one variable of the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

_VARIABLE = "HUB_EXT_UP"


@dataclass(frozen=True)
class HubEnvironment:
    """Ports and secrets of one platform.

    Attributes:
        port: The public port.
        hub_ip: The address that the Hub listens on: this machine's own, or one that pods reach.
        hub_port: The Hub's own.
        proxy_port: The proxy's, for its API.
        proxy_password: Opens the proxy's API.
        password_hash: Hash of the password that people sign in with.
        cookie_suffix: Keeps the cookies of two platforms on one machine apart.
    """

    port: int
    hub_ip: str
    hub_port: int
    proxy_port: int
    proxy_password: str
    password_hash: str
    cookie_suffix: str

    def as_environment(self) -> dict[str, str]:
        """Return it as variables of the environment."""
        return {_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> HubEnvironment:
        """Return what the environment holds.

        Raises:
            KeyError: If this Hub was not started by `hub-ext up`.
        """
        return cls(**json.loads(environ[_VARIABLE]))
