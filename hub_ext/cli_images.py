"""`hub-ext images …`: what the names of images mean in an enclave, who signed that, and whether it verifies."""

from __future__ import annotations

import getpass
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.table import Column, Table
from rich.text import Text

from hub_ext.cli_profiles import enclave_option, folder_option, json_option, out, show_json
from hub_ext.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable

if TYPE_CHECKING:
    from hub_ext.catalog.lock_file import LockInForce
    from hub_ext.catalog.locks import ImagesLock
    from hub_ext.catalog.policy import Enclave
    from hub_ext.images.verifying import Verification
    from hub_ext.settings import HubExt

_PASSWORD = "HUB_EXT_KEY_PASSWORD"  # noqa: S105  # the name of a variable
_TAGGED = re.compile(
    r"(?P<host>[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?)/(?P<name>[a-z0-9][a-z0-9._/-]*)"
    r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})"
)
_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group()
def images() -> None:
    """What the names of images mean in an enclave: its images.lock."""


def _key_option(function: _Function) -> _Function:
    return click.option(
        "--key",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help=f"Private key to sign with (PEM); what opens it is {_PASSWORD}, else it is asked for.",
    )(function)


class _Lock:
    """The lock of an enclave as a file to work on.

    Args:
        folder: The profiles folder; None for the one in force.
        enclave: Name of the enclave; None for the one in force.

    Raises:
        InvalidInput: If the enclave cannot be read, or has no images.
    """

    def __init__(self, folder: Path | None, enclave: str | None) -> None:
        from hub_ext.catalog.loading import PolicyFiles
        from hub_ext.cli_desk import local_settings, profiles_folder

        settings = local_settings(None)
        self.folder = profiles_folder(folder)
        held = PolicyFiles(self.folder, enclave or str(settings.enclave)).read()
        self.enclave: Enclave = held.enclave
        name = held.enclave.metadata.name
        if held.enclave.metadata.name == "none":
            raise InvalidInput.of("enclave", "; ".join(str(problem) for problem in held.problems) or "is not there")
        if held.enclave.spec.local:
            raise InvalidInput.of("enclave", f"{name} runs processes of this machine, which have no images")
        self.path = self.folder / "_enclaves" / f"{name}.images.lock"

    def read(self) -> ImagesLock | None:
        """Return what the file says, whoever signed it; None where there is none.

        Raises:
            InvalidInput: If it cannot be read; `problems` name the lines.
        """
        from hub_ext.catalog.documents import read
        from hub_ext.catalog.locks import ImagesLock

        if not self.path.exists():
            return None
        found = read(self.path, self.path.name, ImagesLock)
        if isinstance(found, ImagesLock):
            return found
        problems = [Problem("", problem.message, problem.line) for problem in found]
        raise InvalidInput(f"{self.path.name} cannot be read: {found[0]}", problems=problems)

    def in_force(self) -> LockInForce:
        """Return what a platform would make of the file."""
        from hub_ext.catalog.lock_file import LockFile

        return LockFile(self.folder, self.enclave.metadata.name).read(self.enclave)

    def write(self, lock: ImagesLock) -> None:
        """Put a lock in place of the file, at once and whole."""
        from hub_ext.kubernetes.yaml_text import to_yaml

        content = lock.model_dump(mode="json", by_alias=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=self.path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(to_yaml([content]))
        Path(made).chmod(0o644)
        Path(made).replace(self.path)

    def signed(self, lock: ImagesLock, key: Path) -> ImagesLock:
        """Return a lock with one more signature.

        Raises:
            InvalidInput: If the key cannot be read, or is none of the enclave's signers.
        """
        from hub_ext.catalog.keys import BadKey, signer

        try:
            by = signer(key.read_bytes(), _password(key))
        except BadKey as error:
            raise InvalidInput.of("key", str(error)) from None
        for known in self.enclave.spec.lock_keys():
            if known.fingerprint == by.public_key.keyid:
                return lock.signed(known.name, by)
        raise InvalidInput.of("key", f"is none of the signers that {self.enclave.metadata.name} names")


def _password(key: Path) -> bytes | None:
    """Return what opens a key, None for one that is open."""
    if b"ENCRYPTED" not in key.read_bytes():
        return None
    given = os.environ.get(_PASSWORD)
    return (given if given is not None else click.prompt("Password of the key", hide_input=True)).encode()


def _told(lock: _Lock) -> None:
    """Print how the lock stands now."""
    found = lock.in_force()
    for problem in found.problems:
        out.print(Text(str(problem), style="yellow"))
    for note in found.notes if not found.problems else ():
        out.print(Text(note))


@images.command(name="lock")
@click.argument("name")
@click.argument("reference", required=False)
@click.option("--remove", is_flag=True, help="Take the name out.")
@_key_option
@folder_option
@enclave_option
def lock_(
    name: str, reference: str | None, remove: bool, key: Path | None, folder: Path | None, enclave: str | None
) -> None:
    """Let NAME mean REFERENCE in an enclave's images.lock, and sign it.

    REFERENCE is registry/name@sha256:…, or registry/name:tag: then the registry is asked which digest that is now.
    The lock gets the next serial, and loses the signatures of what it said before.
    """
    if remove == (reference is not None):
        raise click.UsageError("Give a REFERENCE, or --remove.")
    lock = _Lock(folder, enclave)
    after = _changed(lock, name, _by_digest(lock, reference))
    after = after if key is None else lock.signed(after, key)
    lock.write(after)
    out.print(Text(f"{lock.path.name} has the serial {after.metadata.serial}."))
    _told(lock)


def _by_digest(lock: _Lock, reference: str | None) -> str | None:
    """Return a reference by digest; a registry says which one a tag means.

    Raises:
        InvalidInput: If there is no such tag.
        Unavailable: If the registry does not answer.
    """
    from hub_ext.cli_desk import local_settings
    from hub_ext.images.registry import Registry
    from hub_ext.images.source import SourceError, Unreachable
    from hub_ext.images.watch import reach, sources_of

    found = _TAGGED.fullmatch(reference or "")
    if found is None:
        return reference
    registry = Registry(reach(found["host"], lock.enclave), sources_of(local_settings(None))[1])
    try:
        return f"{found['host']}/{found['name']}@{registry.digest_of(found['host'], found['name'], found['tag'])}"
    except Unreachable as error:
        raise Unavailable(f"{error}.") from None
    except SourceError as error:
        raise InvalidInput.of("reference", str(error)) from None
    finally:
        registry.close()


def _changed(lock: _Lock, name: str, reference: str | None) -> ImagesLock:
    """Return the lock with another meaning of a name; None takes the name out.

    Raises:
        NotFound: If it is to be taken out and is not there.
        InvalidInput: If one of them is none.
    """
    from pydantic import ValidationError

    from hub_ext.catalog.locks import ImagesLock

    before = lock.read()
    known = dict(before.images) if before is not None else {}
    if reference is None and name not in known:
        raise NotFound(f"{lock.path.name} has no image {name}.")
    known |= {name: reference} if reference is not None else {}
    wanted = {one: known[one] for one in sorted(known) if one != name or reference is not None}
    try:
        if before is not None:
            return before.with_images(wanted)
        return ImagesLock.of(lock.enclave.metadata.name, 1, wanted)
    except ValidationError as error:
        if "[key]" in error.errors()[0]["loc"]:
            raise InvalidInput.of("name", "must be words of a-z and 0-9 with . _ / or - between") from None
        raise InvalidInput.of("reference", "must be registry/name@sha256:…, all of it, or registry/name:tag") from None


@images.command()
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help=f"Private key (PEM); what opens it is {_PASSWORD}, else it is asked for.",
)
@folder_option
@enclave_option
def sign(key: Path, folder: Path | None, enclave: str | None) -> None:
    """Sign an enclave's images.lock as it is, beside those who signed it before."""
    lock = _Lock(folder, enclave)
    found = lock.read()
    if found is None or not found.images:
        raise Conflict(f"{lock.path.name} has no images yet: there is nothing to sign.")
    lock.write(lock.signed(found, key))
    out.print(Text(f"{lock.path.name} is signed."))
    _told(lock)


