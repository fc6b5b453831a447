"""The page of a run, and the list of one's runs."""

from __future__ import annotations

from typing import Any

from hub_ext.errors import InvalidInput, NotFound
from hub_ext.runs.states import STATES
from hub_ext.web.pages.page import Page
from hub_ext.web.pages.rendering import query
from hub_ext.web.pages.views import RunView, find_run, list_runs, load_run

_ROWS = 25


class RunsPage(Page):
    """One's own runs."""

    here = "runs"

    async def get(self) -> None:
        """Show a page of them."""
        state, cursor = self.text("state"), self.text("cursor")
        state = state if state in STATES else ""
        page = await self.call(
            list_runs, self.context, self.person, state=state or None, cursor=cursor or None, limit=_ROWS
        )
        base = self.link("runs")

        def address(**changes: Any) -> str:
            return base + query({"state": state} | changes)

        self.show("runs.html", runs=page, state=state, cursor=cursor, address=address, all_states=STATES, of_one=False)


class RunPage(Page):
    """``r/{id}``."""

    here = "runs"

    async def get(self, run_id: str) -> None:
        """Show it."""
        view = await self.call(load_run, self.context, self.person, run_id)
        self.show("run.html", view=view, run=view.run, workflow=view.run.workflow, hint=hint_for(view))


class ReportAlone(Page):
    """``r/{id}/report``."""

    async def get(self, run_id: str) -> None:
        """Show the report in the whole window."""
        run = await self.call(find_run, self.context, self.person, run_id)
        if run.report is None:
            raise NotFound("This run has no report.", hint="Look at the run itself.")
        title, source = run.workflow.title, self.link(f"api/v1/runs/{run.id}/report")
        self.show("alone.html", title=title, what="Report of this run", source=source)


class CancelForm(Page):
    """``r/{id}/cancel``."""

    here = "runs"

    async def get(self, run_id: str) -> None:
        """Lead to the run."""
        self.redirect(self.link(f"r/{run_id}"))

    async def post(self, run_id: str) -> None:
        """Cancel it."""
        run = await self.call(self.context.runs.cancel, self.person, run_id)
        self.redirect(self.link(f"r/{run.id}"), status=303)


class ExampleForm(Page):
    """``r/{id}/example``."""

    here = "runs"

    async def get(self, run_id: str) -> None:
        """Lead to the run."""
        self.redirect(self.link(f"r/{run_id}"))

    async def post(self, run_id: str) -> None:
        """Show it on the page of its workflow, or no longer."""
        on = self.text("on")
        if on not in ("0", "1"):
            raise InvalidInput.of("on", "must be 1 or 0")
        person = await self.refreshed()
        await self.call(self.context.runs.set_example, person, run_id, on=on == "1")
        self.redirect(self.link(f"r/{run_id}"), status=303)


_HINTS = {
    "ModuleNotFoundError": "The profile's environment has no such package. Choose another profile under “Where it "
    "runs”, or tell the author.",
    "FileNotFoundError": "A run begins in an empty folder: a file that lay beside the notebook is not there. Let the "
    "notebook read its data from where everybody can, or from a package.",
    "MemoryError": "It needs more memory than it has. Run it again with more, under “Where it runs”.",
    "KernelDied": "Its process ended by itself; most often it had too little memory. Run it again with more, under "
    "“Where it runs”.",
    "PermissionError": "A run gets an empty folder and nothing of yours. The notebook wants something else.",
    "ValueError": "Often a value that this notebook cannot work with. Look at the inputs, and run it again with "
    "changes.",
    "KeyboardInterrupt": "It was interrupted from inside.",
}
# What the surroundings of a run say, as against what its cells raise.
_HINTS_BY_REASON = {
    "memory": "Run it again with more, under “Where it runs”, or with less data at once.",
    "scratch space": "Let the notebook keep less in files, or write fewer of them.",
    "cannot be pulled": "Choose another profile under “Where it runs”, and tell the one who keeps this one.",
    "deleted from outside": "Run it again. If you did not delete it, tell an admin the time.",
    "node": "Its machine was lost, not your work: run it again.",
    "was not made for this person": "An admin has to remove or rename what has your name in the cluster.",
}
_USUAL_HINT = "Look at the inputs first. If they are right, tell the author: this page's address is enough."


def hint_for(view: RunView) -> str:
    """Return what to do about a run that failed; empty for any other.

    Args:
        view: The run.
    """
    run = view.run
    if run.state == "lost":
        return "Nobody can say how it ended. Run it again; if it happens once more, tell an admin."
    if run.state != "failed":
        return ""
    name = str((run.error or {}).get("name", ""))
    found = _HINTS.get(name)
    if found:
        return found
    hint = next((hint for words, hint in _HINTS_BY_REASON.items() if words in run.reason), "")
    if hint:
        return hint
    if "longer than" in run.reason or "time limit" in run.reason:
        return "Run it again with a profile that allows more time, under “Where it runs”."
    return _USUAL_HINT
