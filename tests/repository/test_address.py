"""What a repository, a ref and a folder may be called, before git sees a word of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_ext.repository.address import Source, wrong_address, wrong_folder, wrong_ref
from hub_ext.settings import HubExt


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.org/platform/profiles.git",
        "https://git.example.org:8443/p",
        "file:///srv/p.git",
        "/srv/a b",
    ],
)
def test_a_repository_is_asked_by_https_or_is_on_this_machine(address: str) -> None:
    assert wrong_address(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "http://git.example.org/p",
        "ssh://git@git.example.org/p",
        "git@git.example.org:p",
        "ext::sh -c touch% /tmp/x",
        "git://git.example.org/p",
        "--upload-pack=touch /tmp/x",
        "profiles",
        "../profiles",
        "file://host/p",
        "file:p",
        "https://",
        "https:///p",
        "https://git.example.org:many/p",
        "https://git.example.org/p?token=x",
        "https://git.example.org/p#x",
        "https://git.example.org/a b",
        "https://[git/p",
        "/srv/p\n",
        "/" + "x" * 500,
    ],
)
def test_any_other_address_is_refused(address: str) -> None:
    assert wrong_address(address).startswith("must ")


@pytest.mark.parametrize("address", ["https://cleo:hunter2@git.example.org/p", "https://hunter2@git.example.org/p"])
def test_a_password_in_the_address_is_refused_without_a_word_of_it(address: str) -> None:
    wrong = wrong_address(address)
    assert "profiles_credentials_file" in wrong
    assert "hunter2" not in wrong


@pytest.mark.parametrize("ref", ["main", "v1.0", "release/2026", "refs/tags/v1", "größe", "a" * 40, "feature-x@2"])
def test_a_ref_is_a_branch_a_tag_or_a_commit(ref: str) -> None:
    assert wrong_ref(ref) == ""


@pytest.mark.parametrize(
    "ref",
    ["", "-x", "--upload-pack=x", "/x", "x/", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "@", "@{1}",
     "x.lock", "x.lock/y", ".x", "a/.b", "x.", "a//b", "a\x00b", "a\nb", "a\x7f", "x" * 501],
)  # fmt: skip
def test_an_odd_ref_is_refused(ref: str) -> None:
    assert wrong_ref(ref)


@pytest.mark.parametrize("folder", ["profiles", "platform/profiles", "größe/a b", "-x"])
def test_a_folder_is_inside_the_repository(folder: str) -> None:
    assert wrong_folder(folder) == ""


@pytest.mark.parametrize("folder", ["", "/etc", "..", "a/../b", "./a", "a//b", "a/", "a\x00", "x" * 501])
def test_a_folder_elsewhere_is_refused(folder: str) -> None:
    assert wrong_folder(folder)


def test_a_source_is_where_files_come_from_and_not_how_it_is_opened() -> None:
    one = Source("/srv/p", "main", "")
    assert one.id == Source("/srv/p", "main", "", Path("/run/token"), Path("/run/ca.pem")).id
    others = {Source("/srv/q", "main").id, Source("/srv/p", "next").id, Source("/srv/p", "main", "a").id}
    assert len(others | {one.id}) == 4
    assert (one.commit, Source("/srv/p", "a" * 40).commit) == ("", "a" * 40)


def test_without_a_repository_there_is_no_source() -> None:
    assert Source.of(HubExt()) is None
    made = Source.of(HubExt(profiles_repository="/srv/p", profiles_ref="v1", profiles_folder="a"))
    assert made == Source("/srv/p", "v1", "a")
