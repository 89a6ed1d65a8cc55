"""The files of a template as one: what a value comes to, through variables, parameters, modules, choices and loops.

Every way that a value can come out is taken, whatever the conditions, since any of them may be deployed.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from infra.check import bicep
from infra.check.bicep import Bicep, Expression, Kind, Resource, Value
from infra.check.look import template_files

#: `[for item in …` or `item => …`: the variable of a loop or of a function.
LOOP_VARIABLE = re.compile(r"\[?\s*for\s+\(?\s*(\w+)|\(?\s*(\w+)\s*\)?\s*=>")
MEMBERS = re.compile(r"\w+(?:\.\w+)+")
INTERPOLATION = re.compile(r"\$\{[^{}]*\}")
#: Functions whose result has the elements of all their arguments.
JOINING = {"concat", "union"}


@dataclass(frozen=True, slots=True)
class Meant:
    """A value, and where names in it are looked up."""

    value: Value
    file: Bicep
    items: "Mapping[str, Meant]" = field(default_factory=dict)  #: variables of the loops around it

    def of(self, value: Value) -> "Meant":
        """Another value from the same place."""
        return Meant(value, self.file, self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A resource, once for each turn of its loop."""

    resource: Resource
    file: Bicep
    body: Meant


class Template:
    """Every Bicep and parameters file of a repository."""

    def __init__(self, root: Path) -> None:
        """Raises OSError."""
        self.root = root
        self.files = {(root / path).resolve(): bicep.read(root / path) for path in template_files(root)}

    def resources(self, type_name: str) -> Iterator[Made]:
        """The resources of a type that are made. One whose loop cannot be followed comes once, as it is written."""
        for file in self.files.values():
            for resource in file.of_type(type_name):
                body: dict[str, Value] = resource.body
                if resource.loop is None:
                    yield Made(resource=resource, file=file, body=Meant(body, file))
                    continue
                for item in self.elements(Meant(resource.loop, file)):
                    yield Made(resource=resource, file=file, body=Meant(body, file, {resource.item: item}))

    def at(self, meant: Meant, path: str) -> Iterator[Meant]:
        """What can lie at `a.b.c` in an object; nothing where no way leads there."""
        key, _, rest = path.partition(".")
        for each in self.meanings(meant):
            if isinstance(each.value, dict) and key in each.value:
                inner = each.of(each.value[key])
                yield from self.at(inner, rest) if rest else self.meanings(inner)

    def texts(self, meant: Meant) -> Iterator[str]:
        """The texts that a value can be, as far as the files tell."""
        return (each.value for each in self.meanings(meant) if isinstance(each.value, str))

    def fields(self, meant: Meant) -> Iterator[tuple[str, Meant]]:
        """The fields that an object can have; those of every argument where it is joined from several."""
        for each in self.meanings(meant):
            if isinstance(each.value, dict):
                for name, value in each.value.items():
                    yield name, each.of(value)
            elif isinstance(each.value, Expression) and each.value.function in JOINING:
                for part in each.value.parts:
                    yield from self.fields(each.of(part))

    def elements(self, meant: Meant) -> Iterator[Meant]:
        """The elements that an array can have."""
        for each in self.meanings(meant):
            value = each.value
            if isinstance(value, list):
                for item in value:
                    yield from self.meanings(each.of(item))
            elif isinstance(value, Expression):
                yield from self._joined_elements(value, each)

    def meanings(self, meant: Meant) -> Iterator[Meant]:
        """What a value comes to: literals, objects and arrays as written; itself where the files do not tell."""
        value = meant.value
        if not isinstance(value, Expression):
            yield meant
        elif value.kind is Kind.NAME:
            yield from self._named(value.text, meant)
        elif value.kind is Kind.CHOICE:
            for part in value.parts[1:]:
                yield from self.meanings(meant.of(part))
        elif value.kind is Kind.TEXT:
            yield from self._filled(value, meant)
        elif value.kind is Kind.MEMBER and MEMBERS.fullmatch(value.text):
            yield from self._member(value, meant)
        else:
            yield meant

    def _named(self, name: str, meant: Meant) -> Iterator[Meant]:
        file = meant.file
        if name in meant.items:
            yield from self.meanings(meant.items[name])
        elif name in file.variables:
            yield from self.meanings(Meant(file.variables[name].value, file))
        elif name in file.params:
            for given in self._given(file, name):
                yield from self.meanings(given)
        else:
            yield meant

    def _given(self, file: Bicep, param: str) -> Iterator[Meant]:
        """What a parameter is given by callers and parameters files, and its default."""
        for other in self.files.values():
            for module in other.modules.values():
                if self._is(other, module.path, file) and param in module.params:
                    yield Meant(module.params[param], other)
            if self._is(other, other.using, file) and param in other.given:
                yield Meant(other.given[param].value, other)
        if not file.params[param].required:
            yield Meant(file.params[param].default, file)

    def _is(self, caller: Bicep, path: str, file: Bicep) -> bool:
        if PurePosixPath(path).name != file.path.name:  # most are not, and resolving asks the disk
            return False
        return (caller.path.parent / path).resolve() == file.path.resolve()

    def _member(self, value: Expression, meant: Meant) -> Iterator[Meant]:
        name, _, path = value.text.partition(".")
        module = meant.file.modules.get(name)
        if module is not None and path.startswith("outputs."):
            called = self.files.get((meant.file.path.parent / module.path).resolve())
            output = called.outputs.get(path.removeprefix("outputs.")) if called else None
            if called and output:
                yield from self.meanings(Meant(output.value, called))
                return
        whole = Expression(kind=Kind.NAME, text=name, names=frozenset({name}))
        found = list(self.at(meant.of(whole), path))
        yield from found or [meant]

    def _filled(self, value: Expression, meant: Meant) -> Iterator[Meant]:
        pieces = INTERPOLATION.split(value.text[1:-1])
        if len(pieces) != len(value.parts) + 1:
            yield meant
            return
        for inside in itertools.product(*(list(self.meanings(meant.of(part))) for part in value.parts)):
            if all(isinstance(each.value, str | int) for each in inside):
                filled = itertools.chain.from_iterable(zip(pieces, [*(str(i.value) for i in inside), ""], strict=True))
                yield meant.of("".join(filled))
            else:
                yield meant

    def _joined_elements(self, value: Expression, meant: Meant) -> Iterator[Meant]:
        if value.function in JOINING:
            for part in value.parts:
                yield from self.elements(meant.of(part))
        elif value.function == "items":
            for name, inner in self.fields(meant.of(value.parts[0])):
                for each in self.meanings(inner):
                    yield each.of({"key": name, "value": each.value})
        elif value.function == "flatten":
            for inner in self.elements(meant.of(value.parts[0])):
                yield from self.elements(inner)
        elif value.kind is Kind.LOOP:
            yield from self._turns(value.text, *value.parts[:2], meant=meant)
        elif value.function == "map" and isinstance(value.parts[1], Expression):
            function = value.parts[1]
            yield from self._turns(function.text, value.parts[0], _result(function), meant=meant)

    def _turns(self, text: str, over: Value, result: Value, *, meant: Meant) -> Iterator[Meant]:
        variable = LOOP_VARIABLE.match(text)
        name = next(filter(None, variable.groups()), "") if variable else ""
        for item in self.elements(meant.of(over)):
            yield from self.meanings(Meant(result, meant.file, {**meant.items, name: item}))


def _result(function: Expression) -> Value:
    """What `x => …` gives. The grammar takes `x => x.y` for the member `y` of a function."""
    result = function.text.partition("=>")[2].strip()
    if MEMBERS.fullmatch(result):
        return Expression(kind=Kind.MEMBER, text=result)
    return function.parts[-1] if function.parts else None
