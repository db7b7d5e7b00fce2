"""The syntax of a Liberty file: nested groups of attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from implicore.errors import BadInput

GRAMMAR = r"""
group: NAME "(" arguments ")" "{" (group | simple | complex)* "}" ";"?
simple: NAME ":" (STRING | VALUE) ";"?
complex: NAME "(" arguments ")" ";"?
arguments: ((STRING | ARGUMENT) ","?)*

NAME: /[A-Za-z_][\w.]*/
STRING: /"(?:[^"\\]|\\(?:.|\n))*"/
VALUE: /(?:(?!\/[*\/])[^;{}"\s])(?:(?!\/[*\/])[^;{}"\n])*/
ARGUMENT: /[^\s,(){};"\\]+/
COMMENT: /\/\*(?:[^*]|\*(?!\/))*\*\// | /\/\/[^\n]*/
CONTINUATION: /\\\s*\n/
SPACE: /\s+/
%ignore SPACE
%ignore COMMENT
%ignore CONTINUATION
"""
"""A semicolon is optional, as in most tools: an unquoted value then ends with its line."""


@dataclass(frozen=True, eq=False)
class Group:
    """A group: ``kind(arguments) { attributes, groups }``.

    Attributes
    ----------
    kind : str
    arguments : tuple of str
    attributes : dict
        Name to value: a str, or a tuple of str for an attribute in parentheses. Quotes are removed.
        If a name is repeated, the last value counts.
    groups : tuple of Group
        In the order of the file.
    """

    kind: str
    arguments: tuple[str, ...]
    attributes: dict[str, str | tuple[str, ...]]
    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        """First argument; empty if there is none."""
        return self.arguments[0] if self.arguments else ""

    def all(self, *kinds: str) -> list[Group]:
        """Return the inner groups of these kinds, kind by kind."""
        return [group for kind in kinds for group in self.groups if group.kind == kind]

    def text(self, attribute: str) -> str:
        """Return the value of a simple attribute; empty if it is missing."""
        value = self.attributes.get(attribute, "")
        return value if isinstance(value, str) else ", ".join(value)

    def number(self, attribute: str) -> float | None:
        """Return the value of a simple attribute as a number; None if it is missing.

        Raises BadInput if it is not a number.
        """
        if attribute not in self.attributes:
            return None
        (value,) = self.numbers(attribute)[:1] or [None]
        if value is None:
            raise BadInput(f"The {self.kind} {self.name!r} has no value for {attribute}.")
        return value

    def numbers(self, attribute: str) -> list[float]:
        """Return the numbers of an attribute, row after row; empty if it is missing.

        Raises BadInput if a value is not a number.
        """
        value = self.attributes.get(attribute, ())
        rows: Sequence[str] = (value,) if isinstance(value, str) else value
        try:
            return [float(number) for row in rows for number in row.replace(",", " ").split()]
        except ValueError:
            raise BadInput(
                f"The {self.kind} {self.name!r} gives {attribute} as {self.text(attribute)!r}, "
                "which is not a number."
            ) from None


def parse_liberty(text: str) -> Group:
    """Return the library group of a Liberty file.

    Raises BadInput with line and column if the text is not a Liberty file.
    """
    from lark import UnexpectedInput

    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        if token is not None and token.type == "$END":
            raise BadInput("the file ends within the library") from None
        found = text[error.pos_in_stream :].split(maxsplit=1)[0][:20]
        raise BadInput(f"line {error.line}, column {error.column}: unexpected {found!r}") from None


@cache
def _parser():
    """Return the parser, built once. Only this function imports lark: the rest works without."""
    from lark import Lark, Transformer

    class Build(Transformer):
        """Build groups during parsing, without a tree of the whole file."""

        def STRING(self, token):  # noqa: N802, the terminal's name
            return token[1:-1].replace("\\\r\n", "").replace("\\\n", "").strip()

        def VALUE(self, token):  # noqa: N802
            return token.strip()

        def arguments(self, values):
            return tuple(map(str, values))

        def simple(self, parts):
            return str(parts[0]), str(parts[1])

        def complex(self, parts):
            return str(parts[0]), parts[1]

        def group(self, parts):
            kind, arguments, *items = parts
            return Group(
                str(kind),
                arguments,
                dict(item for item in items if isinstance(item, tuple)),
                tuple(item for item in items if isinstance(item, Group)),
            )

    return Lark(GRAMMAR, start="group", parser="lalr", transformer=Build())
