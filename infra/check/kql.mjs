// Parses Kusto queries and checks their types with Microsoft's language service, the one behind the portal's editor.
// https://github.com/microsoft/Kusto-Query-Language
//
// Reads JSON from the standard input:
//   {"tables": {name: "(column: type, …)"}, "functions": {name: body}, "queries": {name: text}}
// and prints for each query
//   {"faults": [{"line", "message"}], "operators": [kind], "columns": {name: type}, "names": [what it refers to],
//    "keys": [what parse-kv takes out], "compared": {column: [literal]}}

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const PACKAGE = "@kusto/language-service-next";
const EQUALITIES = ["==", "!=", "in", "!in"];
globalThis.Bridge = require(`${PACKAGE}/bridge.min.js`); // its second half looks for it there
require(`${PACKAGE}/Kusto.Language.Bridge.min.js`);

const { KustoCode, GlobalState, Symbols, Syntax, DiagnosticSeverity } = globalThis.Kusto.Language;
const { DatabaseSymbol, FunctionSymbol, TableSymbol } = Symbols;

const asked = JSON.parse(readFileSync(0, "utf8"));
const globals = globalsOf(asked.tables, asked.functions);
const read = Object.entries(asked.queries).map(([name, text]) => [name, look(text)]);
process.stdout.write(JSON.stringify(Object.fromEntries(read)));

function globalsOf(tables, functions) {
  const members = [
    ...Object.entries(tables).map(([name, columns]) => TableSymbol.From(columns).WithName(name)),
    ...Object.entries(functions).map(([name, body]) => new FunctionSymbol.$ctor16(name, "()", `{${body}}`, "")),
  ];
  return GlobalState.Default.WithDatabase(new DatabaseSymbol.ctor("workspace", members));
}

function look(text) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const nodes = nodesOf(code.Syntax);
  const ofKind = (kind) => nodes.filter((node) => nameOf(node) === kind);
  return {
    faults: faultsOf(code, text),
    operators: [...new Set(nodes.map(nameOf).filter((name) => name.endsWith("Operator")))],
    columns: columnsOf(code.ResultType),
    names: [...new Set(ofKind("NameReference").map((node) => node.SimpleName))],
    keys: ofKind("ParseKvOperator").flatMap((node) => columnNames(node.Keys)),
    compared: comparedIn(nodes),
  };
}

function nodesOf(root) {
  const nodes = [];
  Syntax.SyntaxElement.WalkNodes(root, (node) => nodes.push(node));
  return nodes;
}

function nameOf(node) {
  return globalThis.Bridge.getTypeName(node).split(".").at(-1).split("$")[0];
}

function faultsOf(code, text) {
  const found = globalThis.Bridge.toArray(code.GetDiagnostics());
  return found
    .filter((fault) => fault.Severity !== DiagnosticSeverity.Hidden)
    .map((fault) => ({ line: text.slice(0, fault.Start).split("\n").length, message: fault.Message }));
}

function columnsOf(type) {
  if (!(type instanceof TableSymbol)) return {};
  const columns = globalThis.Bridge.toArray(type.Columns);
  return Object.fromEntries(columns.map((column) => [column.Name, column.Type.Name]));
}

function columnNames(schema) {
  return nodesOf(schema)
    .filter((node) => nameOf(node) === "NameDeclaration")
    .map((node) => node.SimpleName);
}

// `column == "literal"`, `!=`, `in (…)` and `!in (…)`, wherever they stand
function comparedIn(nodes) {
  const compared = {};
  for (const node of nodes) {
    if (!EQUALITIES.includes(node.Operator?.Text) || nameOf(node.Left) !== "NameReference") continue;
    const literals = nodesOf(node.Right).filter((each) => nameOf(each) === "LiteralExpression");
    const words = literals.map((each) => each.LiteralValue).filter((value) => typeof value === "string");
    compared[node.Left.SimpleName] = [...new Set([...(compared[node.Left.SimpleName] ?? []), ...words])];
  }
  return compared;
}
