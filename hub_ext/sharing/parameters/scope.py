"""What the names in a parameters cell stand for: its imports, those of the cells above it, and its Enum classes."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hub_ext.sharing.parameters.kinds import MAX_CHOICES, fragment, is_storable
from hub_ext.sharing.parameters.model import Fragment

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES: Final[dict[str, str]] = {
    "datetime": "date datetime time timedelta timezone UTC",
    "pathlib": "Path PurePath PosixPath PurePosixPath",
    "decimal": "Decimal",
    "enum": "Enum IntEnum StrEnum Flag IntFlag auto",
    "typing": "Annotated Any Dict Doc Final FrozenSet List Literal Mapping MutableMapping MutableSequence Optional "
    "Sequence Set Tuple TypeAlias Union",
    "pydantic": "AwareDatetime Field FilePath DirectoryPath NaiveDatetime NegativeFloat NegativeInt NonNegativeFloat "
    "NonNegativeInt NonPositiveFloat NonPositiveInt PositiveFloat PositiveInt SecretStr StrictBool StrictFloat "
    "StrictInt StrictStr StringConstraints",
    "annotated_types": "Ge Gt Interval Le Len Lt MaxLen MinLen MultipleOf",
}
# A notebook may import these where we do not look (`%run`, a star import), so each also stands for itself.
_BARE: Final = {name: f"{module}.{name}" for module, names in _MODULES.items() for name in names.split()}
_SHORT: Final = {"t": "typing", "dt": "datetime", "np": "numpy", "pd": "pandas"}
_SAME: Final = {  # other homes of the same names
    "builtins": "",
    "typing_extensions": "typing",
    "collections.abc": "typing",
    "pydantic.types": "pydantic",
    "pydantic.fields": "pydantic",
}
_ENUMS: Final = {"enum.Enum", "enum.IntEnum", "enum.StrEnum"}
_BLOCKS = ("body", "orelse", "finalbody", "handlers")


@dataclass(frozen=True)
class EnumMember:
    """A default that is a member of an Enum class."""

    fragment: Fragment
    value: Any  # as the schema lists it


@dataclass(frozen=True)
class EnumClass:
    """An Enum class that a cell defines.

    Attributes:
        name: Its name.
        members: Value of each member by its name, without second names of the same value.
        by_name: Members are chosen by name, since their values are not all plain text or numbers.
    """

    name: str
    members: dict[str, Any]
    by_name: bool

    @property
    def fragment(self) -> Fragment:
        """Its schema."""
        choices = list(self.members) if self.by_name else list(self.members.values())
        return fragment("enum", {"enum": choices}, enum_class=self.name, enum_by="name" if self.by_name else "value")

    def member(self, name: str) -> EnumMember:
        """Return the member of that name; KeyError if there is none."""
        value = self.members[name]
        return EnumMember(self.fragment, name if self.by_name else value)

    def of(self, value: Any) -> EnumMember:
        """Return the member of that value; KeyError if there is none."""
        for name, own in self.members.items():
            if type(own) is type(value) and own == value:
                return self.member(name)
        raise KeyError(value)


class BadEnumError(ValueError):
    """An Enum class that cannot be offered as choices; the text says why and what to do."""


@dataclass
class Scope:
    """What is known of names. `learn` it from the cells above, then read the parameters cell with it."""

    imported: dict[str, str] = field(default_factory=dict)  # name here → dotted name at home
    enums: dict[str, EnumClass] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)  # `Size = Literal["s", "m"]`

    def learn(self, tree: ast.Module) -> None:
        """Take up the imports and Enum classes of a cell above."""
        for statement in module_level(tree.body):
            self.take_import(statement)
            if isinstance(statement, ast.ClassDef):
                try:
                    self.take_enum(statement)
                except BadEnumError:
                    continue  # nothing of a cell above is refused; a parameter that uses the class will be

    def take_import(self, statement: ast.stmt) -> None:
        """Take up an import statement."""
        if isinstance(statement, ast.Import):
            for name in statement.names:
                home = name.name if name.asname else name.name.split(".")[0]
                self.imported[name.asname or home] = home
        elif isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            for name in statement.names:
                if name.name == "*":
                    self.imported |= {star: f"{module}.{star}" for star in _MODULES.get(module, "").split()}
                else:
                    self.imported[name.asname or name.name] = f"{module}.{name.name}"

    def resolve(self, node: ast.expr) -> str:
        """Return the dotted name at home of a name or attribute (`List` → ``typing.List``), or nothing."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        home = self.imported.get(node.id) or self._unseen(node.id, alone=not parts)
        module, _, last = ".".join([home, *parts]).rpartition(".")
        return f"{_SAME.get(module, module)}.{last}".removeprefix(".")

    @staticmethod
    def _unseen(name: str, *, alone: bool) -> str:
        """Return the home of a name that no import names; `datetime` alone is the class, before a dot the module."""
        if not alone and name in _SHORT:
            return _SHORT[name]
        return _BARE.get(name, name) if alone or name not in _MODULES else name

    def is_imported(self, node: ast.expr) -> bool:
        """Whether the first part of a dotted name was seen to be imported."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imported

    def take_enum(self, statement: ast.ClassDef) -> bool:
        """Take up a class definition, if it is an Enum.

        Raises:
            BadEnumError: It is one whose members cannot be read.
        """
        bases = {self.resolve(base) for base in statement.bases}
        if bases & {"enum.Flag", "enum.IntFlag"}:
            raise BadEnumError("a Flag cannot be chosen in a form; use Enum with one member for each combination")
        if not bases & _ENUMS:
            return False
        members, plain = self._members(statement)
        if not members:
            raise BadEnumError("an Enum without members leaves nothing to choose; give it some")
        if len(members) > MAX_CHOICES:
            raise BadEnumError(f"an Enum of more than {MAX_CHOICES} members is no choice; use str or int")
        special = any(isinstance(part, ast.FunctionDef) and part.name in _MAKERS for part in statement.body)
        self.enums[statement.name] = EnumClass(statement.name, members, by_name=special or not plain)
        return True

    def _members(self, statement: ast.ClassDef) -> tuple[dict[str, Any], bool]:
        """Return name → value of the members, and whether all values are plain text or numbers."""
        members: dict[str, Any] = {}
        plain = True
        for part in statement.body:
            target = part.targets[0] if isinstance(part, ast.Assign) else getattr(part, "target", None)
            node = getattr(part, "value", None)
            if not isinstance(target, ast.Name) or not isinstance(node, ast.expr) or target.id.startswith("_"):
                continue
            name = target.id
            value, is_plain = self._member(node)
            if value not in members.values() or not is_plain:
                members[name] = value
            plain = plain and is_plain
        return members, plain

    def _member(self, node: ast.expr) -> tuple[Any, bool]:
        if isinstance(node, ast.Call) and self.resolve(node.func) == "enum.auto":
            return None, False
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise BadEnumError('the value of an Enum member must be a literal, such as "red" or 1') from None
        return value, type(value) in (str, int, bool) and is_storable(value)


_MAKERS: Final = {"__new__", "__init__", "_missing_", "_generate_next_value_"}


def module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, and those inside their blocks; not those of functions and classes."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for block in _BLOCKS:
            for part in getattr(statement, block, []):
                yield from module_level(part.body if isinstance(part, ast.ExceptHandler) else [part])
