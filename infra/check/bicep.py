"""A reader of Bicep files: what they declare, as Python values where the text says so.

It reads the subset that this template is written in, by the grammar of the package tree-sitter-bicep. What it cannot
read (spread; types, functions and imports of one's own) comes back as a fault, so that nothing is passed over in
silence. The whole language: https://learn.microsoft.com/azure/azure-resource-manager/bicep/file
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

LANGUAGE = Language(tree_sitter_bicep.language())
#: https://learn.microsoft.com/azure/azure-resource-manager/bicep/data-types#strings
ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]+)\}|(.))")
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}
#: What a parameters file sets.
GIVEN = re.compile(r"(?m)^param(?=\s)")


class Kind(StrEnum):
    """What sort of expression it is."""

    NAME = "name"  #: `location`: a parameter, a variable, a resource, a module or a loop's item
    MEMBER = "member"  #: `account.properties.primaryEndpoints`, `items[0]`
    CALL = "call"  #: `guid(a, b)`; `function` is what stands before the bracket, `parts` are the arguments
    CHOICE = "choice"  #: `a ? b : c`; `parts` are the condition and both values
    LOOP = "loop"  #: `[for x in y: z]`; `parts` are y and z
    TEXT = "text"  #: a string with `${…}` in it; `parts` are the values that are put in
    OTHER = "other"  #: anything else; `parts` are its operands


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A value that only the deployment knows."""

    kind: Kind
    text: str  #: as written
    function: str = ""
    parts: "tuple[Value, ...]" = ()
    names: frozenset[str] = frozenset()  #: every name that it mentions

    def __str__(self) -> str:
        return self.text


