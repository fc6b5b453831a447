"""Whose a name is: one account for ever, two accounts never one name, and what is known of whoever signs in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from hub_ext.db.session import Database
from hub_ext.db.tables import Account, AuditRow
from hub_ext.db.types import now
from hub_ext.errors import Conflict, Forbidden, HubExtError
from hub_ext.settings import HubExt
from hub_ext.signin.accounts import Accounts, Arrival, Standing, allowed_in

ISSUER = "https://provider.example"


def arrival(sub: str = "1", name: str = "ada", **more: Any) -> Arrival:
    return Arrival(
        **({"issuer": ISSUER, "sub": sub, "subject": f"e-{sub}", "name": name, "groups": ("analysts",)} | more)
    )


@pytest.fixture
def accounts(database: Database, settings: HubExt) -> Accounts:
    return Accounts(database, settings)


def acts(accounts: Accounts) -> list[tuple[str, str, str]]:
    with accounts.database.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.action, row.object_id, row.outcome) for row in rows]


def test_an_account_keeps_the_name_it_first_had(accounts: Accounts) -> None:
    assert accounts.sign_in(arrival()) == "ada"
    assert accounts.sign_in(arrival(name="ada.byron")) == "ada"
    found = accounts.standing("ada")
    assert (found.subject, found.groups) == (f"{ISSUER} e-1", frozenset({"analysts"}))
    assert acts(accounts) == [("person.sign_in", "ada", "allowed")] * 2


def test_a_name_of_another_account_is_refused_and_said(accounts: Accounts) -> None:
    accounts.sign_in(arrival())
    with pytest.raises(Conflict) as caught:
        accounts.sign_in(arrival("2"))
    assert "ada belongs to another account already" in caught.value.detail
    assert "sign_in_names" in caught.value.hint
    assert acts(accounts)[-1] == ("person.sign_in", "ada", "denied")
    assert accounts.standing("ada").subject == f"{ISSUER} e-1"


def test_two_accounts_may_be_one_person(accounts: Accounts) -> None:
    accounts.sign_in(arrival("1", "eva", subject="e-7"))
    accounts.sign_in(arrival("2", "eva-admin", subject="e-7"))
    assert accounts.standing("eva").subject == accounts.standing("eva-admin").subject


def test_a_name_that_the_hub_knew_before_is_nobody_s_until_an_admin_says_so(
    accounts: Accounts, settings: HubExt
) -> None:
    with pytest.raises(Conflict, match="from before"):
        accounts.sign_in(arrival(at_hub="ada"))
    settings.sign_in_names = {"1": "ada"}
    assert accounts.sign_in(arrival(at_hub="ada")) == "ada"
    with pytest.raises(Conflict, match="from before"):
        accounts.sign_in(arrival("3", "bob", at_hub="bob"))
    settings.sign_in_adopt = True
    assert accounts.sign_in(arrival("3", "bob", at_hub="bob")) == "bob"


def test_a_name_that_differs_in_case_from_one_at_the_hub_is_refused_always(
    accounts: Accounts, settings: HubExt
) -> None:
    settings.sign_in_adopt = True
    with pytest.raises(Conflict, match="The Hub knows Ada"):
        accounts.sign_in(arrival(at_hub="Ada"))


def test_another_provider_s_names_are_taken_over_only_when_that_is_set(accounts: Accounts, settings: HubExt) -> None:
    accounts.sign_in(arrival())
    with pytest.raises(Conflict, match="from before"):
        accounts.sign_in(arrival(issuer="https://other.example"))
    settings.sign_in_adopt = True
    assert accounts.sign_in(arrival(issuer="https://other.example")) == "ada"
    settings.sign_in_adopt = False
    with pytest.raises(Conflict):
        accounts.sign_in(arrival())


def test_of_many_at_once_one_gets_the_name(accounts: Accounts) -> None:
    def one(sub: str) -> str:
        try:
            return accounts.sign_in(arrival(sub))
        except HubExtError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, [str(number) for number in range(8)]))
    assert sorted(found) == [""] * 7 + ["ada"]


def block(accounts: Accounts, name: str) -> None:
    with accounts.database.write() as session:
        session.execute(update(Account).where(Account.name == name).values(blocked_at=now()))


def test_whoever_is_blocked_is_told_and_stays_out(accounts: Accounts) -> None:
    accounts.sign_in(arrival())
    block(accounts, "ada")
    with pytest.raises(Forbidden, match="blocked"):
        accounts.sign_in(arrival())
    assert accounts.confirm("ada", arrival()) is False
    assert accounts.not_confirmed("ada", away=True) is False
    assert accounts.standing("ada").blocked


def test_the_provider_s_word_is_kept_with_its_time(accounts: Accounts) -> None:
    accounts.sign_in(arrival())
    assert accounts.confirm("ada", arrival(groups=("gis", "analysts")))
    found = accounts.standing("ada")
    assert found.groups == {"gis", "analysts"}
    assert found.groups_at is not None
    assert now() - found.groups_at < timedelta(minutes=1)
    assert acts(accounts)[-1] == ("person.groups_change", "ada", "allowed")


@pytest.mark.parametrize("other", [{"sub": "2"}, {"issuer": "https://other.example"}])
def test_somebody_else_confirms_nothing(accounts: Accounts, other: dict[str, str]) -> None:
    accounts.sign_in(arrival())
    assert accounts.confirm("ada", arrival(**other)) is False
    assert accounts.confirm("nobody", arrival(name="nobody")) is False


def age(accounts: Accounts, hours: float) -> None:
    with accounts.database.write() as session:
        session.execute(update(Account).values(groups_at=now() - timedelta(hours=hours)))


def test_what_is_known_is_good_for_a_day(accounts: Accounts, settings: HubExt) -> None:
    accounts.sign_in(arrival())
    age(accounts, 23)
    assert accounts.not_confirmed("ada", away=False) is True
    assert accounts.standing("ada").unchecked(settings, now()) == ""
    age(accounts, 25)
    assert accounts.not_confirmed("ada", away=False) is False
    assert "24 hours: sign in again" in accounts.standing("ada").unchecked(settings, now())
    settings.groups_age_hours = 48.0
    assert accounts.not_confirmed("ada", away=False) is True


def test_while_the_provider_is_away_nothing_starts_unless_that_is_set(accounts: Accounts, settings: HubExt) -> None:
    accounts.sign_in(arrival())
    assert accounts.not_confirmed("ada", away=True) is True
    assert "does not answer" in accounts.standing("ada").unchecked(settings, now())
    settings.sign_in_when_away = "allow"
    assert accounts.standing("ada").unchecked(settings, now()) == ""
    settings.sign_in_when_away = "deny"
    accounts.confirm("ada", arrival())
    assert accounts.standing("ada").unchecked(settings, now()) == ""


def test_of_somebody_without_an_account_nothing_is_known_and_nothing_kept_from_her(
    accounts: Accounts, settings: HubExt
) -> None:
    assert accounts.standing("nobody") == Standing()
    assert Standing().unchecked(settings, now()) == ""


def test_a_session_of_the_provider_leads_to_a_name(accounts: Accounts) -> None:
    accounts.sign_in(arrival(session="s-1"))
    accounts.sign_in(arrival("2", "bob", session="s-2"))
    assert accounts.name_of(ISSUER, "", "s-1") == "ada"
    assert accounts.name_of(ISSUER, "2", "s-1") == "bob"  # what it says of the account comes first
    assert accounts.name_of(ISSUER, "", "s-3") is None
    assert accounts.name_of("https://other.example", "1", "") is None
    accounts.sign_in(arrival("2", "bob", session="s-1"))
    assert accounts.name_of(ISSUER, "", "s-1") == "bob"


def test_what_is_good_once_is_good_once(accounts: Accounts) -> None:
    assert accounts.use("logout", ISSUER, "j") is True
    assert accounts.use("logout", ISSUER, "j") is False
    assert accounts.use("state", ISSUER, "j") is True
    assert accounts.use("logout", ISSUER + "j", "") is True  # no two texts run into one


def test_who_has_to_be_asked_about(accounts: Accounts) -> None:
    for number, name in enumerate(("ada", "bob", "cyd", "dan")):
        accounts.sign_in(arrival(str(number), name))
    age(accounts, 1)
    accounts.confirm("cyd", arrival("2", "cyd"))
    block(accounts, "dan")
    found = accounts.due({"ada", "cyd", "dan", "eve"}, 240)
    assert (found.old, found.blocked, found.running) == (["ada"], {"dan"}, set())
    assert accounts.due([f"user-{number}" for number in range(3000)] + ["ada"], 240).old == ["ada"]


@pytest.mark.parametrize(
    ("groups", "allowed", "may"),
    [
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        ([], ["*"], True),
        (["*"], ["b"], False),
        ([], [], False),
        (["a"], [], False),
    ],
)
def test_who_may_sign_in(groups: list[str], allowed: list[str], may: bool) -> None:
    assert allowed_in(groups, allowed) is may
