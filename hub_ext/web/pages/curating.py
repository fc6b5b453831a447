"""The forms of curators: propose, judge, withdraw and end versions, grant and revoke exceptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hub_ext.errors import Conflict, Forbidden, HubExtError, InvalidInput
from hub_ext.governance.desk import Desk
from hub_ext.governance.overview import SOON
from hub_ext.governance.views import as_file
from hub_ext.web.errors import Malformed, status_of
from hub_ext.web.pages.catalog import CatalogPage, VersionPage, problem_of
from hub_ext.web.pages.catalog_rows import change_groups

_USUAL_EXCEPTION = timedelta(days=30)
_TOLD = (InvalidInput, Conflict, Forbidden)
_TEMPLATE = """\
apiVersion: hub-ext/v1
kind: Profile
metadata: {name: my-profile, version: 1, title: My profile, owner: my-team}
spec:
  description: One sentence that says what it is for.
  access: {groups: [analysts]}
  image: notebooks/standard
  resources: {cpu: {request: 0.5, limit: 2}, memory: {request: 1Gi, limit: 4Gi}}
  options:
    memory: {title: Memory, type: quantity, choices: [2Gi, 4Gi], default: 4Gi, sets: resources.memory.limit}
  lifetime: {idle: 60, maximum: 720}
"""


class ProposePage(CatalogPage):
    """A file that is written, checked and proposed."""

    async def get(self) -> None:
        """Show the form; with the content of a version, if its address names one."""
        desk = self.desk
        await self.call(desk.must_read)
        name, _, number = self.text("from").partition("@")
        text = _TEMPLATE
        if name and number.isascii() and number.isdigit() and len(number) < 10:
            text = await self.call(_next_of, desk, name, int(number))
        self._show(text, self.text("message"))

    async def post(self) -> None:
        """Check what was written, or propose it; what was typed stays."""
        desk = await self.acting_desk()
        text = self._typed()
        try:
            if self.text("act") != "propose":
                await self.call(desk.must_read)
                self._show(text, self.text("message"), draft=await self.call(_draft, desk, text))
                return
            made, created = await self.call(desk.propose, text, self.text("message"))
        except _TOLD as error:
            self.set_status(status_of(error))
            self._show(text, self.text("message"), error=error)
            return
        done = "proposed" if created else "same"
        self.redirect(self.link(f"profiles/{made['name']}/{made['version']}?done={done}"), status=303)

    def _typed(self) -> str:
        """Return the file that was chosen, else the text that was typed.

        Raises:
            InvalidInput: If the file is not UTF-8.
        """
        files = [one for one in self.request.files.get("file", []) if one.body]
        if not files:
            return self.get_body_argument("content", "", strip=False).replace("\r\n", "\n")
        try:
            return str(files[0].body.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise Malformed.of("file", "is not text in UTF-8") from None

    def _show(self, text: str, message: str, *, draft: Any = None, error: HubExtError | None = None) -> None:
        self.show_catalog(
            "propose.html",
            "catalog",
            text=text,
            message=message,
            draft=draft,
            groups=change_groups(draft.change) if draft and draft.change.before else [],
            problem=problem_of(error) if error else None,
        )


def _draft(desk: Desk, text: str) -> Any:
    from hub_ext.governance.curation import read_profile

    return desk.overview.draft(read_profile(text))


def _next_of(desk: Desk, name: str, number: int) -> str:
    """Return the content of a version as the file of the next one; of one that nobody proposed, as it is."""
    version = desk.entry(name, number).version
    if version.state in ("file", "withdrawn"):
        return as_file(version.profile)
    free = desk.overview.draft(version.profile).next
    about = version.profile.metadata.model_copy(update={"version": free})
    return as_file(version.profile.model_copy(update={"metadata": about}))


class _VersionForm(VersionPage):
    """Base of the forms on a version's page: what is refused is told there."""

    async def get(self, name: str, number: str) -> None:
        """Lead to the page: somebody reloaded what a mistake had left."""
        self.redirect(self.link(f"profiles/{name}/{number}"))

    async def post(self, name: str, number: str) -> None:
        """Do it, or tell on the page why not."""
        desk = await self.acting_desk()
        try:
            done = await self.act(desk, name, int(number))
        except _TOLD as error:
            await self.show_version(name, int(number), error=error)
            return
        self.redirect(self.link(f"profiles/{name}/{number}?done={done}" if done else "profiles"), status=303)

    async def act(self, desk: Desk, name: str, number: int) -> str:
        """Do what the form asks for, and return the key of the sentence that says so; empty: it has no page any more.

        Args:
            desk: What the person may do, with her roles of now.
            name: Name of the profile.
            number: Number of the version.
        """
        raise NotImplementedError


