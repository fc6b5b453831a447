"""`python -m tests.functional.oidc HUB`: a provider to try the sign-in of a cluster with, until Ctrl-C.

It is behind TLS by the cluster's own authority, at the address that pods reach this machine by. What the chart needs to
know of it is in a file for a shell to read: `provider`, in the cluster's folder.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster import certificates, environment
from tests.cluster.layout import Layout
from tests.functional.oidc.provider import SECRET, OidcProvider, Tls

# Who may sign in, with any password: name=group,group.
PEOPLE = ("ana=analysts", "clara=analysts,hub-ext-curators", "rene=analysts,hub-ext-reviewers")


def main(arguments: list[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.functional.oidc", description=__doc__)
    parser.add_argument("hub", help="address of the platform")
    parser.add_argument("--person", action="append", help="name=group,group; any password will do")
    parser.add_argument("--file", type=Path, help="where it says what the chart needs to know")
    asked = parser.parse_args(arguments)
    layout, ended = Layout.chosen(), list[int]()
    told = asked.file or layout.folder / "provider"
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.append(number))
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        host = layout.addresses.host
        tls = Tls(host, *certificates.serving(layout.keys, "provider", host, Path(work)))
        provider = OidcProvider(Path(work) / "provider", asked.hub.rstrip("/"), tls)
        stack.callback(provider.close)
        for one in asked.person or PEOPLE:
            name, _, groups = one.partition("=")
            provider.person(name, name, groups.split(","))
        told.write_text(environment.render({"ISSUER": provider.issuer, "CLIENT_SECRET": SECRET}))
        stack.callback(told.unlink, missing_ok=True)
        print(f"The provider is at {provider.issuer}; people: {' '.join(asked.person or PEOPLE)}", flush=True)
        while not ended:  # an event would be a lock, which a second signal would wait for in the middle of the first
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
