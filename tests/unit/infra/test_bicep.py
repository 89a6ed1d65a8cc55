"""The reader of Bicep files."""

from pathlib import Path

import pytest

from infra.check.bicep import Bicep, Expression, Kind, Value, read


@pytest.fixture
def reading(tmp_path):
    def read_text(text: str, name: str = "main.bicep") -> Bicep:
        path: Path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read(path)

    return read_text


def expression(value: Value) -> Expression:
    assert isinstance(value, Expression), value
    return value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("-1", -1),
        ("null", None),
        ("'plain'", "plain"),
        ("''", ""),
        (r"'it\'s \${not} put in\n\u{20AC}\\'", "it's ${not} put in\n€\\"),
        ("'''\ntwo\n lines'''", "two\n lines"),
        ("[]", []),
        ("['a', 1]", ["a", 1]),
        ("[\n  'a'\n  // a remark\n  'b'\n]", ["a", "b"]),
        ("{}", {}),
        ("{ a: 1, 'b-c': { d: [{ e: false }] } }", {"a": 1, "b-c": {"d": [{"e": False}]}}),
        ("('a')", "a"),
    ],
)
def test_what_the_text_says_is_a_python_value(reading, written, value):
    bicep = reading(f"var x = {written}\n")
    assert bicep.faults == []
    assert bicep.variables["x"].value == value


@pytest.mark.parametrize(
    ("written", "kind", "parts", "names"),
    [
        ("location", Kind.NAME, [], {"location"}),
        ("account.properties.x", Kind.MEMBER, ["account.properties"], {"account"}),
        ("list[0]", Kind.MEMBER, ["list", 0], {"list"}),
        ("guid(a.id, 'b')", Kind.CALL, ["a.id", "b"], {"guid", "a"}),
        ("on ? 'a' : 2", Kind.CHOICE, ["on", "a", 2], {"on"}),
        ("[for x in xs: { y: x }]", Kind.LOOP, ["xs"], {"x", "xs"}),
        ("'${a}-${b.c}'", Kind.TEXT, ["a", "b.c"], {"a", "b"}),
        ("a && !b", Kind.OTHER, ["a", "!b"], {"a", "b"}),
        ("maker!.outputs.id", Kind.MEMBER, ["maker!.outputs"], {"maker"}),
        ("maker.?outputs.?id ?? ''", Kind.OTHER, ["maker.?outputs.?id", ""], {"maker"}),
    ],
)
def test_what_only_the_deployment_knows_keeps_its_text_its_parts_and_its_names(reading, written, kind, parts, names):
    bicep = reading(f"var x = {written}\n")
    found = expression(bicep.variables["x"].value)
    assert bicep.faults == []
    assert (found.kind, found.text, found.names) == (kind, written, names)
    assert [part.text if isinstance(part, Expression) else part for part in found.parts][: len(parts)] == parts


def test_a_call_says_what_it_calls(reading):
    bicep = reading("var x = account.listKeys('2025-06-01').keys[0].value\nvar y = [for a in b: f(a)]\n")
    calls = [v for v in bicep.everything(bicep.variables["x"].value) if isinstance(v, Expression)]
    assert "account.listKeys" in {call.function for call in calls}
    assert {"f"} == {v.function for v in bicep.everything(bicep.variables["y"].value) if isinstance(v, Expression)} - {
        ""
    }


def test_items_that_the_grammar_splits_are_whole(reading):
    bicep = reading("var x = [guid('a', b.c), list[0], f(y).z[1].id, 'c']\n")
    items = bicep.variables["x"].value
    assert isinstance(items, list)
    assert [str(item) for item in items] == ["guid('a', b.c)", "list[0]", "f(y).z[1].id", "c"]
    assert expression(items[0]).function == "guid"
    assert bicep.faults == []


