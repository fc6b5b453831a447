"""Every page and its address."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tornado.routing import URLSpec
from tornado.web import RequestHandler

from hub_ext.web.pages import (
    access,
    assets,
    catalog,
    curating,
    gallery,
    granting,
    homes,
    images,
    leaving,
    maintenance,
    platform,
    publish,
    run,
    sheet,
    signin,
    spending,
    who,
    workflow,
)

_OF_ONE = r"w/([^/]+)/([^/]+)"
_VERSION = r"profiles/([a-z0-9-]{1,63})/([1-9][0-9]{0,8})"
_Pages = list[tuple[str, type[RequestHandler]]]

_WORKFLOWS: _Pages = [
    ("", gallery.HomePage),
    (r"servers/([0-9A-Za-z-]{1,64})/keep", gallery.KeepForm),
    ("gallery", gallery.GalleryPage),
    (_OF_ONE, workflow.WorkflowPage),
    (f"{_OF_ONE}/notebook", workflow.NotebookAlone),
    (f"{_OF_ONE}/run", workflow.RunForm),
    (f"{_OF_ONE}/check", workflow.CheckForm),
    (f"{_OF_ONE}/favourite", workflow.FavouriteForm),
    (f"{_OF_ONE}/access", workflow.AccessForm),
    ("runs", run.RunsPage),
    (r"r/([^/]+)", run.RunPage),
    (r"r/([^/]+)/report", run.ReportAlone),
    (r"r/([^/]+)/cancel", run.CancelForm),
    (r"r/([^/]+)/example", run.ExampleForm),
]
_PUBLISHING: _Pages = [
    ("publish", publish.PublishPage),
    (r"publish/draft/([A-Za-z0-9_-]{1,64})", publish.DraftPage),
    ("publish/files", publish.FilesPage),
    ("files/connect", publish.Connect),
    ("files/oauth_callback", publish.Connected),
]
_CATALOG: _Pages = [
    ("profiles", catalog.ProfilesPage),
    ("profiles/cards", catalog.CardsPage),
    ("profiles/rules", catalog.RulesPage),
    ("profiles/explain", catalog.ExplainPage),
    ("profiles/images", images.ImagesPage),
    ("profiles/images/verify", images.VerifyImagesForm),
    ("profiles/propose", curating.ProposePage),
    ("profiles/sync", curating.SyncForm),
    ("profiles/exceptions", curating.ExceptionsPage),
    (r"profiles/exceptions/([0-9A-Za-z-]{1,64})/revoke", curating.RevokeForm),
    (_VERSION, catalog.VersionPage),
    (f"{_VERSION}/preview", catalog.PreviewPage),
    (f"{_VERSION}/propose", curating.ProposeForm),
    (f"{_VERSION}/judge", curating.JudgeForm),
    (f"{_VERSION}/withdraw", curating.WithdrawForm),
    (f"{_VERSION}/deprecate", curating.DeprecateForm),
]
_ACCESS: _Pages = [
    ("access", access.MyAccessPage),
    (r"access/requests/([0-9A-Za-z-]{1,64})/withdraw", access.WithdrawForm),
    ("access/requests", granting.RequestsPage),
    (r"access/requests/([0-9A-Za-z-]{1,64})/answer", granting.AnswerForm),
    ("access/entitlements", granting.EntitlementsPage),
    (r"access/entitlements/([0-9A-Za-z-]{1,64})/end", granting.ShortenForm),
    (r"access/profiles/([a-z0-9-]{1,63})", granting.ProfileAccessPage),
    ("access/budgets", spending.BudgetsPage),
    ("access/budgets/remove", spending.RemoveBudgetForm),
    ("access/usage", spending.UsagePage),
    ("access/people", who.PeoplePage),
    (r"access/people/([^/]+)", who.PersonPage),
    (r"access/people/([^/]+)/block", leaving.BlockForm),
    (r"access/people/([^/]+)/let-in", leaving.LetInForm),
    (r"access/people/([^/]+)/heir", leaving.HeirForm),
    ("access/homes", homes.HomesPage),
    ("access/homes/confirm", homes.ConfirmHomesPage),
    ("access/homes/remove", homes.RemoveHomesForm),
    ("access/groups", who.GroupsPage),
    (r"access/groups/([^/]+)", who.GroupPage),
]
_REST: _Pages = [
    ("audit", platform.AuditPage),
    ("audit/verify", platform.VerifyPage),
    ("read-only", maintenance.MaintenancePage),
    ("help", platform.HelpPage),
    ("oauth_callback", signin.SignedIn),
    ("banner.css", platform.BannerStyle),
    ("ahead.js", platform.Ahead),
    (rf"static/(v-[0-9a-f]{{12}}/)?{re.escape(sheet.PATH)}", assets.Sheet),
    ("static/(.*)", assets.Assets),
]


def routes(prefix: str) -> Iterable[URLSpec]:
    """Return the routes of all pages and static files.

    Args:
        prefix: Path of the service, with a slash at both ends.
    """
    yield URLSpec(re.escape(prefix.rstrip("/")), gallery.HomePage)
    for pattern, handler in [*_WORKFLOWS, *_CATALOG, *_ACCESS, *_REST]:
        yield URLSpec(re.escape(prefix) + pattern, handler)
    shared = publish.shared_parts(prefix)
    for pattern, handler in _PUBLISHING:
        yield URLSpec(re.escape(prefix) + pattern, handler, shared)
