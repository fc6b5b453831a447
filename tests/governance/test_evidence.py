"""What is known of images: kept with what it rests on, seen by every process at once, and what decisions make of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from hub_ext.catalog.decide import Decision, Request
from hub_ext.catalog.explain import explain
from hub_ext.catalog.keys import make_pair, public_key
from hub_ext.catalog.locks import ImagesLock
from hub_ext.db.session import Database
from hub_ext.db.tables import AuditRow, ImageVerification, Snapshot
from hub_ext.decisions import DecisionPoint
from hub_ext.errors import Conflict, Forbidden
from hub_ext.governance.curation import Curation
from hub_ext.governance.desk import Desk
from hub_ext.governance.evidence import record
from hub_ext.governance.store import CatalogStore
from hub_ext.images.verifying import Verification
from hub_ext.images.watch import ACTOR
from hub_ext.kubernetes.yaml_text import to_yaml
from hub_ext.people import Person
from hub_ext.settings import HubExt, shipped
from tests.governance.conftest import profile_text

Put = Callable[..., Path]
IMAGE, OTHER = (f"registry.low/notebooks/standard@sha256:{digit * 64}" for digit in "12")
BUILDS, EVE = (make_pair(None)[1] for _ in range(2))
KEY = public_key("builds", BUILDS).fingerprint
CLEO, AMY = Person("cleo", roles=frozenset({"curator"})), Person("amy")


def enclave(**spec: Any) -> str:
    content = {
        "domain": "open",
        "registries": ["registry.low"],
        "largest": {"cpu": 16, "memory": "64Gi"},
        "signatures": 0,
        "verify": "required",
        "image_keys": {"builds": BUILDS},
    }
    about = {"name": "low", "title": "Low side", "owner": "platform-team"}
    return to_yaml([{"apiVersion": "hub-ext/v1", "kind": "Enclave", "metadata": about, "spec": content | spec}])


def locked(serial: int = 1, image: str = IMAGE) -> str:
    lock = ImagesLock.of("low", serial, {"notebooks/standard": image})
    return to_yaml([lock.model_dump(mode="json", by_alias=True)])


def verified(image: str = IMAGE, **changes: Any) -> Verification:
    return Verification(**{"image": image, "outcome": "verified", "keys": {"builds": KEY}, "source": "x"} | changes)


REFUSED = Verification(IMAGE, "refused", problems=("no signature was found",), source="x")
AWAY = Verification(IMAGE, "unreachable", problems=("registry.low does not answer",), source="x")


@pytest.fixture
def put(settings: HubExt, folder: Path, put: Put) -> Put:
    """A folder with the standard profile, and an enclave that verifies its image."""
    shutil.copytree(shipped("profiles") / "standard", folder / "standard")
    settings.enclave = "low"
    put(enclave(), "_enclaves/low.yaml")
    put(locked(), "_enclaves/low.images.lock")
    return put


@pytest.fixture
def point(settings: HubExt, database: Database, put: Put) -> DecisionPoint:
    """A decision point of one process."""
    return DecisionPoint(database, CatalogStore(settings, database), settings)


def ask(point: DecisionPoint) -> Decision:
    with point.database.write() as session:
        return point.decide(session, Request("amy", "run", "standard"), ["analysts"], "x")[0]


def keep(database: Database, *found: Verification, by: str = ACTOR) -> int:
    with database.write() as session:
        return record(session, found, by)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


# --- what decisions make of it ---------------------------------------------------------------------------------------


def test_an_image_is_started_when_it_was_verified_and_not_before(point: DecisionPoint, database: Database) -> None:
    before = ask(point)
    (reason,) = before.reasons
    assert (reason.code, reason.ask, reason.allowed) == (
        "image-unverified", "platform-team", "images signed by builds",
    )  # fmt: skip
    assert reason.message == (
        "The image registry.low/notebooks/standard@sha256:111111111111… has not been verified yet."
    )
    keep(database, verified())
    after = ask(point)
    assert (after.allowed, after.image) == (True, IMAGE)
    with database.read() as session:
        content = session.scalar(select(Snapshot.content).where(Snapshot.digest == after.snapshot))
    assert content is not None
    assert content["evidence"] == [[IMAGE, "verified", [KEY], ""]]


def test_one_that_was_refused_is_denied_with_what_was_wrong(point: DecisionPoint, database: Database) -> None:
    keep(database, verified())
    assert ask(point).allowed
    keep(database, REFUSED)
    denied = ask(point)
    assert codes(denied) == ["image-unverified"]
    assert "could not be verified: no signature was found" in denied.sentence()
    assert "Ask platform-team about it." in denied.error().hint
    keep(database, verified())
    assert ask(point).allowed


def test_evidence_is_of_one_digest_alone(point: DecisionPoint, database: Database, put: Put) -> None:
    keep(database, verified())
    assert ask(point).allowed
    put(locked(2, OTHER), "_enclaves/low.images.lock")
    point.catalog.refresh()
    assert codes(ask(point)) == ["image-unverified"]


def test_a_registry_that_is_away_changes_nothing(point: DecisionPoint, database: Database) -> None:
    keep(database, AWAY)
    assert codes(ask(point)) == ["image-unverified"]
    keep(database, verified(), AWAY)
    assert ask(point).allowed
    keep(database, AWAY)
    assert ask(point).allowed


def test_a_key_that_is_taken_out_of_the_enclave_counts_no_more(
    point: DecisionPoint, database: Database, put: Put
) -> None:
    keep(database, verified())
    assert ask(point).allowed
    put(enclave(image_keys={"builds": EVE}), "_enclaves/low.yaml")  # the same name, another key
    point.catalog.refresh()
    denied = ask(point)
    assert codes(denied) == ["image-unverified"]
    assert "names no more" in denied.sentence()


@pytest.mark.parametrize("verify", ["warn", "off"])
def test_an_enclave_may_only_warn_or_not_ask(point: DecisionPoint, database: Database, put: Put, verify: str) -> None:
    put(enclave(verify=verify), "_enclaves/low.yaml")
    point.catalog.refresh()  # it may have looked before
    found = ask(point)
    assert found.allowed
    assert [one.code for one in found.warnings] == (["image-unverified"] if verify == "warn" else [])


@pytest.mark.parametrize(("sbom", "allowed", "warnings"), [("required", False, 0), ("warn", True, 1), ("off", True, 0)])
def test_a_list_of_parts_is_asked_for_apart(
    point: DecisionPoint, database: Database, put: Put, sbom: str, allowed: bool, warnings: int
) -> None:
    put(enclave(sbom=sbom), "_enclaves/low.yaml")
    point.catalog.refresh()
    keep(database, verified())
    found = ask(point)
    assert (found.allowed, len(found.warnings)) == (allowed, warnings)
    keep(database, verified(sbom="cyclonedx"))
    assert ask(point).allowed


def test_an_explanation_says_so(point: DecisionPoint, database: Database) -> None:
    with database.read() as session:
        facts = point.facts_now(session, ["analysts"])
    parts = [part for part in explain(facts, "amy", "standard").parts if not part.holds]
    assert [(part.about, part.ask) for part in parts] == [("image", "platform-team")]


def test_a_version_is_not_approved_from_an_image_that_does_not_verify(
    settings: HubExt, database: Database, put: Put
) -> None:
    settings.approvals_required = 1
    curation = Curation(database, CatalogStore(settings, database), settings)
    digest = curation.propose(Person("ann", roles=frozenset({"curator"})), profile_text()).version.digest
    with pytest.raises(Conflict, match="image-unverified"):
        curation.approve(CLEO, digest)
    keep(database, verified())
    assert curation.approve(CLEO, digest).state == "approved"


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(database: Database) -> Callable[[], list[ImageVerification]]:
    """Everything that is kept, the oldest first."""

    def rows() -> list[ImageVerification]:
        with database.read() as session:
            return list(session.scalars(select(ImageVerification).order_by(ImageVerification.id)))

    return rows


def test_what_is_still_true_is_confirmed_and_what_is_new_is_added(
    database: Database, rows: Callable[[], list[ImageVerification]]
) -> None:
    assert [keep(database, verified()) for _ in range(3)] == [1, 0, 0]
    (only,) = rows()
    assert only.last_at > only.at
    assert (only.by, only.signers, only.source) == (ACTOR, {"builds": KEY}, "x")
    assert keep(database, verified(sbom="spdx", sbom_by="builds"), by="cleo") == 1
    assert keep(database, AWAY) == 1
    assert keep(database, AWAY) == 0
    assert [(row.outcome, row.sbom, row.by) for row in rows()] == [
        ("verified", "", ACTOR),
        ("verified", "spdx", "cleo"),
        ("unreachable", "", ACTOR),
    ]


def test_each_change_is_an_act_of_the_record(database: Database) -> None:
    keep(database, verified())
    keep(database, verified())
    keep(database, REFUSED)
    with database.read() as session:
        found = session.execute(
            select(AuditRow.actor, AuditRow.action, AuditRow.object_id, AuditRow.outcome).order_by(AuditRow.id)
        ).all()
    assert [tuple(row) for row in found] == [
        (ACTOR, "image.verify", IMAGE, "allowed"),
        (ACTOR, "image.verify", IMAGE, "denied"),
    ]


def test_only_what_decisions_depend_on_wakes_other_processes(settings: HubExt, database: Database, put: Put) -> None:
    from hub_ext.governance.state import agreed

    def generation() -> int:
        with database.read() as session:
            return agreed(session).generation

    before = generation()
    keep(database, AWAY)
    assert generation() == before
    keep(database, verified())
    keep(database, verified())
    assert generation() == before + 1


def test_hostile_words_of_a_registry_are_kept_within_bounds(
    database: Database, rows: Callable[[], list[ImageVerification]]
) -> None:
    keep(database, Verification(IMAGE, "refused", problems=("é" * 10_000,) * 10, source="x" * 1000))
    (row,) = rows()
    assert max(len(problem) for problem in row.problems) == 500
    assert keep(database, Verification(IMAGE, "refused", problems=("é" * 10_000,) * 10, source="x" * 1000)) == 0


# --- what curators see -----------------------------------------------------------------------------------------------


@pytest.fixture
def desk(settings: HubExt, database: Database, put: Put) -> Callable[[Person], Desk]:
    """The desk of a person."""
    store = CatalogStore(settings, database)
    return lambda person: Desk(database, store, settings, person)


def test_curators_see_how_each_image_stands(database: Database, desk: Callable[[Person], Desk]) -> None:
    found = desk(CLEO).images()
    (item,) = found["items"]
    assert (found["enclave"], found["verify"], found["serial"], found["signed_by"]) == ("low", "required", 1, [])
    assert (item["name"], item["state"], item["since"]) == ("notebooks/standard", "waiting", None)
    assert item["doubts"][0]["denies"] is True
    assert item["profiles"] == ["standard@1"]
    keep(database, verified(sbom="spdx", sbom_by="builds"), AWAY)
    (item,) = desk(CLEO).images()["items"]
    assert (item["state"], item["signed_by"], item["sbom"], item["sbom_signed_by"]) == (
        "verified", ["builds"], "spdx", "builds",
    )  # fmt: skip
    assert (item["doubts"], item["hindered"]) == ([], "registry.low does not answer")


def test_who_has_no_part_in_the_catalog_sees_and_does_nothing(
    database: Database, desk: Callable[[Person], Desk]
) -> None:
    with pytest.raises(Forbidden):
        desk(AMY).images()
    for person in (AMY, Person("rita", roles=frozenset({"reviewer"}))):
        with pytest.raises(Forbidden):
            desk(person).verify_images()
    with database.read() as session:
        refused = select(func.count()).where(AuditRow.action == "image.verify", AuditRow.outcome == "denied")
        assert session.scalar(refused) == 2


def test_where_processes_are_local_there_is_nothing_to_see(settings: HubExt, database: Database) -> None:
    found = Desk(database, CatalogStore(settings, database), settings, CLEO).images()
    assert (found["local"], found["items"]) == (True, [])
