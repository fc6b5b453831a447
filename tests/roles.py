"""Who may do what: one table of roles, objects and verbs. Tests try every cell; docs/reference/roles.md shows it."""

from __future__ import annotations

from dataclasses import dataclass

# The columns, each with who stands for it in the tests (None: nobody is signed in; empty: whose the object is).
COLUMNS: dict[str, tuple[str, str | None]] = {
    "stranger": ("not signed in", None),
    "analyst": ("signed in, and nothing else", "eve"),
    "hers": ("whose it is", ""),
    "keeper": ("owner of the profile that it is about", "olga"),
    "reviewer": ("role reviewer", "rene"),
    "curator": ("role curator, not who proposed it", "cora"),
    "auditor": ("role auditor", "aude"),
    "admin": ("role admin, and no other", "adam"),
}

# What a cell says, by its letter; with the statuses that it means.
CELLS: dict[str, tuple[str, str]] = {
    "y": ("yes", "below 400, in a state that it fits; 409 in another"),
    "n": ("no", "403, and where it is an act: recorded"),
    "h": ("hidden", "404, as if there were none"),
    "s": ("sign in", "401"),
    "-": ("–", "nobody is this"),
}

EVERYBODY = "syyyyyyy"  # each gets what is hers to see
PUBLIC = "yyyyyyyy"
HERS = "shyhhhhh"
LOOK = "sn-nyyyy"  # who looks after the catalog
CURATE = "sn-nnynn"
READ_ALL = "sn-nnyyy"


@dataclass(frozen=True)
class Right:
    """A row.

    Attributes:
        object: What it is done to.
        verb: What is done, in words.
        operation: Verb and address of the API.
        cells: A letter of `CELLS` for each of `COLUMNS`.
    """

    object: str
    verb: str
    operation: str
    cells: str


_W = "workflows/{owner}/{name}"
_R = "runs/{run_id}"
_P = "profiles/{name}/versions"
_V = f"{_P}/{{number}}"

