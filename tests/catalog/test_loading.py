"""A profile file is read, or what is wrong with it is told by line; the others stay as they are."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_ext.catalog.loading import load, read_file
from hub_ext.catalog.models import Profile
from hub_ext.settings import shipped

GOOD = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: standard, version: 1, title: Standard, owner: platform-team}
spec:
  description: For tests.
  access: {groups: [analysts]}
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 2}, memory: {request: 1Gi, limit: 4Gi}}
  options:
    memory: {title: Memory, type: quantity, choices: [2Gi, 4Gi], default: 4Gi, sets: resources.memory.limit}
    idle: {title: Idle, type: integer, minimum: 15, maximum: 240, default: 60, sets: lifetime.idle}
"""


@pytest.fixture
def read(tmp_path):
    """Read a text as the file standard/1.yaml; a profile, or its problems as text."""

    def read(content):
        path = tmp_path / "standard" / "1.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = read_file(path, "standard/1.yaml")
        return found if isinstance(found, Profile) else [str(problem) for problem in found]

    return read


def test_what_ships_is_without_problems(shipped_catalog):
    assert shipped_catalog.problems == ()
    assert len(shipped_catalog.newest()) >= 3


def test_a_good_file_is_a_profile(read):
    profile = read(GOOD)
    assert (profile.name, profile.version, list(profile.spec.options)) == ("standard", 1, ["memory", "idle"])


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_how_an_editor_ends_lines_does_not_matter(read, content):
    assert read(content).digest == read(GOOD).digest


def test_a_date_is_text_as_it_was_written(read):
    assert read(GOOD.replace("title: Standard", "title: 2026-13-45")).metadata.title == "2026-13-45"


# --- not YAML that we read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "must be a mapping of fields"),
        ("[]", "must be a mapping of fields"),
        ("5", "must be a mapping of fields"),
        (GOOD + "spec: {}\n", ":12: is not YAML: the key 'spec' is there twice"),
        (GOOD.replace("{name: standard,", "{name: standard, name: other,"), ":3: is not YAML: the key 'name' is there"),
        (GOOD.replace("spec:\n  description", "spec:\n\tdescription"), ":5: is not YAML: a tab stands where"),
        (GOOD.encode() + b"# \xff\n", "is not text in UTF-8"),
        (GOOD.encode("utf-16"), "is not text in UTF-8"),
        (GOOD + "\0", "U+0000"),
        (GOOD.replace("For tests.", "&a For tests.") + "more: *a\n", ":12: is not YAML: aliases"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", ":2: is not YAML: aliases"),
        (GOOD + "more: !!python/object/apply:os.system [ls]\n", ":12: is not YAML: tags"),
        (GOOD + "more: !!timestamp never\n", ":12: is not YAML: tags"),
        (GOOD + "more: !own 1\n", ":12: is not YAML: tags"),
        (GOOD + "<<: {kind: Other}\n", ":12: is not YAML: merging"),
        (GOOD + "? [a, b]\n: 1\n", ":12: is not YAML: a key must be plain text"),
        (GOOD + "? {a: b}\n: 1\n", ":12: is not YAML: a key must be plain text"),
        (GOOD + "---\nkind: Other\n", "is not YAML: but found another document"),
        (GOOD + "more: " + "9" * 6000 + "\n", "a number that is longer than numbers are"),
        ("[" * 100_000, "is nested too deeply"),
        ("{a: " * 5000, "is nested too deeply"),
        (GOOD + "# " + "x" * 2**18, "is larger than 256 KiB"),
        ("a: 'never closed\n", "is not YAML"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_told_by_line(read, content, told):
    (problem,) = read(content)
    assert problem.startswith("standard/1.yaml")
    assert told in problem


def test_a_bomb_is_refused_before_it_grows(read):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    began = time.perf_counter()
    assert "aliases" in read(bomb)[0]
    assert time.perf_counter() - began < 5


# --- YAML that is no profile -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  access:", "  acess:", ":6: spec.acess: is not known here; did you mean access?"),
        ("kind: Profile", "kind: Pod", ":2: kind: "),
        ("owner: platform-team", "owner: 5", ":3: metadata.owner: "),
        ("  image: notebooks/standard\n", "", ":4: spec.image: is missing"),
        ("request: 1Gi", "request: lots", ":8: spec.resources.memory.request: must be a size"),
        ("groups: [analysts]", "groups: [analysts, 5]", ":6: spec.access.groups.1: "),
        ("request: 0.5", "request: 3", ":8: spec.resources.cpu: request must not be more than limit"),
        ("default: 4Gi", "default: 3Gi", ":10: spec.options.memory: default '3Gi' is not one of 2Gi, 4Gi"),
        ("sets: lifetime.idle", "sets: lifetime.idel", ":11: spec.options.idle: sets 'lifetime.idel'"),
        ("maximum: 240", "maximum: " + "9" * 400, ":11: spec.options.idle: maximum"),
        ("maximum: 240", "maximum: .inf", ":11: spec.options.idle: maximum inf is not a whole number"),
        ("For tests.", '"\\ud800"', ":5: is not YAML: found invalid Unicode"),
        ("version: 1", "version: true", ":3: metadata.version: "),
        ("version: 1", "version: 2", "metadata says standard/2.yaml"),
        ("name: standard", "name: other", "metadata says other/1.yaml"),
    ],
)
def test_what_is_no_profile_is_told_by_line_and_field(read, old, new, told):
    (problem,) = read(GOOD.replace(old, new))
    assert told in problem


