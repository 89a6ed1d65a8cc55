"""The rules of planning again, in plain slow Python, to hold the SQL against: one line after the other, nothing clever.

Four judges are asked here as well, and have tests of their own: `judge` for addresses, `forms` for numbers and dates,
`phones.e164` for telephone numbers.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exporters.model.batch import Tally
from exporters.model.fields import ContactShape, DateOrder, FieldType, Formats, TargetField
from exporters.model.reject import REASONS, RejectKind, RejectReason
from exporters.model.source import Source
from exporters.planning import forms, phones
from exporters.planning.addresses import judge
from exporters.planning.values import WHITE_SPACE
from exporters.providers.base import BatchLimits, Envelope
from tests.encode import Number, Value, encode

#: What a segment says of a person, and by which rules it is read.
Said = tuple[ContactShape, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a part: a profile, or broken."""

    segment: str
    part: str
    line: int
    values: Mapping[str, str] = field(default_factory=dict)  #: column -> text as it stands in the file
    broken: RejectReason | None = None

    @property
    def place(self) -> dict[str, Any]:
        return {"segment": self.segment, "part": self.part, "line": self.line}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Someone who is planned."""

    line: Line
    email: str
    json: bytes
    said: Said
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the ledger knows of a person; None for what it does not know."""

    contact: bytes | None
    said: Said | None


Ledger = Mapping[str, Entry]


@dataclass(slots=True, kw_only=True)
class Expected:
    """What a plan comes to; lists are in the order of segments, parts and lines."""

    read: int
    contacts: list[Contact] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[dict[str, Any]] = field(default_factory=list)
    renewed: dict[str, Said] = field(default_factory=dict)
    unchanged: int = 0
    leavers: list[str] = field(default_factory=list)  #: in the order of addresses

    def rejected(self, kind: RejectKind) -> int:
        return sum(reject["kind"] == kind for reject in self.rejects)

    @property
    def reasons(self) -> list[tuple[str, str, str, int, dict[str, Any]]]:
        """Kind, reason, column, how often, and the first place; most frequent first."""
        keys = [(reject["kind"], reject["reason"], reject["column"]) for reject in self.rejects]
        keys += [(RejectKind.WITHHELD.value, row["kind"], "") for row in self.withheld]
        rows = [*self.rejects, *self.withheld]
        first = {key: rows[keys.index(key)] for key in keys}
        found = [
            (*key, times, {part: first[key][part] for part in ("segment", "part", "line")})
            for key, times in Counter(keys).items()
        ]
        return sorted(found, key=lambda reason: (-reason[3], *reason[:3]))


def expected(
    lines: Sequence[Line],
    shape: ContactShape,
    *,
    room: int,
    ledger: Ledger | None = None,
    suppressed: Mapping[str, str] | None = None,
    exclude: Collection[str] = (),
    full: bool = False,
) -> Expected:
    """Plan all lines, in their order. `room` is how long a contact may be, `suppressed` has address -> kind."""
    ledger, suppressed = ledger or {}, suppressed or {}
    result = Expected(read=len(lines))
    taken: set[str] = set()
    present: set[str] = set()
    for line in lines:
        if line.broken is not None:
            result.rejects.append(_reject(line, line.broken))
            continue
        email, contact, gone = written(line, shape)
        said = shape, tuple(line.values[column] for column in shape.columns)
        entry = ledger.get(email or "")
        present |= {email or ""}
        if email is None:
            result.rejects.append(_reject_address(line, shape, contact))
        elif email in exclude or "@" + email.rpartition("@")[2] in exclude:
            result.rejects.append(_reject_person(line, RejectReason.EMAIL_EXCLUDED, email, shape, contact))
        elif email in taken:
            result.rejects.append(_reject_person(line, RejectReason.DUPLICATE, email, shape, contact))
        elif email in suppressed:
            taken.add(email)
            result.withheld.append({"email": email, "kind": suppressed[email]} | line.place)
        elif not full and entry is not None and entry.said == said:
            taken.add(email)
            result.unchanged += 1
        elif len(contact) > room:
            result.rejects.append(_reject(line, RejectReason.CONTACT_TOO_LARGE, email=email))
        elif not full and entry is not None and entry.contact == contact:
            taken.add(email)
            result.unchanged += 1
            result.renewed[email] = said
        else:
            taken.add(email)
            known = entry is not None
            result.contacts.append(Contact(line=line, email=email, json=contact, said=said, is_known=known))
            result.rejects += [
                _reject(line, reason, target.source, value, email, contact) for target, value, reason in gone
            ]
    result.leavers = sorted(ledger.keys() - present)
    return result


def _reject(
    line: Line,
    reason: RejectReason,
    source: Source | None = None,
    value: str = "",
    email: str = "",
    contact: bytes | None = None,
) -> dict[str, Any]:
    return {
        "kind": REASONS[reason].kind.value,
        "reason": reason.value,
        "column": "" if source is None else ", ".join(columns_of(source)) or "constant",
        "value": value[:500],
        "email": email,
        **line.place,
        "words": "",
        "contact": None if contact is None else contact.decode(),
    }


def _reject_person(line: Line, reason: RejectReason, email: str, shape: ContactShape, contact: bytes) -> dict[str, Any]:
    return _reject(line, reason, shape.email.source, email, email, contact)


def _reject_address(line: Line, shape: ContactShape, contact: bytes) -> dict[str, Any]:
    address = text_of(shape.email.source, line.values) or ""
    if not address:
        reason = RejectReason.EMAIL_MISSING
    elif len(address) > 254:
        reason = RejectReason.EMAIL_TOO_LONG
    else:
        reason = RejectReason.EMAIL_MALFORMED
    return _reject(line, reason, shape.email.source, address, "", contact)


