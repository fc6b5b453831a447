"""Every address of the API, once: the application serves them, `openapi.json` describes them, the tests walk them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tornado.routing import URLSpec

from hub_ext.web.api import (
    access_requests,
    audit,
    budgets,
    catalog,
    curating,
    entitlements,
    events,
    health,
    homes,
    images,
    maintenance,
    people,
    profiles,
    results,
    runs,
    servers,
    versions,
    workflows,
)
from hub_ext.web.api.description import Description
from hub_ext.web.api.operation import ApiHandler, Operation, declared_by

BASE = "api/v1/"
VERBS = ("get", "post", "put", "patch", "delete")

# How a part of an address looks, and what it is. What looks otherwise is at no address: 404.
PARTS: dict[str, tuple[str, str]] = {
    "owner": (r"[^/]+", "Who the workflow belongs to: a person or a group."),
    "name": (r"[^/]+", "Name."),
    "number": (r"[1-9][0-9]{0,8}", "Number of the version."),
    "run_id": (r"[0-9A-Za-z-]{1,64}", "Id of the run."),
    "kind": (r"(?:person|group|everyone)", "Whose: a person's, a group's, or everyone's."),
    "entitlement_id": (r"[0-9A-Za-z-]{1,64}", "Id of the entitlement."),
    "start_id": (r"[0-9A-Za-z-]{1,64}", "Id of the start that a server stands for."),
    "request_id": (r"[0-9A-Za-z-]{1,64}", "Id of the request for access."),
    "exception_id": (r"[0-9A-Za-z-]{1,64}", "Id of the exception."),
    "path": (r".+", "Path of the file, as the list of artifacts has it."),
}
_PART = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """One address.

    Attributes:
        template: Below `BASE`, with parts in braces.
        handler: Who answers.
        tag: What it is about.
    """

    template: str
    handler: type[ApiHandler]
    tag: str

    @property
    def parts(self) -> list[str]:
        """Names of its parts."""
        return _PART.findall(self.template)

    def pattern(self) -> str:
        """Return it as a regular expression."""
        pieces = _PART.split(self.template)
        return "".join(
            f"(?P<{piece}>{PARTS[piece][0]})" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)
        )

    def operations(self) -> dict[str, Operation]:
        """Return what can be done here, by verb in lower case."""
        found = ((verb, declared_by(self.handler, verb)) for verb in VERBS)
        return {verb: operation for verb, operation in found if operation is not None}


ROUTES = (
    Route("profiles", profiles.Profiles, "profiles"),
    Route("profiles/{name}", profiles.OneProfile, "profiles"),
    Route("catalog", catalog.Catalog, "catalog"),
    Route("catalog/sync", curating.Sync, "catalog"),
    Route("profile-versions", catalog.AllVersions, "catalog"),
    Route("profile-checks", catalog.Checks, "catalog"),
    Route("profiles/{name}/versions", catalog.Versions, "catalog"),
    Route("profiles/{name}/versions/newest", catalog.NewestVersion, "catalog"),
    Route("profiles/{name}/versions/{number}", catalog.OneVersion, "catalog"),
    Route("profiles/{name}/versions/{number}/file", catalog.VersionFile, "catalog"),
    Route("profiles/{name}/versions/{number}/checks", catalog.VersionChecks, "catalog"),
    Route("profiles/{name}/versions/{number}/rendering", catalog.VersionRendering, "catalog"),
    Route("profiles/{name}/versions/{number}/approvals", curating.Approvals, "catalog"),
    Route("profiles/{name}/versions/{number}/withdrawal", curating.Withdrawal, "catalog"),
    Route("profiles/{name}/versions/{number}/deprecation", curating.Deprecation, "catalog"),
    Route("explanations", curating.Explanations, "catalog"),
    Route("exceptions", curating.Exceptions, "catalog"),
    Route("exceptions/{exception_id}/revocation", curating.Revocation, "catalog"),
    Route("policy/rules", catalog.PolicyRules, "catalog"),
    Route("images", images.Images, "catalog"),
    Route("images/verification", images.Verification, "catalog"),
    Route("profiles/{name}/access", entitlements.AccessOfProfile, "access"),
    Route("entitlements", entitlements.AllEntitlements, "access"),
    Route("entitlements.csv", entitlements.EntitlementFile, "access"),
    Route("entitlements/import", entitlements.EntitlementImport, "access"),
    Route("entitlements/{entitlement_id}", entitlements.OneEntitlement, "access"),
    Route("entitlements/{entitlement_id}/end", entitlements.EntitlementEnd, "access"),
    Route("access", budgets.MyAccess, "access"),
    Route("budgets", budgets.AllBudgets, "access"),
    Route("budgets/{kind}/{name}", budgets.OneBudget, "access"),
    Route("usage", budgets.AllUsage, "access"),
    Route("usage.csv", budgets.UsageFile, "access"),
    Route("usage/{kind}/{name}", budgets.UsageOf, "access"),
    Route("access-requests", access_requests.AllRequests, "access"),
    Route("access-requests/{request_id}", access_requests.OneRequest, "access"),
    Route("access-requests/{request_id}/answer", access_requests.RequestAnswer, "access"),
    Route("access-requests/{request_id}/withdrawal", access_requests.RequestWithdrawal, "access"),
    Route("people/{name}/account", people.OneAccount, "people"),
    Route("people/{name}/block", people.Block, "people"),
    Route("people/{name}/heir", people.Heir, "people"),
    Route("homes", homes.HomesOfLeavers, "people"),
    Route("homes/removal", homes.HomeRemoval, "people"),
    Route("servers", servers.Servers, "servers"),
    Route("servers/{start_id}/keep", servers.KeepServer, "servers"),
    Route("workflows", workflows.Workflows, "workflows"),
    Route("workflows/inspect", workflows.Inspect, "workflows"),
    Route("workflows/{owner}/{name}", workflows.OneWorkflow, "workflows"),
    Route("workflows/{owner}/{name}/versions", versions.Versions, "workflows"),
    Route("workflows/{owner}/{name}/versions/{number}", versions.OneVersion, "workflows"),
    Route("workflows/{owner}/{name}/versions/{number}/notebook", versions.VersionNotebook, "workflows"),
    Route("workflows/{owner}/{name}/picture", workflows.WorkflowPicture, "workflows"),
    Route("workflows/{owner}/{name}/favourite", workflows.Favourite, "workflows"),
    Route("workflows/{owner}/{name}/runs", runs.WorkflowRuns, "runs"),
    Route("runs", runs.Runs, "runs"),
    Route("runs/{run_id}", runs.OneRun, "runs"),
    Route("runs/{run_id}/cancel", runs.Cancel, "runs"),
    Route("runs/{run_id}/example", runs.Example, "runs"),
    Route("runs/{run_id}/report", results.Report, "results"),
    Route("runs/{run_id}/notebook", results.RunNotebook, "results"),
    Route("runs/{run_id}/picture", results.RunPicture, "results"),
    Route("runs/{run_id}/artifacts", results.Artifacts, "results"),
    Route("runs/{run_id}/artifacts/{path}", results.OneArtifact, "results"),
    Route("events", events.Events, "events"),
    Route("runs/{run_id}/events", events.RunEvents, "events"),
    Route("audit", audit.Audit, "audit"),
    Route("audit/verification", audit.Verification, "audit"),
    Route("read-only", maintenance.ReadOnlyMode, "service"),
    Route("health", health.Health, "service"),
    Route("openapi.json", Description, "service"),
)


def routes(prefix: str) -> list[URLSpec]:
    """Return the routes of the API.

    Args:
        prefix: Path of the service, with a slash at both ends.
    """
    return [URLSpec(f"{re.escape(prefix + BASE)}{route.pattern()}", route.handler) for route in ROUTES]
