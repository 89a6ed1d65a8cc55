"""`make infra-check`: everything about the infrastructure that can be told without a subscription.

Prints a line for each finding, `file:line: message`, and at the end how much was looked at. Ends with 1 where there are
findings, and with 2 where a tool did not answer or a file is missing.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.check import hosting, names, policy, queries, roles, settings, substance, workflows
from infra.check.look import Look
from infra.check.template import Template

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-infra" / "bin"

#: What is looked at, in this order. Each takes the repository, its template, and the folder of the tools.
PARTS: Mapping[str, Callable[[Path, Template, Path], Look]] = {
    "substance": lambda _, template, __: substance.look(template),
    "settings": lambda root, template, _: settings.check(root, template),
    "names": lambda root, template, _: names.check(root, template),
    "roles": lambda root, template, _: roles.check(root, template),
    "hosting": lambda root, template, _: hosting.check(root, template),
    "queries": lambda root, *_: queries.check(root),
    "policy": lambda root, _, tools: policy.check(root, tools),
    "workflows": lambda root, _, tools: workflows.check(root, tools),
}


def emptiness(look: Look) -> list[str]:
    """What a part should have looked at and has not seen: nothing at all must not pass for nothing wrong."""
    return [f"no {what} found to look at" for what, count in look.seen.items() if count == 0]


def main(arguments: list[str] | None = None) -> int:
    """Look at everything, say what there is to say, and answer the status to end with."""
    parser = argparse.ArgumentParser(prog="python -m infra.check", description="Check infra/ without a subscription.")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--tools", type=Path, default=TOOLS, help="the folder with checkov and check-jsonschema")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part of it; may be given several times")
    given = parser.parse_args(arguments)
    root, tools, began = given.root.resolve(), given.tools.resolve(), time.monotonic()
    template, findings, summary = Template(root), 0, []
    for name in given.only or PARTS:
        try:
            look = PARTS[name](root, template, tools)
        except (RuntimeError, OSError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        for line in (*look.findings, *(f"{name}: {words}" for words in emptiness(look))):
            print(line)
            findings += 1
        summary.append(f"{name}: {', '.join(f'{count} {what}' for what, count in look.seen.items())}")
    print("looked at", *summary, sep="\n  ")
    print(f"{findings or 'no'} finding{'s' * (findings != 1)} in {time.monotonic() - began:.0f} s")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
