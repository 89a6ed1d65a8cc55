"""The generated parts of `docs/`: the table of addresses in `docs/api.md`, and a page for each code of a problem.

`python -m infra.reference` writes them; a test holds them against the tables that they are made from.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from exporters.api.openapi import AUTOMATION_PREFIX, possible
from exporters.api.problems import PROBLEMS, Kind
from exporters.api.routes import ROUTES
from exporters.api.routing import Route

DOCS = Path(__file__).parents[1] / "docs"
#: Problems of the door: what is answered where no route is found.
ANYWHERE = frozenset({"no-such-address", "method-not-allowed"})
#: Where generated text stands within a page.
PLACE = "<!-- {name}: made by python -m infra.reference -->\n\n{text}\n<!-- end -->"


def addresses(routes: Sequence[Route]) -> str:
    """A table of all addresses: who may call each, and what it changes."""
    rows = [
        f"| `{route.method} /api{route.path}` | {_who(route)} | {route.summary} | {route.changes or '–'} |\n"
        for route in routes
    ]
    return "| address | who | what | changes |\n| --- | --- | --- | --- |\n" + "".join(rows)


def automation(routes: Sequence[Route]) -> str:
    """A list of the addresses that open with the function key."""
    return "".join(f"- `{route.method} /api{AUTOMATION_PREFIX}{route.path}`\n" for route in routes if route.by_key)


def problems() -> str:
    """A table of all problems."""
    rows = [f"| [{kind.code}](errors/{kind.code}.md) | {kind.status} | {kind.title} |\n" for kind in PROBLEMS.values()]
    return "| code | status | title |\n| --- | --- | --- |\n" + "".join(rows)


def problem_page(kind: Kind, routes: Sequence[Route]) -> str:
    """What `docs/errors` says of a problem."""
    example = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.example}
    answered = [f"- `{route.method} /api{route.path}`\n" for route in routes if kind in possible(route)]
    where = "- any address\n" if kind.code in ANYWHERE or len(answered) == len(routes) else "".join(answered)
    return (
        f"# {kind.code}\n\n{kind.status}, {kind.title}.\n\n"
        f"**When:** {kind.when}\n\n**What to do:** {kind.remedy}\n\n"
        f"**For example:**\n\n```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n\n"
        f"**Answered by:**\n\n{where}"
    )


def filled(page: str, routes: Sequence[Route]) -> str:
    """`docs/api.md` with its generated parts as they should be."""
    texts = {"addresses": addresses(routes), "automation": automation(routes), "problems": problems()}
    for name, text in texts.items():
        begin, end = PLACE.format(name=name, text="\0").split("\0")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}{text}{end}{rest.partition(end)[2]}"
    return page


def _who(route: Route) -> str:
    who = f"{route.who.value}, people only" if route.person else route.who.value
    return f"{who}; function key" if route.by_key else who


def main() -> None:
    """Write all that is generated, and take away pages of codes that there are no longer."""
    page = DOCS / "api.md"
    page.write_text(filled(page.read_text(), ROUTES))
    for kind in PROBLEMS.values():
        (DOCS / "errors" / f"{kind.code}.md").write_text(problem_page(kind, ROUTES))
    for path in (DOCS / "errors").glob("*.md"):
        if path.stem not in PROBLEMS:
            path.unlink()


if __name__ == "__main__":
    main()
