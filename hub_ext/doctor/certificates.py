"""Certificates of everything that is reached behind TLS: whether each is believed, and when it ends."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from hub_ext.doctor.finding import Finding, ok
from hub_ext.settings import HubExt

_WITHIN = 10.0  # seconds
_SOON = 21.0  # days
_DAY = 86_400.0  # seconds
_OUTSIDE = (
    "Browsers may come another way: look from where they are (`hub-ext doctor --url …`), "
    "or open this one (networkPolicies.egress in the chart)."
)


@dataclass(frozen=True)
class Place:
    """Something behind TLS.

    Attributes:
        whose: What it is, in words.
        address: Where; it is not looked at unless it begins with https://.
        authorities: Files of those that vouch for it, beside the system's.
        inside: Host and port that lead to it from here where its own address does not.
        public: It is for browsers: that it is not reached from here is no fault.
    """

    whose: str
    address: str
    authorities: tuple[str, ...] = ()
    inside: str = ""
    public: bool = False


def look(url: str, settings: HubExt, *, public: str = "", proxy: str = "") -> Iterator[Finding]:
    """Look at the certificate of each address that begins with https://.

    Args:
        url: The address of the platform that is to be reached from here; empty: none is.
        settings: Name the others, and the authorities that vouch for them.
        public: The address that browsers use, where `url` is empty; it may lead nowhere from here.
        proxy: Host and port of the proxy, where that has the certificate itself.
    """
    files = (settings.sign_in_ca_file, settings.results_ca_file, settings.profiles_ca_file)
    ours = tuple(dict.fromkeys(str(one) for one in files if str(one)))
    places = (
        Place("the platform", url or public, ours, proxy, public=not url),
        Place("the sign-in provider", str(settings.sign_in_issuer), _named(settings.sign_in_ca_file)),
        Place("the result store", str(settings.results_endpoint), _named(settings.results_ca_file)),
        Place("the repository of profiles", str(settings.profiles_repository), _named(settings.profiles_ca_file)),
    )
    for place in places:
        if place.address.startswith("https://"):
            yield _certificate(place)


def _named(file: object) -> tuple[str, ...]:
    return (str(file),) if str(file) else ()


def _certificate(place: Place) -> Finding:
    what = f"certificate of {place.whose}"
    try:
        days = (_end(place) - time.time()) / _DAY
    except ssl.SSLCertVerificationError as error:
        advice = "Renew it, or name the authority that vouches for it (sign_in_ca_file, results_ca_file, …)."
        return Finding(what, "fail", f"is not believed: {error.verify_message}", advice)
    except (OSError, ValueError):
        host, port = _place(place.address)
        if place.public:
            return Finding(what, "warn", f"{host}:{port} does not answer from here, so it was not looked at", _OUTSIDE)
        return Finding(what, "fail", f"{host}:{port} does not answer", "Is the address right, and reached from here?")
    if days < _SOON:
        return Finding(what, "warn", f"ends in {days:.0f} days", "Renew it: nobody gets through once it has ended.")
    return ok(what, f"good for {days:.0f} more days")


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or 443


def _end(place: Place) -> float:
    """Return when a certificate ends, in seconds since 1970, once it is believed to be that of the address."""
    trust = ssl.create_default_context()
    for file in place.authorities:
        trust.load_verify_locations(file)
    host, port = _place(place.address)
    try:
        return _end_at((host, port), host, trust)
    except ssl.SSLCertVerificationError:
        raise
    except OSError:
        if not place.inside:
            raise
    inside, _, port_inside = place.inside.rpartition(":")
    return _end_at((inside, int(port_inside)), host, trust)


def _end_at(where: tuple[str, int], host: str, trust: ssl.SSLContext) -> float:
    with (
        socket.create_connection(where, timeout=_WITHIN) as plain,
        trust.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        found = wrapped.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))
