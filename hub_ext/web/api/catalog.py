"""The catalog as those see it who look after it: versions, their checks, what they would become, the rules."""

from __future__ import annotations

from hub_ext.catalog.check import denying
from hub_ext.catalog.models import Profile
from hub_ext.catalog.options import shown
from hub_ext.errors import InvalidInput
from hub_ext.governance.curation import read_profile
from hub_ext.governance.desk import Desk
from hub_ext.governance.preview import Wanted
from hub_ext.governance.views import as_file
from hub_ext.sharing.cursors import read_cursor, write_cursor
from hub_ext.web.api import asked, curated
from hub_ext.web.api.operation import Answer, ApiHandler, Body, operation

READERS = "For curators, reviewers, auditors and admins."
_CURSOR = "profile-versions"


class CatalogHandler(ApiHandler):
    """Base of what the catalog's desk answers."""

    @property
    def desk(self) -> Desk:
        """What the caller may do in the catalog."""
        return self.context.desk(self.person)

    async def acting_desk(self) -> Desk:
        """Return the desk of the caller with the roles that the Hub says she has now.

        Raises:
            NotSignedIn: If the Hub does not know her any more.
            Unavailable: If the Hub does not answer.
        """
        return self.context.desk(await self.refreshed())


class Catalog(CatalogHandler):
    """`catalog`."""

    @operation(
        "Say how the catalog is",
        {200: Answer("Its snapshot, and what is wrong with files", curated.CatalogState)},
        description=READERS,
    )
    async def get(self) -> None:
        """Say how the catalog is."""
        self.answer(curated.CatalogState.model_validate(await self.call(self.desk.state)))


def list_versions(desk: Desk, query: asked.VersionsQuery, name: str | None = None) -> curated.CatalogEntryList:
    """Return a part of the versions.

    Args:
        desk: The caller's.
        query: Which part.
        name: Of which profile; None for all.

    Raises:
        Forbidden: If she may not look.
        InvalidInput: If the cursor is none of ours.
    """
    after = None
    if query.cursor is not None:
        last, number = read_cursor(_CURSOR, query.cursor, (str, int))
        after = (str(last), int(number))
    found = desk.versions(name=name, after=after, most=query.limit + 1)
    items = [curated.CatalogEntry.model_validate(one) for one in found[: query.limit]]
    more = len(found) > query.limit
    return curated.CatalogEntryList(
        items=items, next=write_cursor(_CURSOR, items[-1].name, items[-1].version) if more else None
    )


class AllVersions(CatalogHandler):
    """`profile-versions`."""

    @operation(
        "List every version of every profile",
        {200: Answer("Versions with their checks and their use", curated.CatalogEntryList)},
        query=asked.VersionsQuery,
        description=READERS,
    )
    async def get(self, query: asked.VersionsQuery) -> None:
        """List the versions."""
        self.answer(await self.call(list_versions, self.desk, query))


class Checks(CatalogHandler):
    """`profile-checks`."""

    changes = False

    @operation(
        "Check the text of a profile file",
        {200: Answer("What it would be as a proposal; nothing is kept", curated.Draft)},
        body=Body(asked.ProfileText),
        description=READERS,
    )
    async def post(self, body: asked.ProfileText) -> None:
        """Check a text."""
        self.answer(curated.Draft.model_validate(await self.call(self.desk.draft, body.content)))


def propose(desk: Desk, name: str, body: asked.Proposal) -> curated.Proposed:
    """Propose a version.

    Args:
        desk: The caller's.
        name: Name of the profile.
        body: The file, and the author's words.

    Raises:
        HubExtError: As of `Proposing.propose`; InvalidInput if the file names another profile.
    """
    if desk.person.has_role("curator"):  # who is none is refused below, whatever she sent
        found = read_profile(body.content).name
        if found != name:
            raise InvalidInput.of("content", f"metadata.name says {found}, and the address {shown(name)}")
    version, created = desk.propose(body.content, body.message)
    return curated.Proposed.model_validate(version | {"created": created})


