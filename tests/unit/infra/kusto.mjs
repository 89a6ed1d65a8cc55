// Answers a Kusto query over rows that a test makes up, to see what an alert says of a history.
//
// Microsoft's parser reads the query (infra/check/kql.mjs has it too); what is answered here are the operators and functions
// that the alerts use, by the words of https://learn.microsoft.com/kusto/query. Anything else throws.
//
// Each line of the standard input is {"query": text, "tables": {name: [row]}, "now": milliseconds}; times in rows are
// milliseconds too. Each line of the standard output is [row].

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../infra/check/kql.mjs", import.meta.url));
const PACKAGE = "@kusto/language-service-next";
globalThis.Bridge = require(`${PACKAGE}/bridge.min.js`);
require(`${PACKAGE}/Kusto.Language.Bridge.min.js`);

let tables, now;
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  ({ tables, now } = asked);
  const code = globalThis.Kusto.Language.KustoCode.Parse(asked.query);
  const answer = rowsOf(firstOf(code.Syntax, ["PipeExpression", "NameReference"]));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

// Rows

function rowsOf(node) {
  if (nameOf(node) === "NameReference") return tables[node.SimpleName];
  const rows = rowsOf(node.Expression);
  const operator = nameOf(node.Operator);
  const answer = {
    FilterOperator: () => rows.filter((row) => valueOf(node.Operator.Condition, row) === true),
    ProjectOperator: () => rows.map((row) => columnsOf(node.Operator.Expressions, row)),
    ExtendOperator: () => rows.map((row) => ({ ...row, ...columnsOf(node.Operator.Expressions, row) })),
    ParseKvOperator: () => rows.map((row) => ({ ...row, ...keysOf(node.Operator, row) })),
    SummarizeOperator: () => summarized(node.Operator, rows),
  }[operator];
  if (!answer) throw new Error(`unknown here: ${operator}`);
  return answer();
}

function columnsOf(list, row) {
  return Object.fromEntries(
    elementsOf(list).map((each) =>
      nameOf(each) === "SimpleNamedExpression"
        ? [each.Name.SimpleName, valueOf(each.Expression, row)]
        : [each.SimpleName, valueOf(each, row)],
    ),
  );
}

// https://learn.microsoft.com/kusto/query/summarize-operator: without groups there is one row, also over nothing
function summarized(operator, rows) {
  const by = operator.ByClause ? elementsOf(operator.ByClause.Expressions).map((each) => each.SimpleName) : [];
  const groups = new Map(by.length ? [] : [["", []]]);
  for (const row of rows) {
    const group = by.length ? JSON.stringify(by.map((name) => row[name])) : "";
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const keys = Object.fromEntries(by.map((name) => [name, group[0][name]]));
    const columns = elementsOf(operator.Aggregates).map((each) => aggregated(each, group));
    return Object.assign(keys, ...columns);
  });
}

function aggregated(node, rows) {
  const isNamed = nameOf(node) === "SimpleNamedExpression";
  const call = isNamed ? node.Expression : node;
  const inside = argumentsOf(call);
  if (call.Name.SimpleName === "arg_max") {
    const of = (row) => valueOf(inside[0], row) ?? -Infinity;
    const best = rows.reduce((one, other) => (one && of(one) >= of(other) ? one : other), null) ?? {};
    return Object.fromEntries(inside.map((each) => [each.SimpleName, best[each.SimpleName] ?? null]));
  }
  const values = inside.length ? rows.map((row) => valueOf(inside[0], row)) : rows;
  const known = values.filter((value) => value !== null);
  const answer = {
    count: () => rows.length,
    countif: () => values.filter((value) => value === true).length,
    sum: () => known.reduce((one, other) => one + other, 0),
    max: () => (known.length ? Math.max(...known) : null),
    min: () => (known.length ? Math.min(...known) : null),
  }[call.Name.SimpleName];
  if (!answer || !isNamed) throw new Error(`unknown here: ${call.Name.SimpleName}`);
  return { [node.Name.SimpleName]: answer() };
}

