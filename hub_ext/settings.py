"""Every setting, in one place, as traitlets.

In `jupyterhub_config.py` they are set as ``c.HubExt.<name> = …``; the sharing service gets the same values from the Hub
through the environment (``HUB_EXT_<NAME>``, JSON for anything but text), so that both sides can never differ.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Integer, List, TraitError, Unicode, validate
from traitlets.config import Configurable

from hub_ext.errors import InvalidInput
from hub_ext.repository.address import wrong_address, wrong_folder, wrong_ref

_PREFIX = "HUB_EXT_"


def shipped(kind: str) -> Path:
    """Return the folder of what ships with this release (`profiles` or `shared_notebooks`).

    Args:
        kind: Name of the folder.
    """
    package = Path(__file__).resolve().parent
    installed = package / "shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


class HubExt(Configurable):
    """Settings of hub-ext."""

    state_dir = Unicode(
        ".hub-ext", help="Folder that holds all state: database, results, launches, keys, logs, homes."
    ).tag(config=True)
    database_url = Unicode("", help="SQLAlchemy address of the database; empty: SQLite in the state folder.").tag(
        config=True, secret=True
    )
    results_url = Unicode(
        "",
        help="Address of the result store: `file:///…` or `s3://bucket/prefix`; empty: the folder `results` in the "
        "state folder.",
    ).tag(config=True, secret=True)
    results_endpoint = Unicode("", help="Address of what speaks S3; empty: that of AWS for `results_region`.").tag(
        config=True
    )
    results_region = Unicode("", help="Region of the bucket, as requests are signed for it; empty: us-east-1.").tag(
        config=True
    )
    results_addressing = Enum(
        ["path", "virtual"], "path", help="Whether the bucket stands in the path of an address, or in its host name."
    ).tag(config=True)
    results_ca_file = Unicode(
        "", help="File with certificates that the result store's is signed by, beside those of the system."
    ).tag(config=True)
    profiles_dir = Unicode(
        "", help="Folder of profile files; empty: those of `profiles_repository`, else the profiles that ship."
    ).tag(config=True)
    profiles_repository = Unicode(
        "",
        help="Git repository of profile files in place of a folder: https://…, file://… or an absolute path. Passwords "
        "do not stand in it: see `profiles_credentials_file`.",
    ).tag(config=True)
    profiles_ref = Unicode("main", help="Branch, tag or whole commit id that profiles are taken from.").tag(config=True)
    profiles_folder = Unicode("", help="Folder inside the repository that holds the profiles; empty: all of it.").tag(
        config=True
    )
    profiles_sync_every = Integer(
        60, min=5, help="Seconds until the repository is asked again whether there is a new commit."
    ).tag(config=True)
    profiles_credentials_file = Unicode(
        "",
        help="File with what opens the repository by https: `name:password`, or a token alone. Empty: it is asked "
        "without.",
    ).tag(config=True)
    profiles_ca_file = Unicode(
        "", help="File with the certificates that vouch for the repository's host; empty: those of this machine."
    ).tag(config=True)
    approvals_required = Integer(
        2, min=1, help="How many people, none of them the author, must approve a version of a profile."
    ).tag(config=True)
    entitlement_days = Integer(
        366, min=1, help="How far away the end of an entitlement may be when it is granted, in days."
    ).tag(config=True)
    entitlement_reminder = Float(
        7.0, min=0, help="How many days before its end an entitlement is reminded of, on home page and start page."
    ).tag(config=True)
    entitlement_grace = Integer(
        30,
        min=0,
        help="Minutes that a server may go on when the entitlement that it runs by has ended; then it is stopped.",
    ).tag(config=True)
    budget = Dict(
        key_trait=Enum(["servers", "runs", "cpu_hours", "memory_hours", "gpu_hours", "storage_gb"]),
        value_trait=Float(min=0),
        help=(
            "What each person may have where no curator says anything: servers and runs at once, core, GB and GPU "
            "hours a month, GB of homes and results. What is left out has no limit."
        ),
    ).tag(config=True)
    notebooks_dir = Unicode("", help="Folder of workflows that ship, published as `examples`.").tag(config=True)
    enclave = Unicode("local", help="Name of the enclave (the network) this platform runs in.").tag(config=True)
    banner = Unicode("", help="Text of the banner on the top and bottom of every page; empty: none.").tag(config=True)
    banner_color = Unicode("#0b5d1e", help="Background of the banner, as a CSS hex colour.").tag(config=True)
    verify_images_every = Integer(
        360, min=1, help="Minutes until the images of an enclave that asks for it are verified again."
    ).tag(config=True)
    images_dir = Unicode(
        "", help="Folder of OCI image layouts that were carried over: their signatures are looked for there first."
    ).tag(config=True)
    registry_auth_file = Unicode(
        "", help="File with the passwords of registries, as `docker login` writes it; empty: they are asked without."
    ).tag(config=True)
    embedded = Bool(False, help="The embedded default: one trust domain on one machine; pages say so.").tag(config=True)
    environments = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="What local processes use in place of an image: environment name → Python executable.",
    ).tag(config=True)
    runtime = Enum(
        ["local", "kubernetes"],
        "local",
        help="Where servers and runs are: processes of this machine (`local`), or pods of a cluster (`kubernetes`).",
    ).tag(config=True)
    kubeconfig = Unicode(
        "", help="File that says where the cluster is and who we are there; empty: the account of our own pod."
    ).tag(config=True)
    service_kubeconfig = Unicode(
        "", help="The same for the sharing service, where the Hub runs it: an account of its own. Empty: the Hub's."
    ).tag(config=True)
    pods_hub_url = Unicode(
        "",
        help="Address that pods reach the Hub by, such as http://hub.hub-ext:8081; empty: the Hub's own. `hub-ext up` "
        "makes the Hub listen there.",
    ).tag(config=True)
    pods_service_url = Unicode(
        "",
        help="Address that pods reach the sharing service by, such as http://service.hub-ext:8880; "
        "empty: the one that the Hub knows. A service that the Hub runs listens there, where it is an IP address.",
    ).tag(config=True)
    pods_executors_url = Unicode(
        "http://hub-ext-service.hub-ext:8882",
        help="Address that the pods of runs reach the sharing service by. It listens on that port, at the address "
        "itself where this is one, else at every address of its own.",
    ).tag(config=True)
    jobs_at_once = Integer(
        100, min=1, help="How many runs are pods at the same time, those that wait for a node included; more wait here."
    ).tag(config=True)
    service_name = Unicode("workflows", help="Name of the sharing service at the Hub.").tag(config=True)
    drain_seconds = Float(
        0.0,
        min=0,
        max=300,
        help="Seconds that a sharing service which was told to end goes on answering, so that whoever leads requests "
        "to it learns of that first. It gives up its leases at once.",
    ).tag(config=True)
    runs_at_once = Integer(
        2, min=1, help="How many runs the local runtime executes at the same time; more wait in the queue."
    ).tag(config=True)
    upload_limit = Integer(20 * 2**20, min=1024, help="Largest notebook that can be published, in bytes.").tag(
        config=True
    )
    output_limit = Integer(
        10 * 2**20, min=1024, help="Largest output that one run keeps, in bytes; what comes after is dropped, and said."
    ).tag(config=True)
    artifacts_limit = Integer(
        2**30, min=0, help="Largest sum of the files that one run may leave as artifacts, in bytes."
    ).tag(config=True)
    decision_timeout = Float(
        5.0, min=0.1, help="Longest wait of the Hub for a decision, in seconds; after it, the start is denied."
    ).tag(config=True)
    role_groups = Dict(
        key_trait=Enum(["curator", "reviewer", "auditor", "admin"]),
        value_trait=List(Unicode()),
        help="Groups whose members have a role, role → groups. A role that is left out has its usual group, such as "
        "`hub-ext-curators`; an empty list gives it to nobody.",
    ).tag(config=True)
    sign_in_issuer = Unicode(
        "",
        help="Address of the OpenID Connect provider that people sign in by, to the letter as it calls itself; empty: "
        "another authenticator signs them in.",
    ).tag(config=True)
    sign_in_service = Unicode("", help="What pages call the provider; empty: the host of its address.").tag(config=True)
    sign_in_client_id = Unicode("", help="The provider's name for this platform.").tag(config=True)
    sign_in_client_secret_file = Unicode(
        "",
        help="File that holds the secret that the provider gave this platform; empty: the variable "
        "HUB_EXT_SIGN_IN_CLIENT_SECRET of the Hub's environment.",
    ).tag(config=True)
    sign_in_scopes = List(
        Unicode(), ["openid", "profile"], help="Scopes that are asked of the provider; `openid` is among them."
    ).tag(config=True)
    sign_in_parameters = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="What else is sent to the provider's sign-in page, such as `prompt`.",
    ).tag(config=True)
    sign_in_name_claim = Unicode(
        "preferred_username", help="Claim that holds the name of a person; one that she cannot change herself."
    ).tag(config=True)
    sign_in_subject_claim = Unicode(
        "sub",
        help="Claim that says which person an account is. Two accounts with the same value are one person, who never "
        "approves what she proposed.",
    ).tag(config=True)
    sign_in_groups_claim = Unicode(
        "groups", help="Claim that holds the groups; with dots, of a claim in a claim (`realm_access.roles`)."
    ).tag(config=True)
    sign_in_groups = List(
        Unicode(), help="Groups whose members may sign in; `*`: everyone whom the provider signs in."
    ).tag(config=True)
    sign_in_names = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Names that an admin gives, `sub` of the account → name: where two clash, or the Hub knew one before.",
    ).tag(config=True)
    sign_in_adopt = Bool(
        False, help="A name that the Hub, or another provider, had before belongs to whoever the provider gives it to."
    ).tag(config=True)
    sign_in_clock_skew = Integer(
        60, min=0, max=3600, help="How far the clocks of the provider and of this platform may differ, in seconds."
    ).tag(config=True)
    sign_in_ca_file = Unicode(
        "", help="File with the certificates that the provider's is signed by; empty: those of the system."
    ).tag(config=True)
    sign_in_refresh = Integer(
        240,
        min=2,
        max=270,
        help="Seconds after which the provider is asked again about everybody who holds a session, token or server.",
    ).tag(config=True)
    sign_in_when_away = Enum(
        ["deny", "allow"],
        "deny",
        help="Whether servers and runs start while the provider does not answer, on the groups that it said last.",
    ).tag(config=True)
    sign_in_logout_ends = Enum(
        ["everything", "sessions"],
        "everything",
        help="What a sign-out that the provider reports takes: sessions, tokens, servers and runs, or sessions alone.",
    ).tag(config=True)
    groups_age_hours = Float(
        24.0,
        min=0.1,
        help="How old the provider's word on somebody's groups may be, in hours: while it does not answer, where it "
        "gives no refresh tokens, and for a run that waited. Afterwards she has to sign in again.",
    ).tag(config=True)
    home_kept_days = Float(
        90.0,
        min=0,
        help="How long the home of somebody who left is kept, in days; then it is removed when an admin confirms it.",
    ).tag(config=True)
    roles = Dict(
        key_trait=Unicode(),
        value_trait=List(Unicode()),
        help="Embedded default: more roles, name → roles (curator, reviewer, auditor, admin).",
    ).tag(config=True)
    log_level = Unicode("INFO", help="Least severe log message that is written.").tag(config=True)

    @validate("banner_color")
    def _hex_color(self, proposal: Any) -> str:
        value = str(proposal.value)
        digits = value.removeprefix("#")
        if not value.startswith("#") or len(digits) not in (3, 6) or set(digits.lower()) - set("0123456789abcdef"):
            msg = f"HubExt.banner_color must be a colour such as #0b5d1e, not {value!r}"
            raise TraitError(msg)
        return value

    @validate("profiles_repository")
    def _repository(self, proposal: Any) -> str:
        value = str(proposal.value)
        wrong = wrong_address(value) if value else ""
        wrong = wrong or _beside("profiles_dir", value, self.profiles_dir)
        if wrong:
            msg = f"HubExt.profiles_repository {wrong}"
            raise TraitError(msg)
        return value

    @validate("profiles_dir")
    def _one_source(self, proposal: Any) -> str:
        value = str(proposal.value)
        wrong = _beside("profiles_repository", value, self.profiles_repository)
        if wrong:
            msg = f"HubExt.profiles_dir {wrong}"
            raise TraitError(msg)
        return value

    @validate("profiles_ref", "profiles_folder")
    def _inside_repository(self, proposal: Any) -> str:
        value, name = str(proposal.value), proposal.trait.name
        wrong = wrong_ref(value) if name == "profiles_ref" else wrong_folder(value) if value else ""
        if wrong:
            msg = f"HubExt.{name} {wrong}"
            raise TraitError(msg)
        return value

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return Path(self.state_dir).expanduser().resolve()

    @property
    def launches(self) -> Path:
        """The folder of the launch folders."""
        return self.state / "launches"

    @property
    def database(self) -> str:
        """The address of the database in use."""
        return str(self.database_url) or f"sqlite:///{self.state / 'hub-ext.sqlite'}"

    @property
    def results(self) -> str:
        """The address of the result store in use."""
        return str(self.results_url) or f"file://{self.state / 'results'}"

    @property
    def profiles(self) -> Path:
        """The folder of profile files in use; where they come from a repository, one that has nothing of it yet."""
        if self.profiles_repository:
            return self.state / "profiles" / "none"
        return Path(self.profiles_dir) if self.profiles_dir else shipped("profiles")

    @property
    def notebooks(self) -> Path:
        """The folder of shipped workflows in use."""
        return Path(self.notebooks_dir) if self.notebooks_dir else shipped("shared_notebooks")

    @property
    def at_once(self) -> int:
        """How many runs are active at the same time."""
        return int(self.jobs_at_once if self.runtime == "kubernetes" else self.runs_at_once)

    def python(self, environment: str) -> str | None:
        """Return the Python executable of an environment, None when there is no such environment."""
        if environment == "default" and environment not in self.environments:
            return sys.executable
        found = self.environments.get(environment)
        return str(found) if found else None

    def to_environment(self) -> dict[str, str]:
        """Return all settings as environment variables, for a process that we start."""
        out = {}
        for name in self.trait_names(config=True):
            value = getattr(self, name)
            if name == "state_dir":
                value = str(self.state)
            out[_PREFIX + name.upper()] = value if isinstance(value, str) else json.dumps(value)
        return out

    @classmethod
    def from_environment(cls, environ: dict[str, str] | None = None) -> HubExt:
        """Return the settings that a parent process passed on.

        Args:
            environ: The environment to read; the process's own by default.

        Raises:
            InvalidInput: If a value does not fit its setting; names the variable.
        """
        environ = dict(os.environ) if environ is None else environ
        settings = cls()
        for name, trait in cls.class_traits(config=True).items():
            variable = _PREFIX + name.upper()
            if variable not in environ:
                continue
            try:
                setattr(settings, name, _parse(name, environ[variable], is_text=isinstance(trait, Unicode | Enum)))
            except TraitError as error:
                raise InvalidInput.of(variable, str(error).replace(" trait of a HubExt instance", "")) from None
            except (ValueError, RecursionError):
                raise InvalidInput.of(variable, 'must be JSON, such as 5, true or ["a"]') from None
        return settings


def _beside(name: str, value: str, other: str) -> str:
    """Return why a setting cannot be, where another one says the same thing."""
    return f"cannot stand beside {name}: profiles come from a folder or from a repository" if value and other else ""


def _parse(name: str, text: str, *, is_text: bool) -> Any:
    """Return the value of a variable; `roles` may also be ``name=role,name2=role2``, as people write it."""
    if is_text:
        return text
    if name != "roles" or text.lstrip().startswith("{"):
        return json.loads(text)
    roles: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        who, equals, role = (piece.strip() for piece in part.partition("="))
        if not equals:
            msg = f"{part[:60]!r} is not name=role"
            raise TraitError(msg)
        roles.setdefault(who, []).append(role)
    return roles
