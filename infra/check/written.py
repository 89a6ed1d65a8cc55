"""Which lines the app writes to its log: actions, outcomes and keys, as the code says them. Nothing is imported.

A line is a call of `log.step(action, outcome, **keys)`, or of a function that hands these on, as `Assignment.log` does.
An outcome may be a constant, a choice, a member of an enum, a field or parameter whose type is an enum, or a parameter
that the callers give as one of these. Anything else is a fault: a word that nobody can look up is no fixed word.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

PACKAGE = Path("exporters")
#: Arguments of `log.step` that are not keys of the line.
NOT_KEYS = frozenset({"action", "outcome", "level"})

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Seen: TypeAlias = frozenset[str]  #: what is being looked up already, so that nothing is looked up within itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One place that writes a line."""

    path: Path  #: relative to the repository
    line: int
    action: str
    outcomes: frozenset[str]  #: what it may be; empty where the code does not tell
    keys: frozenset[str]
    is_open: bool  #: whether it has more keys, which cannot be told from the code


@dataclass(frozen=True, kw_only=True)
class _Module:
    path: Path
    tree: ast.Module

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    @cached_property
    def around(self) -> dict[ast.AST, Function]:
        """The innermost function around each node."""
        inner: dict[ast.AST, Function] = {}
        for function in self.functions:  # outer ones come first
            inner.update({node: function for node in ast.walk(function) if node is not function})
        return inner


