"""What browsers carry for us is read and written by this platform alone, by any of its replicas, and for a while."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from hub_ext.web.hub import ServiceAuth, make_auth
from hub_ext.web.sealed import Sealed

NEXT = "/services/workflows/w/ann/rivers?n=1"


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path)


def auth(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> ServiceAuth:
    for name, value in (("API_URL", "http://127.0.0.1:1/hub/api"), ("API_TOKEN", "none"), ("CLIENT_ID", "service-x")):
        monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
    return make_auth(sealed)


def test_another_replica_opens_it_and_nobody_reads_it(sealed: Sealed, tmp_path: Path) -> None:
    text = sealed.seal({"token": "hunter2"})
    assert "hunter2" not in text
    assert Sealed(tmp_path).open(text, 60) == {"token": "hunter2"}


def test_another_platform_does_not(sealed: Sealed, tmp_path: Path) -> None:
    assert Sealed(tmp_path / "other").open(sealed.seal({"token": "x"}), 60) == {}


@pytest.mark.parametrize("text", ["", "x", "gAAAA", "\ud800", "é"])
def test_what_nobody_sealed_is_nothing(sealed: Sealed, text: str) -> None:
    assert sealed.open(text, 60) == {}


def test_it_is_good_for_a_while(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    text = sealed.seal({"token": "x"})
    monkeypatch.setattr("cryptography.fernet.time.time", lambda: 4_000_000_000.0)
    assert sealed.open(text, 60) == {}


def test_a_sign_in_that_one_replica_began_is_ended_by_another(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = auth(sealed, monkeypatch).generate_state(NEXT, code_verifier="v" * 43, cookie_name="one-of-two")
    other = auth(Sealed(tmp_path), monkeypatch)
    assert other.get_next_url(state) == NEXT
    assert other.get_code_verifier(state) == "v" * 43
    assert other.get_state_cookie_name(state) == "one-of-two"
    assert "v" * 43 not in state
    assert state != auth(sealed, monkeypatch).generate_state(NEXT)


def test_one_that_nobody_began_leads_nowhere(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    made = auth(sealed, monkeypatch)
    assert made.get_next_url("made-up") == made.base_url
    assert made.get_code_verifier("made-up") is None


def test_it_fits_a_cookie_and_an_address(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    made = auth(sealed, monkeypatch)
    for following in ("/" + "a" * 900, "/" + "a" * 1001, "/" + "ä" * 900):
        state = made.generate_state(following, code_verifier="v" * 128, cookie_name="c" * 60)
        assert len(quote(state)) * 4 / 3 < 3800
        assert made.get_next_url(state) == (following if following == "/" + "a" * 900 else made.base_url)