Value = str | int | bool | None | list["Value"] | dict[str, "Value"] | Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What every declaration has."""

    name: str  #: as other declarations call it
    line: int
    decorators: Mapping[str, list[Value]] = field(default_factory=dict)  #: name -> arguments

    @property
    def description(self) -> str:
        """Of `@description`; empty without one."""
        given = self.decorators.get("description", [""])[0]
        return given if isinstance(given, str) else str(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Param(Declaration):
    """A parameter."""

    type: str  #: as written
    default: Value = None
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Declaration):
    """A variable, an output, or what a parameters file gives."""

    type: str = ""  #: of outputs, as written
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Declaration):
    """A resource; a nested one has the full type, and its parent's name in `parent`."""

    type: str  #: without the version: `Microsoft.Storage/storageAccounts`
    version: str
    existing: bool
    body: dict[str, Value]  #: without nested resources
    condition: Value = True
    loop: Value = None  #: what it is declared for each of
    item: str = ""  #: the loop's variable
    parent: str = ""

    def at(self, path: str, default: Value = None) -> Value:
        """The value at `properties.encryption.services`, or `default` where the text has none."""
        return at(self.body, path, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module(Declaration):
    """A call of another file."""

    path: str  #: as written, relative to the caller
    body: dict[str, Value]
    condition: Value = True
    loop: Value = None  #: what it is called for each of
    item: str = ""  #: the loop's variable

    @property
    def params(self) -> dict[str, Value]:
        """What it is called with."""
        given = self.body.get("params")
        return given if isinstance(given, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What could not be read."""

    line: int
    message: str


@dataclass(slots=True, kw_only=True)
class Bicep:
    """What one file declares."""

    path: Path
    using: str = ""  #: of a parameters file: the template
    params: dict[str, Param] = field(default_factory=dict)
    given: dict[str, Assignment] = field(default_factory=dict)  #: of a parameters file: what it sets
    variables: dict[str, Assignment] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    outputs: dict[str, Assignment] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def everything(self, value: Value) -> Iterator[Value]:
        """The value and all that it is made of: items, fields, arguments, sides of a choice, variables it names."""
        yield from _everything(self, value, frozenset())

    def values(self) -> Iterator[tuple[int, Value]]:
        """Everything that is written in the file, with the line of what declares it."""
        bodies: list[Resource | Module] = [*self.resources.values(), *self.modules.values()]
        for declared in bodies:
            yield declared.line, declared.body
            yield declared.line, declared.loop
            yield declared.line, declared.condition
        for assigned in (*self.variables.values(), *self.outputs.values(), *self.given.values()):
            yield assigned.line, assigned.value
        for param in self.params.values():
            yield param.line, param.default

    def of_type(self, type_name: str) -> list[Resource]:
        """The resources of a type that this file makes, in any case of letters."""
        return [r for r in self.resources.values() if r.type.lower() == type_name.lower() and not r.existing]


def at(value: Value, path: str, default: Value = None) -> Value:
    """What lies at `a.b.c` in nested objects, or `default` where there is nothing."""
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return default
        value = value[key]
    return value


def read(path: Path) -> Bicep:
    """What a `.bicep` or `.bicepparam` file declares. What cannot be read is among its faults; raises OSError."""
    text = path.read_text(encoding="utf-8")
    given: set[int] = set()
    if path.suffix == ".bicepparam":  # the grammar wants a type after `param`, which parameters files do not have
        given = {number for number, line in enumerate(text.splitlines(), 1) if GIVEN.match(line)}
        text = GIVEN.sub("var  ", text)
    return _Reader(Bicep(path=path), given).file(_parsed(text))


def _everything(bicep: Bicep, value: Value, open_names: frozenset[str]) -> Iterator[Value]:
    yield value
    if isinstance(value, Expression):
        for part in value.parts:
            yield from _everything(bicep, part, open_names)
        if value.kind is Kind.NAME and value.text in bicep.variables and value.text not in open_names:
            yield from _everything(bicep, bicep.variables[value.text].value, open_names | {value.text})
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _everything(bicep, each, open_names)


def _parsed(text: str) -> Node:
    return Parser(LANGUAGE).parse(text.encode()).root_node


class _Reader:
    def __init__(self, bicep: Bicep, given: set[int]) -> None:
        self.bicep, self.given = bicep, given  #: lines on which a parameters file gives a value

    def file(self, root: Node) -> Bicep:
        self.syntax(root)
        decorators: dict[str, list[Value]] = {}
        for node in _code(root):
            if node.type == "decorators":
                decorators = self.decorators(node)
                continue
            self.declaration(node, decorators)
            decorators = {}
        return self.bicep

    def syntax(self, node: Node) -> None:
        """Every place that the grammar could not make sense of."""
        if node.type == "ERROR" or node.is_missing:
            self.fault(node, f"syntax error near {_text(node)[:60]!r}")
        elif node.has_error:
            for child in node.children:
                self.syntax(child)

    def declaration(self, node: Node, decorators: dict[str, list[Value]]) -> None:
        bicep, parts = self.bicep, _code(node)
        name, line = _name(node), _line(node)
        match node.type:
            case "parameter_declaration":
                kind, *default = [p for p in parts if p.type != "identifier" or p is not parts[0]]
                bicep.params[name] = Param(
                    name=name,
                    line=line,
                    decorators=decorators,
                    type=_text(kind),
                    default=self.value(default[0]) if default else None,
                    required=not default and not _text(kind).endswith("?"),
                )
            case "variable_declaration":
                table = bicep.given if line in self.given else bicep.variables
                table[name] = Assignment(name=name, line=line, decorators=decorators, value=self.value(parts[-1]))
            case "output_declaration":
                bicep.outputs[name] = Assignment(
                    name=name, line=line, decorators=decorators, type=_text(parts[1]), value=self.value(parts[-1])
                )
            case "resource_declaration":
                self.resource(node, decorators, None)
            case "module_declaration":
                self.module(node, decorators)
            case "using_statement":
                bicep.using = _unquoted(parts[0])
            case "target_scope_assignment" | "metadata_declaration":
                pass
            case _:
                self.fault(node, "cannot be read")

    def decorators(self, node: Node) -> dict[str, list[Value]]:
        found: dict[str, list[Value]] = {}
        for decorator in _code(node):
            for call in _code(decorator):
                value = self.value(call)
                if isinstance(value, Expression):
                    found[value.function or value.text] = list(value.parts)
        return found

    def resource(self, node: Node, decorators: dict[str, list[Value]], outer: Resource | None) -> None:
        type_name, _, version = self.quoted(node).partition("@")
        body, condition, loop, item = self.body(node)
        parent = body.get("parent") if body else None
        declared = Resource(
            name=_name(node),
            line=_line(node),
            decorators=decorators,
            type=f"{outer.type}/{type_name}" if outer else type_name,
            version=version or (outer.version if outer else ""),
            existing=any(child.type == "existing" for child in node.children),
            body=body,
            condition=condition,
            loop=loop,
            item=item,
            parent=outer.name if outer else (str(parent) if parent is not None else ""),
        )
        self.bicep.resources[declared.name] = declared
        for nested in _nested(node):
            self.resource(nested, {}, declared)

    def module(self, node: Node, decorators: dict[str, list[Value]]) -> None:
        body, condition, loop, item = self.body(node)
        name = _name(node)
        self.bicep.modules[name] = Module(
            name=name,
            line=_line(node),
            decorators=decorators,
            path=self.quoted(node),
            body=body,
            condition=condition,
            loop=loop,
            item=item,
        )

    def quoted(self, node: Node) -> str:
        """The type of a resource, or the path of a module."""
        string = next((part for part in _code(node) if part.type == "string"), None)
        return _unquoted(string) if string is not None else ""

    def body(self, node: Node) -> tuple[dict[str, Value], Value, Value, str]:
        """The object of a resource or module; its condition, its loop and the loop's variable."""
        condition: Value = True
        loop: Value = None
        item, inner = "", _code(node)[-1]
        while inner.type in ("for_statement", "if_statement"):
            parts = _code(inner)
            if inner.type == "for_statement":
                item, loop = _text(_code(parts[0])[0] if _code(parts[0]) else parts[0]), self.value(parts[1])
            else:
                condition = self.value(parts[0])
            inner = parts[-1]
        value = self.value(inner)
        if not isinstance(value, dict):
            self.fault(node, "has no body")
            return {}, condition, loop, item
        return value, condition, loop, item

    def value(self, node: Node) -> Value:
        """The value of an expression: a literal, a list, a dict, or an `Expression`."""
        if node.is_missing or node.type == "ERROR":
            return None  # `syntax` has said so
        match node.type:
            case "boolean":
                return _text(node) == "true"
            case "null":
                return None
            case "number":
                return int(_text(node))
            case "string":
                return self.string(node)
            case "array":
                return [self.value(item) for item in self.items(node)]
            case "object":
                return self.object(node)
            case "parenthesized_expression" | "nullable_type" | "type" if len(_code(node)) == 1:
                return self.value(_code(node)[0])
        return self.expression(node)

    def string(self, node: Node) -> Value:
        inside = [self.value(each) for part in _code(node) if part.type == "interpolation" for each in _code(part)]
        if inside:
            return _expression(node, Kind.TEXT, inside)
        return _unquoted(node)

    def object(self, node: Node) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for part in _code(node):
            parts = _code(part)
            if part.type != "object_property":
                self.fault(part, f"cannot be read: {_text(part)[:60]!r}")
            elif len(parts) == 2:
                key = self.value(parts[0]) if parts[0].type == "string" else _text(parts[0])
                if str(key) in found:
                    self.fault(part, f"{key} is given twice")
                found[str(key)] = self.value(parts[1])
            elif parts[0].type != "resource_declaration":
                self.fault(part, f"cannot be read: {_text(part)[:60]!r}")
        return found

    def items(self, array: Node) -> list[Node]:
        """The grammar splits `[f(x)]` and `[a[0]]` in two; what has no gap between is read again as one."""
        groups: list[list[Node]] = []
        for node in _code(array):
            if groups and groups[-1][-1].end_byte == node.start_byte:
                groups[-1].append(node)
            else:
                groups.append([node])
        return [group[0] if len(group) == 1 else self.joined(array, group) for group in groups]

    def joined(self, array: Node, group: list[Node]) -> Node:
        whole = (array.text or b"")[group[0].start_byte - array.start_byte : group[-1].end_byte - array.start_byte]
        root = _parsed("\n" * (_line(group[0]) - 1) + f"var joined = {whole.decode()}\n")
        self.syntax(root)
        return _code(_code(root)[0])[-1]

    def expression(self, node: Node) -> Expression:
        parts = _code(node)
        match node.type:
            case "identifier":
                return _expression(node, Kind.NAME, [])
            case "member_expression" | "subscript_expression":
                return _expression(node, Kind.MEMBER, [self.value(p) for p in parts if p.type != "property_identifier"])
            case "call_expression":
                called, arguments = parts[0], parts[1]
                before = [self.value(called)] if called.type != "identifier" else []
                inside = [self.value(each) for each in _code(arguments)]
                whole = _expression(node, Kind.CALL, before + inside)
                return Expression(
                    kind=Kind.CALL,
                    text=whole.text,
                    function=_text(called),
                    parts=tuple(inside),
                    names=whole.names,
                )
            case "ternary_expression":
                return _expression(node, Kind.CHOICE, [self.value(p) for p in parts])
            case "for_statement":
                return _expression(node, Kind.LOOP, [self.value(p) for p in parts[1:]])
            case "binary_expression" | "unary_expression" | "lambda_expression" | "if_statement":
                return _expression(node, Kind.OTHER, [self.value(p) for p in parts])
            case "parenthesized_expression" | "nullable_type" | "resource_expression":
                return _expression(node, Kind.OTHER, [self.value(p) for p in parts])
        self.fault(node, f"cannot be read: {_text(node)[:60]!r}")
        return _expression(node, Kind.OTHER, [])

    def fault(self, node: Node, message: str) -> None:
        self.bicep.faults.append(Fault(line=_line(node), message=message))


def _expression(node: Node, kind: Kind, parts: list[Value]) -> Expression:
    return Expression(kind=kind, text=_text(node), parts=tuple(parts), names=frozenset(_names(node)))


def _names(node: Node) -> Iterator[str]:
    if node.type == "identifier":
        yield _text(node)
    children = _code(node)
    if node.type == "object_property":  # the key is no name
        children = children[1:]
    for child in children:
        yield from _names(child)


def _nested(node: Node) -> Iterator[Node]:
    """The resources that are declared within a resource's body."""
    for child in _code(node):
        if child.type == "resource_declaration":
            yield child
        elif child.type in ("object", "object_property", "if_statement", "for_statement"):
            yield from _nested(child)


def _name(node: Node) -> str:
    return next((_text(part) for part in _code(node) if part.type == "identifier"), "")


def _code(node: Node) -> list[Node]:
    """The parts that count: no comments, no directives."""
    return [child for child in node.named_children if "comment" not in child.type]


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _line(node: Node) -> int:
    return node.start_point[0] + 1


def _unquoted(node: Node) -> str:
    text = _text(node)
    if text.startswith("'''"):
        return text[3:-3].removeprefix("\r").removeprefix("\n")
    return ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else ESCAPED.get(found[2], found[0]), text[1:-1])