def lines(root: Path) -> list[Line]:
    """Every place that writes a line, in the order of the files."""
    modules = [
        _Module(path=path.relative_to(root), tree=ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted((root / PACKAGE).rglob("*.py"))
    ]
    return list(_Code(modules).lines())


class _Code:
    def __init__(self, modules: list[_Module]) -> None:
        self.modules = modules
        classes = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
        self.enums = {node.name: _members(node) for node in classes if "StrEnum" in map(ast.unparse, node.bases)}
        self.fields = _annotated(classes)
        self.wrappers = dict(self._wrappers())  #: functions that hand action and outcome on -> the keys that they add

    def lines(self) -> Iterator[Line]:
        for module in self.modules:
            for call, keys in self._calls(module):
                action, outcome = call.args[0], call.args[1]
                if isinstance(action, ast.Constant):
                    yield Line(
                        path=module.path,
                        line=call.lineno,
                        action=str(action.value),
                        outcomes=frozenset(self._words(outcome, module, call)),
                        keys=keys | self._keys(call, module),
                        is_open=self._is_open(call, module),
                    )

    def _calls(self, module: _Module) -> Iterator[tuple[ast.Call, frozenset[str]]]:
        """Each call that writes a line, with the keys that the function called adds."""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and len(node.args) >= 2:
                if ast.unparse(node.func) == "log.step":
                    yield node, frozenset()
                elif isinstance(node.func, ast.Attribute) and node.func.attr in self.wrappers:
                    yield node, self.wrappers[node.func.attr]

    def _wrappers(self) -> Iterator[tuple[str, frozenset[str]]]:
        for module in self.modules:
            for call in ast.walk(module.tree):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "log.step" and call.args:
                    function = module.around.get(call)
                    if function and isinstance(call.args[0], ast.Name) and call.args[0].id in _parameters(function):
                        yield function.name, self._keys(call, module)

    def _keys(self, call: ast.Call, module: _Module) -> frozenset[str]:
        named = {keyword.arg for keyword in call.keywords if keyword.arg}
        given = {key for value in _spread(call) for key in self._keys_of(value, module, call)}
        return frozenset((named | given) - NOT_KEYS)

    def _is_open(self, call: ast.Call, module: _Module) -> bool:
        return any(not self._keys_of(value, module, call) for value in _spread(call))

    def _keys_of(self, value: ast.expr | None, module: _Module, place: ast.AST, seen: Seen = frozenset()) -> set[str]:
        """The keys that `**value` may give: a dict that is written out, here, in a variable or in a function."""
        match value:
            case ast.Dict():
                spread = [given for key, given in zip(value.keys, value.values, strict=True) if key is None]
                named = {str(key.value) for key in value.keys if isinstance(key, ast.Constant)}
                return named.union(*(self._keys_of(each, module, place, seen) for each in spread))
            case ast.Call(func=ast.Name(id=name)) if name not in seen:
                seen |= {name}
                returned = [
                    (owner, node) for owner, function in self._named(name, module) for node in _returns(function)
                ]
                return {key for owner, node in returned for key in self._keys_of(node.value, owner, node, seen)}
            case ast.BinOp(left=one, op=ast.BitOr(), right=other) | ast.IfExp(body=one, orelse=other):
                return self._keys_of(one, module, place, seen) | self._keys_of(other, module, place, seen)
            case ast.Name(id=name):
                function = module.around.get(place)
                if function is not None and (itself := f"{function.name} {name}") not in seen:
                    assigned = _assigned(function, name)
                    return {key for each in assigned for key in self._keys_of(each, module, place, seen | {itself})}
        return set()

    def _words(self, value: ast.expr, module: _Module, place: ast.AST, seen: Seen = frozenset()) -> set[str]:
        """What the value may be; empty where the code does not tell."""
        match value:
            case ast.Constant(value=str(word)):
                return {word}
            case ast.IfExp():
                return self._words(value.body, module, place, seen) | self._words(value.orelse, module, place, seen)
            case ast.Attribute(value=ast.Name(id=enum), attr=member) if enum in self.enums:
                return {word for name, word in self.enums[enum].items() if name == member}
            case ast.Attribute(attr="value"):
                return self._words(value.value, module, place, seen)
            case ast.Attribute(value=owner, attr=name):
                return self._of_types(self._field(owner, name, module, place))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                return self._of_types(self._returned(name, module))
            case ast.Name(id=name):
                return self._variable(name, module, place, seen)
        return set()

    def _variable(self, name: str, module: _Module, place: ast.AST, seen: Seen) -> set[str]:
        function = module.around.get(place)
        if function is None or f"{function.name} {name}" in seen:
            return set()
        seen |= {f"{function.name} {name}"}
        assigned = {word for each in _assigned(function, name) for word in self._words(each, module, place, seen)}
        if assigned or name not in _parameters(function):
            return assigned
        annotation = _parameters(function)[name].annotation
        return self._of_types([ast.unparse(annotation)] if annotation else ()) or self._given(function, name, seen)

    def _given(self, function: Function, name: str, seen: Seen) -> set[str]:
        """What the callers give for a parameter."""
        position = [each.arg for each in function.args.args if each.arg not in {"self", "cls"}]
        found: set[str] = set()
        for module in self.modules:
            for call in ast.walk(module.tree):
                if isinstance(call, ast.Call) and _called(call) == function.name:
                    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
                    given.update(zip(position, call.args, strict=False))
                    if name in given:
                        found |= self._words(given[name], module, call, seen)
        return found

    def _field(self, owner: ast.expr, name: str, module: _Module, place: ast.AST) -> set[str]:
        """The types of `owner.name`; of any class's `name` where nothing says what class the owner is."""
        types = self._types(owner, module, place) & self.fields.keys()
        return {kind for of in types or self.fields for kind in self.fields[of].get(name, ())}

    def _types(self, value: ast.expr, module: _Module, place: ast.AST) -> set[str]:
        function = module.around.get(place)
        if not isinstance(value, ast.Name) or function is None:
            return set()
        calls = [each for each in _assigned(function, value.id) if isinstance(each, ast.Call)]
        parameter = _parameters(function).get(value.id)
        declared = {ast.unparse(parameter.annotation)} if parameter and parameter.annotation else set()
        return declared.union(*(self._returned(_called(call), module) for call in calls))

    def _returned(self, name: str, module: _Module) -> set[str]:
        return {ast.unparse(function.returns) for _, function in self._named(name, module) if function.returns}

    def _of_types(self, types: Iterable[str]) -> set[str]:
        return {word for name in types for word in self.enums.get(name, {}).values()}

    def _named(self, name: str, module: _Module) -> list[tuple[_Module, Function]]:
        """The functions of a name: the module's own, or else those of all."""
        found = [(each, function) for each in self.modules for function in each.functions if function.name == name]
        return [pair for pair in found if pair[0] is module] or found


def _members(enum: ast.ClassDef) -> Mapping[str, str]:
    return {
        target.id: node.value.value
        for node in enum.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _annotated(classes: Iterable[ast.ClassDef]) -> dict[str, dict[str, set[str]]]:
    """Class -> field or property -> its types; more than one where classes have the same name."""
    found: dict[str, dict[str, set[str]]] = {}
    for each in classes:
        fields = found.setdefault(each.name, {})
        for node in each.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                fields.setdefault(node.target.id, set()).add(ast.unparse(node.annotation))
            elif isinstance(node, ast.FunctionDef) and node.returns:
                fields.setdefault(node.name, set()).add(ast.unparse(node.returns))
    return found


def _assigned(function: Function, name: str) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets)
    ]


def _spread(call: ast.Call) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords if keyword.arg is None]


def _returns(function: Function) -> list[ast.Return]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Return)]


def _parameters(function: Function) -> dict[str, ast.arg]:
    return {each.arg: each for each in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]}


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