RIGHTS = (
    Right("profile", "list those that can be started", "GET profiles", EVERYBODY),
    Right("profile", "look at one", "GET profiles/{name}", EVERYBODY),
    Right("catalog", "look at its state", "GET catalog", LOOK),
    Right("catalog", "sync with its repository", "POST catalog/sync", CURATE),
    Right("image of the enclave", "list", "GET images", LOOK),
    Right("image of the enclave", "verify", "POST images/verification", CURATE),
    Right("version of a profile", "list every one", "GET profile-versions", LOOK),
    Right("version of a profile", "check a file", "POST profile-checks", LOOK),
    Right("version of a profile", "list", f"GET {_P}", LOOK),
    Right("version of a profile", "propose", f"POST {_P}", CURATE),
    Right("version of a profile", "look at the newest", f"GET {_P}/newest", LOOK),
    Right("version of a profile", "look", f"GET {_V}", LOOK),
    Right("version of a profile", "get its file", f"GET {_V}/file", LOOK),
    Right("version of a profile", "look at its checks", f"GET {_V}/checks", LOOK),
    Right("version of a profile", "see what a start would make", f"POST {_V}/rendering", LOOK),
    Right("version of a profile", "approve or refuse (never one's own)", f"POST {_V}/approvals", "snnnnynn"),
    Right("version of a profile", "take the proposal back", f"POST {_V}/withdrawal", "snynnnny"),
    Right("version of a profile", "deprecate", f"POST {_V}/deprecation", "snynnynn"),
    Right("explanation", "ask about somebody else", "GET explanations", LOOK),
    Right("exception", "list", "GET exceptions", LOOK),
    Right("exception", "grant", "POST exceptions", CURATE),
    Right("exception", "end", "POST exceptions/{exception_id}/revocation", CURATE),
    Right("policy rule", "list", "GET policy/rules", LOOK),
    Right("access to a profile", "see who has it, and why", "GET profiles/{name}/access", "sn-ynyyy"),
    Right("access to a profile", "see one's own", "GET access", EVERYBODY),
    Right("entitlement", "list those that one may see", "GET entitlements", EVERYBODY),
    Right("entitlement", "get those as a file", "GET entitlements.csv", EVERYBODY),
    Right("entitlement", "grant (never to oneself)", "POST entitlements", "sn-ynynn"),
    Right("entitlement", "import a file", "POST entitlements/import", "sn-ynynn"),
    Right("entitlement", "look", "GET entitlements/{entitlement_id}", "shyyhyyy"),
    Right("entitlement", "let it end earlier", "POST entitlements/{entitlement_id}/end", "shnyhynn"),
    Right("request for access", "list those that one may see", "GET access-requests", EVERYBODY),
    Right("request for access", "ask", "POST access-requests", EVERYBODY),
    Right("request for access", "look", "GET access-requests/{request_id}", "shyyhyyy"),
    Right("request for access", "answer (never one's own)", "POST access-requests/{request_id}/answer", "shnyhynn"),
    Right("request for access", "take back", "POST access-requests/{request_id}/withdrawal", "shynhnnn"),
    Right("budget", "list those that one may see", "GET budgets", EVERYBODY),
    Right("budget", "set", "PUT budgets/{kind}/{name}", "snnnnynn"),
    Right("budget", "look", "GET budgets/{kind}/{name}", "shyhhyyy"),
    Right("budget", "remove", "DELETE budgets/{kind}/{name}", "snnnnynn"),
    Right("usage", "see of whom one may see it", "GET usage", EVERYBODY),
    Right("usage", "get it as a file", "GET usage.csv", EVERYBODY),
    Right("usage", "see somebody's months (zeros where one may not)", "GET usage/{kind}/{name}", EVERYBODY),
    Right("server", "list one's own, with their ends", "GET servers", EVERYBODY),
    Right("server", "keep for another hour", "POST servers/{start_id}/keep", HERS),
    Right("workflow", "list those that one may see", "GET workflows", EVERYBODY),
    Right("workflow", "publish under somebody's name", "POST workflows", "snynnnnn"),
    Right("workflow", "look into a notebook", "POST workflows/inspect", EVERYBODY),
    Right("private workflow", "look", f"GET {_W}", HERS),
    Right("private workflow", "change", f"PATCH {_W}", HERS),
    Right("private workflow", "list its versions", f"GET {_W}/versions", HERS),
    Right("private workflow", "look at a version", f"GET {_W}/versions/{{number}}", HERS),
    Right("private workflow", "get its notebook", f"GET {_W}/versions/{{number}}/notebook", HERS),
    Right("private workflow", "see its picture", f"GET {_W}/picture", HERS),
    Right("private workflow", "keep at hand", f"PUT {_W}/favourite", HERS),
    Right("private workflow", "keep at hand no longer", f"DELETE {_W}/favourite", HERS),
    Right("private workflow", "list one's runs of it", f"GET {_W}/runs", HERS),
    Right("private workflow", "run", f"POST {_W}/runs", HERS),
    Right("run", "list one's own", "GET runs", EVERYBODY),
    Right("run", "look", f"GET {_R}", HERS),
    Right("run", "cancel", f"POST {_R}/cancel", HERS),
    Right("run", "make the example", f"PUT {_R}/example", HERS),
    Right("run", "make the example no longer", f"DELETE {_R}/example", HERS),
    Right("run", "read its report", f"GET {_R}/report", HERS),
    Right("run", "get its notebook", f"GET {_R}/notebook", HERS),
    Right("run", "see its picture", f"GET {_R}/picture", HERS),
    Right("run", "list its files", f"GET {_R}/artifacts", HERS),
    Right("run", "get a file", f"GET {_R}/artifacts/{{path}}", HERS),
    Right("run", "follow", f"GET {_R}/events", HERS),
    Right("events", "hear of a run", "GET events", HERS),
    Right("platform", "see whether it is read-only", "GET read-only", EVERYBODY),
    Right("platform", "make it read-only", "PUT read-only", "snnnnnny"),
    Right("platform", "let everything be changed again", "DELETE read-only", "snnnnnny"),
    Right("person", "block", "PUT people/{name}/block", "snnnnnny"),
    Right("person", "see what is known of the sign-in", "GET people/{name}/account", "snnnnyyy"),
    Right("person", "let in again", "DELETE people/{name}/block", "snnnnnny"),
    Right("person", "hand the workflows over", "POST people/{name}/heir", "snnnnnny"),
    Right("home of somebody who left", "list", "GET homes", "sn-nnnyy"),
    Right("home of somebody who left", "let it be removed", "POST homes/removal", "sn-nnnny"),
    Right("record of acts", "read", "GET audit", "sn-nnnyy"),
    Right("record of acts", "verify", "GET audit/verification", "sn-nnnyy"),
    Right("service", "ask whether it is well", "GET health", PUBLIC),
    Right("service", "read its description", "GET openapi.json", PUBLIC),
)


def as_markdown() -> str:
    """Return the table as docs show it."""
    lines = [
        "# Roles",
        "",
        "Made from `tests/roles.py` by `scripts/generate.py`; do not edit. Tests try every cell against a",
    ]
    lines += ["running platform (`tests/functional/test_roles.py`).", "", "| column | who |", "| --- | --- |"]
    lines += [f"| {name} | {words} |" for name, (words, _) in COLUMNS.items()]
    lines += ["", "| cell | answer of the API |", "| --- | --- |"]
    lines += [f"| {word} | {meaning} |" for word, meaning in CELLS.values()]
    lines += [
        "",
        "Whoever has several roles may what any of them may. A notebook server's own token, and a token that was made",
    ]
    lines += ["without the right to act in roles, are an analyst's, whoever's they are.", ""]
    lines += [f"| object | verb | {' | '.join(COLUMNS)} |", f"| --- | --- |{' --- |' * len(COLUMNS)}"]
    for right in RIGHTS:
        cells = " | ".join(CELLS[letter][0] for letter in right.cells)
        lines.append(f"| {right.object} | {right.verb} | {cells} |")
    return "\n".join(lines) + "\n"
