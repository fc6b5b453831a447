"""Files on a person's own server: her token goes there and nowhere else."""

from __future__ import annotations

import pytest

from hub_ext.errors import Unavailable
from hub_ext.web.pages.server_files import FilesClient, ServerFiles, public_origin

ASKED = "http://127.0.0.1:8000"


def test_the_hubs_own_setting_counts_whatever_was_asked() -> None:
    told = {"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/hub/"}
    assert public_origin("http://evil.example", embedded=False, environ=told) == "https://hub.example.org"


def test_the_embedded_default_is_on_this_machine() -> None:
    assert public_origin(ASKED, embedded=True, environ={}) == ASKED
    assert public_origin("http://[::1]:8000", embedded=True, environ={}) == "http://[::1]:8000"


@pytest.mark.parametrize(
    ("asked", "embedded"),
    [
        ("http://evil.example", True),
        ("http://127.0.0.1.evil.example", True),
        ("http://169.254.169.254", True),
        (ASKED, False),
    ],
)
def test_a_header_of_the_request_is_not_believed(asked: str, embedded: bool) -> None:
    with pytest.raises(Unavailable) as caught:
        public_origin(asked, embedded=embedded, environ={"JUPYTERHUB_PUBLIC_URL": ""})
    assert "upload" in caught.value.hint


def test_there_is_a_client_only_where_the_hub_made_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_EXT_FILES_CLIENT_ID", raising=False)
    assert FilesClient.from_environment("/services/workflows/") is None
    monkeypatch.setenv("HUB_EXT_FILES_CLIENT_ID", "service-files")
    monkeypatch.setenv("HUB_EXT_FILES_CLIENT_SECRET", "hunter2")
    client = FilesClient.from_environment("/services/workflows/")
    assert client is not None
    assert client.redirect == "/services/workflows/files/oauth_callback"
    link = client.authorize_link("/hub/", "a b")
    assert link.startswith("/hub/api/oauth2/authorize?client_id=service-files&")
    assert "state=a+b" in link
    assert "hunter2" not in link + repr(client)


def test_a_token_is_in_no_log() -> None:
    assert "hunter2" not in repr(ServerFiles(ASKED, "/user/ann/", "hunter2", 1))
