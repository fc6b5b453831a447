"""A commit is read from git's objects: plain files of bounded size, and nothing that a repository says is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub_ext.catalog.documents import LARGEST
from hub_ext.repository import git as git_module
from hub_ext.repository import reading
from hub_ext.repository.address import Source
from hub_ext.repository.git import Trouble
from tests.governance.conftest import profile_text
from tests.repository.conftest import Origin, read

MAPS = {"maps/1.yaml": profile_text()}


def refused(source: Source, root: Path, held: str = "") -> Trouble:
    with pytest.raises(Trouble) as caught:
        read(source, root, held)
    return caught.value


def test_the_files_that_the_catalog_reads_are_read_and_no_others(origin: Origin, tmp_path: Path) -> None:
    wanted = MAPS | {"_policy/ours.yaml": "a", "_enclaves/low.yaml": "b", "_enclaves/low.images.lock": "ü\r\n"}
    others = {"README.md": "x", ".github/1.yaml": "x", "maps/deep/1.yaml": "x", "maps/note.txt": "x", "top.yaml": "x"}
    commit = origin.commit({**wanted, **others, "_other/1.yaml": "x", "_policy/x.yml": "x", "Übersicht.md": "x"})
    found = read(origin.source(), tmp_path / "work")
    assert (found.id, dict(found.files)) == (commit, wanted)
    assert found.author == "Ann Ö. Author <ann@example.org>"
    assert found.at is not None
    assert list((tmp_path / "work").iterdir()) == []


def test_the_profiles_may_be_in_a_folder(origin: Origin, tmp_path: Path) -> None:
    origin.commit({"größe/a b/maps/1.yaml": "x", "maps/1.yaml": "y", "größe/link": "z"})
    assert dict(read(origin.source(folder="größe/a b"), tmp_path).files) == {"maps/1.yaml": "x"}
    trouble = refused(origin.source(folder="nowhere"), tmp_path)
    assert (trouble.kind, trouble.words) == ("broken", "There is no folder nowhere in it.")
    assert refused(origin.source(folder="maps/1.yaml"), tmp_path).kind == "broken"


def test_a_ref_is_a_branch_a_tag_or_a_commit(origin: Origin, tmp_path: Path) -> None:
    first = origin.commit(MAPS)
    origin.git("tag", "plain")
    origin.git("tag", "--annotate", "--message", "Said", "said")
    origin.git("branch", "größe/x")
    second = origin.commit({"more.txt": "x"})
    origin.git("tag", "both")
    origin.git("branch", "both", first)
    found = {
        ref: read(origin.source(ref), tmp_path).id for ref in ("plain", "said", "größe/x", first, "refs/tags/both")
    }
    assert found == {"plain": first, "said": first, "größe/x": first, first: first, "refs/tags/both": second}
    assert "is a branch and a tag" in refused(origin.source("both"), tmp_path).words
    assert refused(origin.source("ain"), tmp_path).words == "There is no branch and no tag ain in it."
    assert refused(origin.source("0" * 40), tmp_path).kind == "away"


def test_what_is_no_repository_or_has_nothing_in_it_is_told(origin: Origin, tmp_path: Path) -> None:
    assert refused(origin.source(), tmp_path).words == "There is no branch and no tag main in it."
    nowhere = refused(Source(str(tmp_path / "nowhere"), "main"), tmp_path)
    assert (nowhere.kind, nowhere.words) == ("away", "There is no git repository that we may see.")


def test_what_follows_must_be_made_on_top_of_what_is_in_force(origin: Origin, tmp_path: Path) -> None:
    held = origin.commit(MAPS)
    for number in range(5):
        origin.commit({f"{number}.txt": "x"})
    origin.git("checkout", "--quiet", "-b", "side", held)
    origin.commit({"side.txt": "x"})
    origin.git("checkout", "--quiet", "main")
    origin.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    merged = origin.git("rev-parse", "HEAD")
    assert read(origin.source(), tmp_path, held).id == merged
    origin.git("checkout", "--quiet", "--orphan", "anew")
    anew = origin.commit({"maps/1.yaml": "other"})
    origin.git("branch", "--force", "main", "anew")
    trouble = refused(origin.source(), tmp_path, merged)
    assert (trouble.kind, trouble.commit) == ("rewritten", anew)
    assert anew[:12] in trouble.words
    assert merged[:12] in trouble.words
    assert refused(origin.source(), tmp_path, "f" * 40).kind == "rewritten"  # it is not even there any more
    assert read(origin.source(), tmp_path).id == anew


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc", "1.yaml"])
@pytest.mark.parametrize("where", ["maps/2.yaml", "rivers", "_policy", "note"])
def test_a_link_is_not_taken_wherever_it_leads(origin: Origin, tmp_path: Path, where: str, target: str) -> None:
    origin.write(MAPS)
    (origin.path / where).symlink_to(target)
    commit = origin.commit()
    trouble = refused(origin.source(), tmp_path / "work")
    assert (trouble.kind, trouble.commit) == ("broken", commit)
    assert [str(one) for one in trouble.problems] == [f"{where}: is a link, and only plain files are taken"]


def test_a_submodule_is_not_taken_and_not_asked(origin: Origin, tmp_path: Path) -> None:
    origin.write({**MAPS, ".gitmodules": '[submodule "x"]\n\tpath = rivers\n\turl = https://192.0.2.1/x\n'})
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},rivers")
    origin.git("add", ".gitmodules", "maps")
    origin.git("commit", "--quiet", "--message", "A submodule")
    trouble = refused(origin.source(), tmp_path / "work")
    assert [str(one) for one in trouble.problems] == ["rivers: is a submodule, and only plain files are taken"]


def tree(origin: Origin, *entries: bytes) -> None:
    """Commit a tree as no working tree could make it."""
    blob = origin.git("hash-object", "-w", "--stdin", given=b"x")
    listing = b"".join(b"100644 blob " + blob.encode() + b"\t" + name + b"\0" for name in entries)
    made = origin.git("mktree", "-z", given=listing)
    commit = origin.git("commit-tree", made, "-m", "Odd")
    origin.git("update-ref", "refs/heads/main", commit)


@pytest.mark.parametrize("name", [b"\xff\xfe.yaml", b"a\nb.yaml", b"\x1b[2J.yaml"])
def test_a_name_that_is_no_plain_text_is_not_taken(origin: Origin, tmp_path: Path, name: bytes) -> None:
    tree(origin, name)
    (problem,) = refused(origin.source(), tmp_path / "work").problems
    assert problem.message == "has a name that is not plain text in UTF-8"
    assert problem.path.isprintable()


def test_what_is_no_text_is_not_taken(origin: Origin, tmp_path: Path) -> None:
    origin.commit({"maps/1.yaml": b"\xff\xfe"})
    (problem,) = refused(origin.source(), tmp_path / "work").problems
    assert str(problem) == "maps/1.yaml: is not text in UTF-8"


def test_a_huge_file_of_the_catalog_is_not_taken_and_any_other_does_not_matter(origin: Origin, tmp_path: Path) -> None:
    origin.commit({**MAPS, "picture.png": bytes(10 * 2**20)})
    assert dict(read(origin.source(), tmp_path).files) == MAPS
    origin.commit({"maps/2.yaml": "#" * (LARGEST + 1)})
    (problem,) = refused(origin.source(), tmp_path).problems
    assert str(problem) == "maps/2.yaml: is larger than 256 KiB"


def test_more_bytes_than_the_limit_are_not_fetched(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_module, "LARGEST", 2**20)
    origin.commit({**MAPS, "noise": os.urandom(3 * 2**20)})
    assert "is larger than" in refused(origin.source(), tmp_path / "work").words
    assert list((tmp_path / "work").iterdir()) == []


def test_ten_thousand_files_are_read_and_more_than_the_limit_are_not(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = b"commit refs/heads/main\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata 1\nx\n"
    for number in range(10_000):
        text = profile_text(f"p-{number}").encode()
        stream += b"M 644 inline p-%d/1.yaml\ndata %d\n%s\n" % (number, len(text), text)
    origin.git("fast-import", "--quiet", given=stream)
    assert len(read(origin.source(), tmp_path).files) == 10_000
    monkeypatch.setattr(reading, "MOST_FILES", 9_999)
    assert "more than 9999 files" in refused(origin.source(), tmp_path).words


def test_nothing_that_a_repository_or_this_machine_says_is_run(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\ntouch {tmp_path}/sprung\nexec "$@"\n')
    trap.chmod(0o755)
    commit = origin.commit({**MAPS, ".gitattributes": "*.yaml filter=trap export-ignore\n"})
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-update", "pre-receive"):
        (origin.path / ".git" / "hooks").mkdir(exist_ok=True)
        (origin.path / ".git" / "hooks" / hook).symlink_to(trap)
    for key in ("uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "filter.trap.smudge"):
        origin.git("config", key, str(trap))
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks" / "reference-transaction").symlink_to(trap)
    (home / ".gitconfig").write_text(
        f'[core]\n hooksPath = {home}/hooks\n[url "https://192.0.2.1/"]\n insteadOf = /\n'
        f"[credential]\n helper = {trap}\n[uploadpack]\n packObjectsHook = {trap}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "uploadpack.packObjectsHook")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(trap))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    found = read(origin.source(), tmp_path / "work")
    assert (found.id, dict(found.files)) == (commit, MAPS)
    assert not (tmp_path / "sprung").exists()


def test_what_anybody_may_write_as_author_and_time_is_one_plain_line(origin: Origin, tmp_path: Path) -> None:
    origin.commit(MAPS)
    made = origin.git("rev-parse", "HEAD^{tree}")
    text = f"tree {made}\nauthor <b>\x1b[2JÅ {'x' * 500} <a@b> 1 +0000\ncommitter c <c@d> 99999999999999 +0000\n\nodd\n"
    commit = origin.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=text.encode())
    origin.git("update-ref", "refs/heads/main", commit)
    found = read(origin.source(), tmp_path / "work")
    assert found.id == commit
    assert found.author.isprintable()
    assert len(found.author) <= 200
    assert found.at is None


def test_a_repository_of_another_user_of_this_machine_is_not_read(origin: Origin, tmp_path: Path) -> None:
    origin.commit(MAPS)
    for path in (origin.path, origin.path / ".git"):
        os.chown(path, 12345, -1)
    assert "belongs to another user of this machine" in refused(origin.source(), tmp_path / "work").words


def test_a_machine_without_git_says_so(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.commit(MAPS)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "The program git is missing" in refused(origin.source(), tmp_path / "work").words