def test_every_problem_of_a_file_is_told(read):
    content = (
        GOOD.replace("kind: Profile", "kind: Pod").replace("default: 4Gi", "default: 4").replace("  access", "  acess")
    )
    assert [problem.split(":")[1] for problem in read(content)] == ["2", "6"]
    options = GOOD.replace("choices: [2Gi, 4Gi], default: 4Gi", "choices: [2Gi], default: 4Gi").replace(
        "minimum: 15, ", ""
    )
    assert [problem.split(":")[1] for problem in read(options)] == ["10", "11"]


# --- a folder of them ------------------------------------------------------------------------------------------------


def test_one_wrong_file_leaves_the_others(tmp_path):
    for name in ("standard", "broken", "folder", "gone"):
        (tmp_path / name).mkdir()
    (tmp_path / "standard" / "1.yaml").write_text(GOOD)
    (tmp_path / "standard" / "2.yaml").write_text(GOOD.replace("version: 1", "version: 2"))
    (tmp_path / "standard" / "notes.txt").write_text("not a profile")
    (tmp_path / "broken" / "1.yaml").write_text("{")
    (tmp_path / "folder" / "1.yaml").mkdir()
    (tmp_path / "gone" / "1.yaml").symlink_to(tmp_path / "nowhere")
    catalog = load(tmp_path)
    assert [profile.version for profile in catalog.versions("standard")] == [1, 2]
    assert [profile.version for profile in catalog.newest()] == [2]
    assert [problem.path for problem in catalog.problems] == ["broken/1.yaml", "folder/1.yaml", "gone/1.yaml"]
    assert "cannot be read" in catalog.problems[2].message


def test_a_folder_that_is_not_there_has_no_profiles(tmp_path):
    assert load(tmp_path / "nothing").profiles == ()


def test_the_snapshot_is_known_by_what_is_in_it(tmp_path):
    one = load(shipped("profiles"))
    (tmp_path / "standard").mkdir()
    (tmp_path / "standard" / "1.yaml").write_text(GOOD)
    assert one.digest == load(shipped("profiles")).digest != load(tmp_path).digest


@given(
    st.binary(max_size=300)
    | st.text(st.sampled_from("&*!|>'\"%@`{}[],:#?- \n\tabc19.<~"), max_size=200).map(str.encode)
)
def test_no_bytes_whatever_break_the_reading(read, content):
    assert read(content)


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(st.sampled_from("&*!|{}[],:#?-<\n\t 9\"'é"), max_size=4))
def test_no_change_to_a_good_file_breaks_the_reading(read, at, cut, put):
    found = read(GOOD[:at] + put + GOOD[at + cut :])
    assert isinstance(found, Profile) or all(problem.startswith("standard/1.yaml") for problem in found)
