"""Waiting for databases: until they answer, within reason, and without a password in the output."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hub_ext.db.addresses import driver
from hub_ext.deployed.waiting import wait


def test_it_ends_at_once_where_all_answer(tmp_path: Path) -> None:
    assert wait({"HUB_EXT_DATABASE_URL": f"sqlite:///{tmp_path}/one.sqlite"}, 0) == 0


def test_it_gives_up_and_says_which_database_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"postgresql://hub:s3cret-word@127.0.0.1:{port}/s3cret-word"
    assert wait({"HUB_EXT_HUB_DATABASE_URL": url}, 0.5) == 1
    said = capsys.readouterr().err
    assert "HUB_EXT_HUB_DATABASE_URL" in said
    assert "s3cret-word" not in said


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_addresses_of_postgresql_get_the_driver_that_is_installed(scheme: str) -> None:
    assert driver(f"{scheme}://a:b%40c@host:1/x") == "postgresql+psycopg://a:b%40c@host:1/x"
    assert driver("postgresql+psycopg://host/x") == "postgresql+psycopg://host/x"