class Versions(CatalogHandler):
    """`profiles/{name}/versions`."""

    @operation(
        "List the versions of a profile",
        {200: Answer("Its versions with their checks and their use", curated.CatalogEntryList)},
        query=asked.VersionsQuery,
        description=READERS,
    )
    async def get(self, name: str, query: asked.VersionsQuery) -> None:
        """List its versions."""
        self.answer(await self.call(list_versions, self.desk, query, name))

    @operation(
        "Propose a version",
        {
            201: Answer("It waits for approval", curated.Proposed),
            200: Answer("The same content was proposed before", curated.Proposed),
        },
        body=Body(asked.Proposal),
        problems=(409,),
        description="For curators. The caller is its author, and so cannot approve it.",
    )
    async def post(self, name: str, body: asked.Proposal) -> None:
        """Propose one."""
        made = await self.call(propose, await self.acting_desk(), name, body)
        self.answer(made, 201 if made.created else 200)


class _Detail(CatalogHandler):
    async def tell(self, name: str, number: int | None, query: asked.VersionQuery) -> None:
        found = await self.call(self.desk.version, name, number, against=query.against)
        self.answer(curated.CatalogDetail.model_validate(found))


_DETAIL = {200: Answer("The version, and what servers would become with it", curated.CatalogDetail)}


class NewestVersion(_Detail):
    """`profiles/{name}/versions/newest`."""

    @operation(
        "Show the newest version of a profile, whatever its state",
        _DETAIL,
        query=asked.VersionQuery,
        description=READERS,
    )
    async def get(self, name: str, query: asked.VersionQuery) -> None:
        """Show it."""
        await self.tell(name, None, query)


class OneVersion(_Detail):
    """`profiles/{name}/versions/{number}`."""

    @operation("Show a version of a profile", _DETAIL, query=asked.VersionQuery, description=READERS)
    async def get(self, name: str, number: str, query: asked.VersionQuery) -> None:
        """Show it."""
        await self.tell(name, int(number), query)


class VersionFile(CatalogHandler):
    """`profiles/{name}/versions/{number}/file`."""

    @operation(
        "Download a version as a file",
        {200: Answer("The file, as it would stand in the profiles folder", media=("application/yaml",))},
        description=READERS,
    )
    async def get(self, name: str, number: str) -> None:
        """Download it."""
        profile: Profile = (await self.call(self.desk.entry, name, int(number))).version.profile
        self.set_header("Content-Type", "application/yaml")
        self.set_header("Content-Disposition", f'attachment; filename="{profile.name}-{profile.version}.yaml"')
        self.finish(as_file(profile))


class VersionChecks(CatalogHandler):
    """`profiles/{name}/versions/{number}/checks`."""

    @operation(
        "Check a version",
        {200: Answer("What its check finds, at every extreme of its options", curated.CheckResult)},
        description=READERS,
    )
    async def get(self, name: str, number: str) -> None:
        """Check it."""
        findings = (await self.call(self.desk.entry, name, int(number))).findings or []
        found = [curated.CheckFinding.model_validate(one.as_dict()) for one in findings]
        self.answer(curated.CheckResult(passed=not denying(findings), findings=found))


class VersionRendering(CatalogHandler):
    """`profiles/{name}/versions/{number}/rendering`."""

    changes = False

    @operation(
        "Show exactly what a start would make",
        {200: Answer("The objects, each line with its reason, and the rules that are not met", curated.Rendering)},
        body=Body(asked.RenderingOrder, optional=True),
        description=f"{READERS} Nothing is started.",
    )
    async def post(self, name: str, number: str, body: asked.RenderingOrder) -> None:
        """Render it."""
        wanted = Wanted(body.options, body.user, body.purpose, body.server)
        found = await self.call(self.desk.preview, name, int(number), wanted)
        self.answer(curated.Rendering.model_validate(await self.call(found.as_dict)))


class PolicyRules(CatalogHandler):
    """`policy/rules`."""

    @operation(
        "List the policy rules in force",
        {200: Answer("The rules", curated.PolicyRuleList)},
        description=READERS,
    )
    async def get(self) -> None:
        """List the rules."""
        rules = await self.call(self.desk.rules)
        self.answer(curated.PolicyRuleList(items=[curated.PolicyRule.model_validate(one) for one in rules]))