// https://learn.microsoft.com/kusto/query/parse-kv-operator: the first pair of a key counts; a text that is missing is empty
function keysOf(operator, row) {
  const wanted = elementsOf(operator.Keys.Columns).map((each) => [each.Name.SimpleName, each.Type.Type.Text]);
  const pairs = pairsIn(valueOf(operator.Expression, row) ?? "");
  return Object.fromEntries(
    wanted.map(([name, type]) => {
      const text = pairs.get(name) ?? "";
      if (type === "string") return [name, text];
      const isNumber = (type === "long" ? /^-?\d+$/ : /^-?\d+(\.\d+)?$/).test(text);
      return [name, isNumber ? Number(text) : null];
    }),
  );
}

function pairsIn(text) {
  const pairs = new Map();
  const quoted = /([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|([^ ]*))/gy;
  for (let found, at = 0; at < text.length; at = quoted.lastIndex + 1) {
    quoted.lastIndex = at;
    if (!(found = quoted.exec(text))) break;
    const value = found[2] === undefined ? found[3] : found[2].replace(/\\(.)/g, "$1");
    if (!pairs.has(found[1])) pairs.set(found[1], value.trim());
  }
  return pairs;
}

// Values

function valueOf(node, row) {
  const answer = {
    NameReference: () => row[node.SimpleName] ?? null,
    LiteralExpression: () => literal(node),
    ParenthesizedExpression: () => valueOf(node.Expression, row),
    InExpression: () => isIn(node, row),
    BinaryExpression: () => binary(node, row),
    FunctionCallExpression: () => called(node, row),
  }[nameOf(node)];
  if (!answer) throw new Error(`unknown here: ${nameOf(node)}`);
  return answer();
}

function literal(node) {
  const text = node.GetChild(0).Text;
  const span = /^(\d+)([smhd])$/.exec(text);
  if (span) return Number(span[1]) * { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[span[2]];
  return /^-?[\d.]+$/.test(text) ? Number(text) : node.LiteralValue;
}

function isIn(node, row) {
  const value = valueOf(node.Left, row);
  const found = elementsOf(node.Right.Expressions).some((each) => valueOf(each, row) === value);
  return node.Operator.Text === "in" ? found : !found;
}

function binary(node, row) {
  const [left, right] = [valueOf(node.Left, row), valueOf(node.Right, row)];
  const operator = node.Operator.Text;
  if (operator === "and") return left === true && right === true;
  if (operator === "or") return left === true || right === true;
  if (left === null || right === null) return null; // and a filter takes only what is true
  const answer = {
    "==": () => left === right,
    "!=": () => left !== right,
    "<": () => left < right,
    ">": () => left > right,
    ">=": () => left >= right,
    "+": () => left + right,
    "*": () => left * right,
    "/": () => left / right,
    startswith: () => left.toLowerCase().startsWith(right.toLowerCase()),
    has: () => left.toLowerCase().split(/[^a-z0-9]+/).includes(right.toLowerCase()),
  }[operator];
  if (!answer) throw new Error(`unknown here: ${operator}`);
  return answer();
}

function called(node, row) {
  const [first, second, third] = argumentsOf(node).map((each) => valueOf(each, row));
  const answer = {
    ago: () => now - first,
    now: () => now,
    not: () => (first === null ? null : !first),
    isnull: () => first === null,
    isempty: () => first === null || first === "",
    isnotempty: () => first !== null && first !== "",
    iff: () => (first === true ? second : third),
    extract: () => new RegExp(first).exec(third)?.[second] ?? "",
    datetime_diff: () => (third === null ? null : Math.floor(second / 60_000) - Math.floor(third / 60_000)), // minutes
  }[node.Name.SimpleName];
  if (!answer) throw new Error(`unknown here: ${node.Name.SimpleName}`);
  return answer();
}

// The tree

function nameOf(node) {
  return globalThis.Bridge.getTypeName(node).split(".").at(-1).split("$")[0];
}

function firstOf(root, names) {
  let found = null;
  globalThis.Kusto.Language.Syntax.SyntaxElement.WalkNodes(root, (node) => (found ??= names.includes(nameOf(node)) ? node : null));
  return found;
}

function elementsOf(list) {
  return Array.from({ length: list.ChildCount }, (_, index) => list.GetChild(index).GetChild(0));
}

function argumentsOf(call) {
  return elementsOf(call.ArgumentList.Expressions);
}