class ProposeForm(_VersionForm):
    """Proposes a file of the profiles folder as it was shown."""

    async def act(self, desk: Desk, name: str, number: int) -> str:
        """Propose it."""
        version = (await self.call(desk.entry, name, number)).version
        if version.digest != self.text("digest"):
            raise Conflict("The file has changed since this page was made.", hint="Look at it again.")
        _, created = await self.call(desk.propose, as_file(version.profile), self.text("message"))
        return "proposed" if created else "same"


class JudgeForm(_VersionForm):
    """Approves or refuses what was shown."""

    async def act(self, desk: Desk, name: str, number: int) -> str:
        """Judge it."""
        verdict = self.text("verdict")
        await self.call(desk.judge, name, number, verdict, self.text("digest"), self.text("comment"))
        return "approved" if verdict == "approve" else "refused"


class WithdrawForm(_VersionForm):
    """Takes a proposal back."""

    async def act(self, desk: Desk, name: str, number: int) -> str:
        """Withdraw it."""
        await self.call(desk.withdraw, name, number)
        return "withdrawn" if await self.call(desk.overview.version, name, number) is not None else ""


class DeprecateForm(_VersionForm):
    """Says that a version ends."""

    async def act(self, desk: Desk, name: str, number: int) -> str:
        """Deprecate it."""
        await self.call(desk.deprecate, name, number, self.text("removal"), self.text("successor"))
        return "deprecated"


class SyncForm(CatalogPage):
    """Asks the repository of profiles for its newest commit."""

    async def get(self) -> None:
        """Lead to the table: somebody reloaded what a mistake had left."""
        self.redirect(self.link("profiles"))

    async def post(self) -> None:
        """Sync; what it met is told on the table's page."""
        desk = await self.acting_desk()
        await self.call(desk.sync, self.text("rewritten")[:64])
        self.redirect(self.link("profiles?done=synced"), status=303)


class ExceptionsPage(CatalogPage):
    """Exceptions, and the form that grants one."""

    async def get(self) -> None:
        """Show them."""
        await self._show()

    async def post(self) -> None:
        """Grant one, or tell what is wrong; what was typed stays."""
        desk = await self.acting_desk()
        typed = {name: self.text(name) for name in ("profile", "rule", "reason", "until", "users", "groups", "owner")}
        wish: dict[str, Any] = typed | {name: _names(typed[name]) for name in ("users", "groups")}
        try:
            await self.call(desk.grant, wish)
        except _TOLD as error:
            self.set_status(status_of(error))
            await self._show(typed, error)
            return
        self.redirect(self.link("profiles/exceptions?done=granted"), status=303)

    async def _show(self, typed: dict[str, str] | None = None, error: HubExtError | None = None) -> None:
        ended = self.text("ended") == "1"
        desk = self.desk
        found = await self.call(desk.exceptions_list, ended=ended)
        catalog, now = self.context.catalog.current(), datetime.now(UTC)
        names = {one.name for one in (*catalog.profiles, *catalog.proposals)}
        waiting = await self.call(desk.overview.waiting)
        usual = {
            "until": f"{now + _USUAL_EXCEPTION:%Y-%m-%d}",
            "profile": self.text("profile"),
            "rule": self.text("rule"),
        }
        self.show_catalog(
            "exceptions.html",
            "exceptions",
            found=found,
            ended=ended,
            now=now,
            soon=now + SOON,
            profiles=sorted(names | {one.name for one in waiting}),
            rules=[rule for rule in catalog.policy.rules if rule.severity == "deny"],
            typed=typed or usual,
            done={"granted": "The exception holds.", "revoked": "The exception is over."}.get(self.text("done"), ""),
            errors={one.field: one.message for one in error.problems} if error else {},
            problem=problem_of(error) if error else None,
        )


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.replace("\n", ",").split(",")) if name]


class RevokeForm(CatalogPage):
    """Ends an exception."""

    async def get(self, exception_id: str) -> None:
        """Lead to the list: somebody reloaded what a mistake had left."""
        del exception_id
        self.redirect(self.link("profiles/exceptions"))

    async def post(self, exception_id: str) -> None:
        """Revoke it."""
        desk = await self.acting_desk()
        await self.call(desk.revoke, exception_id, self.text("reason"))
        self.redirect(self.link("profiles/exceptions?done=revoked"), status=303)
