"""Whether network policies are held: what is closed is tried."""

from __future__ import annotations

import socket

from hub_ext.doctor import network


def test_a_network_that_holds_none_is_found_by_reaching_what_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        found = network.closed(address)
    assert (found.what, found.state) == ("network policies", "warn")
    assert address in found.detail
    assert "network plugin" in found.advice


def test_one_that_holds_them_lets_nobody_there() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # nobody listens: as good as what a policy stops
        found = network.closed(f"127.0.0.1:{unheard.getsockname()[1]}")
    assert found.state == "ok"


def test_a_name_that_nobody_knows_says_nothing_of_the_network() -> None:
    found = network.closed("no-such-part.invalid:8001")
    assert (found.state, "could not be tried" in found.detail) == ("warn", True)