@images.command(name="list")
@folder_option
@enclave_option
@json_option
def list_(folder: Path | None, enclave: str | None, as_json: bool) -> None:
    """List what the names of images mean, and who signed that. The exit code is 1 if the lock is not taken as it is."""
    from hub_ext.catalog.locks import ImagesLock, check_signatures

    lock = _Lock(folder, enclave)
    found, held = lock.read() or ImagesLock.of(lock.enclave.metadata.name, 1, {}), lock.in_force()
    by = check_signatures(found, lock.enclave.spec.lock_keys()).by
    if as_json:
        show_json(
            {
                "enclave": lock.enclave.metadata.name,
                "serial": found.metadata.serial,
                "signed_by": list(by),
                "signatures_needed": lock.enclave.spec.signatures,
                "images": found.images,
                "problems": [str(problem) for problem in held.problems],
                "notes": list(held.notes),
            }
        )
    else:
        table = Table("name", Column("image", overflow="fold"), box=None)
        for name, reference in found.images.items():
            table.add_row(Text(name), Text(reference))
        out.print(table if found.images else "No name means an image yet.")
        signed = f"signed by {' and '.join(by)}" if by else "not signed"
        out.print(Text(f"Serial {found.metadata.serial}, {signed}; {lock.enclave.spec.signatures} must sign."))
        _told(lock)
    raise SystemExit(1 if held.problems else 0)