def test_resources_have_type_version_body_condition_and_loop(reading):
    bicep = reading(
        """
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: 'a' }

@description('Carries the work.')
resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for (queue, i) in concat(names, others): if (i > 0) {
    parent: account
    name: queue
  }
]

resource outer 'Microsoft.Storage/storageAccounts@2025-06-01' = if (on) {
  name: 'b'
  properties: { minimumTlsVersion: 'TLS1_2' }
  resource blobs 'blobServices' = {
    name: 'default'
  }
}
"""
    )
    account, queues, outer, blobs = (bicep.resources[name] for name in ("account", "queues", "outer", "blobs"))
    assert (account.existing, account.version) == (True, "2025-06-01")
    assert (queues.item, str(queues.loop), str(queues.condition)) == ("queue", "concat(names, others)", "i > 0")
    assert (queues.parent, queues.description, queues.line) == ("account", "Carries the work.", 5)
    assert (str(outer.condition), outer.at("properties.minimumTlsVersion")) == ("on", "TLS1_2")
    assert (blobs.type, blobs.version, blobs.parent) == (
        "Microsoft.Storage/storageAccounts/blobServices",
        "2025-06-01",
        "outer",
    )
    assert bicep.of_type("microsoft.storage/STORAGEACCOUNTS") == [outer]
    assert bicep.faults == []


def test_parameters_modules_and_outputs(reading):
    bicep = reading(
        """
targetScope = 'resourceGroup'
metadata description = 'All of it.'

@description('Goes into every name.')
@minLength(3)
param name string
param kind 'a' | 'b' = 'b'
param more string?

module part 'modules/part.bicep' = if (kind == 'a') {
  scope: resourceGroup('other')
  params: { name: name }
}

@secure()
output id string = part!.outputs.id
"""
    )
    assert bicep.params["name"].required
    assert (bicep.params["name"].description, bicep.params["name"].decorators["minLength"]) == (
        "Goes into every name.",
        [3],
    )
    assert (bicep.params["kind"].type, bicep.params["kind"].default) == ("'a' | 'b'", "b")
    assert not bicep.params["more"].required
    part = bicep.modules["part"]
    assert (part.path, str(part.condition), str(part.params["name"])) == ("modules/part.bicep", "kind == 'a'", "name")
    assert (bicep.outputs["id"].type, "secure" in bicep.outputs["id"].decorators) == ("string", True)
    assert bicep.faults == []


def test_a_parameters_file_says_what_it_gives(reading):
    bicep = reading(
        "using 'main.bicep'\n\nvar region = 'westeurope'\nparam name = readEnvironmentVariable('NAME', 'x')\n"
        "param on = true\n",
        "dev.bicepparam",
    )
    assert (bicep.using, set(bicep.given), set(bicep.variables)) == ("main.bicep", {"name", "on"}, {"region"})
    assert (expression(bicep.given["name"].value).parts, bicep.given["on"].value) == (("NAME", "x"), True)
    assert (bicep.given["on"].line, bicep.faults) == (5, [])


def test_variables_are_followed(reading):
    bicep = reading("var a = b\nvar b = ['x', c]\nvar c = d\nvar d = c\n")
    found = list(bicep.everything(bicep.variables["a"].value))
    assert "x" in found
    assert [str(each) for each in found if isinstance(each, Expression)] == ["b", "c", "d", "c"]  # and a circle ends


def test_everything_in_a_file_is_found_with_its_line(reading):
    bicep = reading(
        "param a string = 'p'\nvar b = 'v'\nresource c 'A/b@2025-01-01' = if (on == 'i') {\n  name: 'r'\n}\n"
        "module d 'd.bicep' = [for e in ['l']: {\n  params: { f: 'm' }\n}]\noutput g string = 'o'\n"
    )
    found = {each: line for line, value in bicep.values() for each in bicep.everything(value) if isinstance(each, str)}
    assert found == {"p": 1, "v": 2, "i": 3, "r": 3, "l": 6, "m": 6, "o": 9}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("var x = {\n  ...others\n}\n", 2),
        ("var x = [...others]\n", 1),
        ("var x = \n", 1),
        ("var a = 1\nvar x = { a: 1, a: 2 }\n", 2),
        ("type t = string\n", 1),
        ("func f(a string) string => a\n", 1),
        ("import { a } from 'b.bicep'\n", 1),
        ("resource x 'A/b@2025-01-01' = {\n  name: 'open\n}\n", 1),
        ("resource x 'A/b@2025-01-01' = other\n", 1),
    ],
)
def test_what_cannot_be_read_is_said(reading, text, line):
    bicep = reading(text)
    assert bicep.faults
    assert min(fault.line for fault in bicep.faults) == line
