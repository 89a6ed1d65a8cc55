"""Words for operators: names that an account does not have, and a provider's words without what they quote."""

import re
from collections.abc import Collection
from difflib import get_close_matches

#: Names listed in one text; an account may have 500 fields.
LISTED = 30

_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|\S*@\S*""")


def unknown(noun: str, name: str, known: Collection[str]) -> str:
    """A sentence about a name that does not exist, with the nearest one that does."""
    by_fold = {item.casefold(): item for item in known}
    near = get_close_matches(name.casefold(), by_fold, n=1)
    return f'there is no {noun} "{name}"' + (f' (did you mean "{by_fold[near[0]]}"?)' if near else "")


def listing(known: Collection[str]) -> str:
    """The names that exist, sorted, the first `LISTED` of them."""
    if not known:
        return "none"
    names = sorted(known)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def without_values(words: str) -> str:
    """A provider's words with everything between quotes and every address blacked out."""
    return _QUOTED.sub("…", words)