@images.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--layout",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of OCI image layouts that were carried over (`cosign save`): looked at before any registry.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Keep what is found in the database of this state folder, where decisions see it.",
)
@folder_option
@enclave_option
@json_option
def verify(
    names: tuple[str, ...],
    layout: Path | None,
    state: Path | None,
    folder: Path | None,
    enclave: str | None,
    as_json: bool,
) -> None:
    """Verify the images of an enclave: digest, signature by one of its keys (cosign), and list of parts (SBOM).

    Nothing but the registry, or the folder, is asked. Exit codes: 0 every image verifies; 1 one does not, or has no
    list where the enclave requires one; 4 none of that, and a registry did not answer.
    """
    from hub_ext.cli_desk import local_settings
    from hub_ext.images.watch import sources_of, verify_all

    lock, settings = _Lock(folder, enclave), local_settings(state)
    held = lock.in_force()
    unknown = [name for name in names if name not in held.images]
    if unknown:
        raise NotFound(f"{lock.path.name} has no image {unknown[0]} that can be used.")
    carried, credentials = sources_of(settings)
    wanted = {name: image for name, image in held.images.items() if not names or name in names}
    found = verify_all(wanted.values(), lock.enclave, folder=layout or carried, credentials=credentials)
    if state is not None:
        _keep(settings, found)
    by_image = {one.image: one for one in found}
    if as_json:
        show_json([{"name": name, **by_image[image].as_dict()} for name, image in wanted.items()])
    else:
        for name, image in wanted.items():
            _tell_verified(name, by_image[image])
        _told(lock)
    raise SystemExit(1 if held.problems else _exit_code(found, listed=lock.enclave.spec.sbom == "required"))


def _exit_code(found: list[Verification], *, listed: bool) -> int:
    """Return how it ended: refused before away before well."""
    outcomes = {one.outcome for one in found}
    unlisted = listed and any(one.outcome == "verified" and not one.sbom for one in found)
    return 1 if "refused" in outcomes or unlisted else 4 if "unreachable" in outcomes else 0


def _keep(settings: HubExt, found: list[Verification]) -> None:
    """Keep what was found in the database of a state folder."""
    from hub_ext.db.session import Database
    from hub_ext.governance.evidence import record

    if not settings.database_url and not (settings.state / "hub-ext.sqlite").is_file():
        raise NotFound("There is no database in this state folder.", hint="`hub-ext up` makes it.")
    database = Database(settings.database)
    with database.write() as session:
        record(session, found, getpass.getuser())
    database.dispose()


def _tell_verified(name: str, found: Verification) -> None:
    """Print how an image stands."""
    by = f" by {' and '.join(found.keys)}" if found.keys else ""
    signed = f", signed by {found.sbom_by}" if found.sbom_by else ", not signed" if found.sbom else ""
    words = f"{name}: {found.outcome}{by}; list of parts: {found.sbom or 'none'}{signed}"
    out.print(Text(words, style="" if found.outcome == "verified" else "bold red"))
    out.print(Text(f"  {found.image}"))
    for problem in found.problems:
        out.print(Text(f"  {problem}"))


@images.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def key(file: Path) -> None:
    """Make a key to sign locks with: the private one into FILE, the public one printed, for the enclave's `signers`.

    What locks it is HUB_EXT_KEY_PASSWORD, else it is asked for; an empty one leaves it open.
    """
    from hub_ext.catalog.keys import make_pair

    given = os.environ.get(_PASSWORD)
    if given is None:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, default="", show_default=False)
    private, public = make_pair(given.encode() or None)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"{file} is there already.", hint="Name another file: a key is never overwritten.") from None
    except OSError as error:
        raise InvalidInput.of("file", f"cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(private)
    click.echo(public, nl=False)