def written(line: Line, shape: ContactShape) -> tuple[str | None, bytes, list[tuple[TargetField, str, RejectReason]]]:
    """The address as it is sent (None: there is none), the contact, and the values that are left out of it."""
    address = text_of(shape.email.source, line.values)
    email = judge(address) if address else None
    values: dict[tuple[str, ...], Value] = {}
    gone = []
    for target in shape.fields:
        text = text_of(target.source, line.values)
        value = convert(text, target, shape.formats) if text else None
        if value is not None:
            values[target.path] = value
        elif text:
            gone.append((target, text, reason_of(text, target, shape.formats)))
    return email, encode(shape, email or address, values), gone


def columns_of(source: Source) -> list[str]:
    """Columns of a source, without repeats."""
    if source.column is not None:
        return [source.column]
    return list(dict.fromkeys(text for text, is_column in _template(source.template or "") if is_column))


def text_of(source: Source, values: Mapping[str, str]) -> str | None:
    """The text that fills a field, before its type is looked at."""
    if source.constant is not None:
        return unicodedata.normalize("NFC", source.constant.strip())
    if source.column is not None:
        return tidy(values[source.column]) or None
    if not any(tidy(values[column]) for column in columns_of(source)):
        return None
    pieces = [tidy(values[text]) if is_column else text for text, is_column in _template(source.template or "")]
    return tidy(re.sub(f"[{WHITE_SPACE}]+", " ", "".join(pieces))) or None


def _template(template: str) -> Iterator[tuple[str, bool]]:
    """Characters, and columns."""
    at = 0
    while at < len(template):
        if template[at : at + 2] in {"{{", "}}"}:
            yield template[at], False
            at += 2
        elif template[at] == "{":
            end = template.index("}", at)
            yield template[at + 1 : end], True
            at = end + 1
        else:
            yield template[at], False
            at += 1


def tidy(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip(WHITE_SPACE))


def convert(text: str, target: TargetField, formats: Formats) -> Value:
    """The value as it stands in the contact; None where it does not fit."""
    match target.type:
        case FieldType.TEXT:
            return text if target.max_chars is None or len(text) <= target.max_chars else None
        case FieldType.NUMBER:
            digits = forms.number(text, formats.decimal_mark)
            return None if digits is None else Number(digits)
        case FieldType.DATE:
            day = forms.day(text, formats.date_order)
            return None if day is None else day.strftime(target.date_format)
        case FieldType.BOOLEAN:
            yes, no = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
            return {word: word in yes for word in (*yes, *no)}.get(text.lower())
        case FieldType.PHONE:
            digits = "".join(character for character in text.replace("(0)", "") if character not in phones.FILLERS)
            digits = "+" + digits[2:] if digits.startswith("00") else digits
            return phones.e164(digits, formats.phone_country) if re.fullmatch(phones.DIALLED, digits) else None


def reason_of(text: str, target: TargetField, formats: Formats) -> RejectReason:
    match target.type:
        case FieldType.TEXT:
            return RejectReason.VALUE_TOO_LONG
        case FieldType.NUMBER:
            return RejectReason.NOT_A_NUMBER
        case FieldType.DATE:
            readings = {forms.day(text, order) for order in DateOrder} - {None}
            two = formats.date_order is None and len(readings) == 2
            return RejectReason.DATE_AMBIGUOUS if two else RejectReason.NOT_A_DATE
        case FieldType.BOOLEAN:
            return RejectReason.NOT_A_BOOLEAN
        case FieldType.PHONE:
            return RejectReason.NOT_A_PHONE


def fingerprint(contact: bytes) -> int:
    """As the ledger has it: the second half of the MD5, its first byte the lowest."""
    return int.from_bytes(hashlib.md5(contact, usedforsecurity=False).digest()[8:], "little")


def batches(contacts: Sequence[bytes], limits: BatchLimits, envelope: Envelope) -> list[list[bytes]]:
    """Packed one by one, each body written out to see how long it is."""
    packed: list[list[bytes]] = []
    for contact in contacts:
        if packed and len(packed[-1]) < limits.max_contacts:
            body = envelope.head + b",".join([*packed[-1], contact]) + envelope.tail
            if len(body) <= limits.max_body_bytes:
                packed[-1].append(contact)
                continue
        packed.append([contact])
    return packed


def verdict(row: int, tally: Tally | None) -> RejectKind | None:
    """What became of a row of a batch; None where it was delivered."""
    if tally is None:
        return RejectKind.UNKNOWN
    if row in tally.refused or any(first <= row < end for (first, end), _ in tally.refused_ranges):
        return RejectKind.REFUSED
    return RejectKind.UNKNOWN if any(first <= row < end for first, end in tally.unknown_ranges) else None


def merged(
    ledger: Ledger,
    plan: Expected,
    verdicts: Mapping[str, RejectKind | None],
    *,
    gone: Collection[str] = (),
    unsure: Collection[str] = (),
    everyone: bool = False,
) -> dict[str, Entry]:
    """The ledger after a run; `everyone`: it compared with no ledger.

    `verdicts` has a word for each planned address, None where it was delivered.
    """
    after = {email: entry for email, entry in ledger.items() if email not in gone}
    for email, said in plan.renewed.items():
        after[email] = replace(after[email], said=said)
    for contact in plan.contacts:
        match verdicts[contact.email]:
            case None:
                after[contact.email] = Entry(contact=contact.json, said=contact.said)
            case RejectKind.UNKNOWN:  # may be on the list by now, in this form or another
                after[contact.email] = Entry(contact=None, said=None)
            case _ if everyone and contact.email in after:  # was to be sent although the ledger has this form
                after[contact.email] = Entry(contact=None, said=None)
    for email in unsure:
        after[email] = Entry(contact=None, said=None)
    return after
