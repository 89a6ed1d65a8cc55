"""Which columns of a part are the mapped ones."""

import difflib
from collections import Counter
from collections.abc import Sequence

from exporters.segments.faults import PartFault

#: Column names of a file that a message lists.
SHOWN_COLUMNS = 30


def positions(names: Sequence[str], columns: Sequence[str], *, part: str, certain: bool) -> dict[str, int]:
    """Where the mapped columns stand: by exact name, else by the only name that is equal but for case and white space.

    `certain` says that the names come from a schema. Those of a first line may be a person's data, which must not reach
    a message. Raises PartFault that tells of every column whose place is not clear.
    """
    faults: list[str] = []
    found: dict[str, int] = {}
    missing = []
    for column in columns:
        exact = [index for index, name in enumerate(names) if name == column]
        alike = [index for index, name in enumerate(names) if _folded(name) == _folded(column)]
        matches = exact or alike
        if len(matches) == 1:
            found[column] = matches[0]
        elif matches:
            times = Counter(names[index] for index in matches)
            same = [f"{name} ({count} times)" if count > 1 else name for name, count in times.items()]
            faults.append(f"column {column} is not clear, the file has {listed(same)}")
        else:
            missing.append(column)
    header = certain or bool(found) or any(_letters(name) == _letters(column) for name in names for column in missing)
    for column in missing:
        near = _near(column, names) if header and (certain or not _is_data(names)) else []
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        faults.append(f"column {column} is missing{hint}")
    if faults:
        there = _all(names) if certain else existing(names, header=header)
        raise PartFault(f"{part}: {'; '.join(faults)}; {there}")
    return found


def existing(names: Sequence[str], *, header: bool) -> str:
    """What columns there are; not where the first line may be a person rather than a header."""
    if _is_data(names):
        return "its first line holds an e-mail address, so it is not a header."
    if not header:
        return "its first line has none of the mapped columns, so it may not be a header: its words are not shown here."
    return _all(names)


def listed(names: Sequence[str]) -> str:
    """Names for a message, up to a cap."""
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(names[:SHOWN_COLUMNS]) + more


def _all(names: Sequence[str]) -> str:
    return f"the file has the columns {listed(names)}."


def _near(column: str, names: Sequence[str]) -> list[str]:
    near = difflib.get_close_matches(_folded(column), [_folded(name) for name in names], n=3)
    return [name for name in names if _folded(name) in near]


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _letters(name: str) -> str:
    """A name without what people vary in it: E-Mail and e_mail are EMail. Empty where there is nothing else."""
    return "".join(character for character in name.casefold() if character.isalnum()) or name


def _is_data(names: Sequence[str]) -> bool:
    """Whether a first line is a person rather than a header. It must not reach a message then."""
    return any("@" in name for name in names)
