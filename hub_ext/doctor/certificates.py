"""Certificates of everything that is reached behind TLS: whether each is believed, and when it ends."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from hub_ext.doctor.finding import Finding, ok
from hub_ext.settings import HubExt

_WITHIN = 10.0  # seconds
_SOON = 21.0  # days
_DAY = 86_400.0  # seconds


def look(url: str, settings: HubExt) -> Iterator[Finding]:
    """Look at the certificate of each address that begins with https://.

    Args:
        url: The public address; empty: it is not looked at.
        settings: Name the others, and the authorities that vouch for them.
    """
    places = (
        ("the platform", url, ""),
        ("the sign-in provider", settings.sign_in_issuer, settings.sign_in_ca_file),
        ("the result store", settings.results_endpoint, settings.results_ca_file),
        ("the repository of profiles", settings.profiles_repository, settings.profiles_ca_file),
    )
    for whose, address, authorities in places:
        if str(address).startswith("https://"):
            yield _certificate(f"certificate of {whose}", str(address), str(authorities))


def _certificate(what: str, address: str, authorities: str) -> Finding:
    try:
        days = (_end_of(address, authorities) - time.time()) / _DAY
    except ssl.SSLCertVerificationError as error:
        advice = "Renew it, or name the authority that vouches for it (sign_in_ca_file, results_ca_file, …)."
        return Finding(what, "fail", f"is not believed: {error.verify_message}", advice)
    except (OSError, ValueError):
        return Finding(
            what, "fail", f"{_place(address)} does not answer", "Is the address right, and reached from here?"
        )
    if days < _SOON:
        return Finding(what, "warn", f"ends in {days:.0f} days", "Renew it: nobody gets through once it has ended.")
    return ok(what, f"good for {days:.0f} more days")


def _place(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or 443}"


def _end_of(address: str, authorities: str) -> float:
    """Return when a certificate ends, in seconds since 1970, once it is believed."""
    trust = ssl.create_default_context()
    if authorities:
        trust.load_verify_locations(authorities)
    parts = urlsplit(address)
    host = parts.hostname or ""
    with (
        socket.create_connection((host, parts.port or 443), timeout=_WITHIN) as plain,
        trust.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        found = wrapped.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))
