"""The rules of planning again, in plain slow Python, to hold the SQL against."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from exporters.model.fields import ContactShape, FieldType, TargetField
from exporters.planning.addresses import judge
from exporters.planning.values import PHONE_FILLERS, WHITE_SPACE
from exporters.providers.base import BatchLimits, Envelope


class Number(str):
    """A number as it stands in JSON."""

    __slots__ = ()


@dataclass
class Expected:
    """What a plan comes to."""

    contacts: list[tuple[str, bytes]] = field(default_factory=list)
    invalid: int = 0
    duplicate: int = 0
    omitted: int = 0


def expected(profiles: Sequence[Mapping[str, str]], shape: ContactShape) -> Expected:
    """Contacts in order, and the counts, when nobody is in the ledger."""
    result, seen = Expected(), set()
    for profile in profiles:
        address = tidy(profile[shape.email.column])
        email = judge(address)[0] if address else None
        if email is None:
            result.invalid += 1
        elif email in seen:
            result.duplicate += 1
        else:
            seen.add(email)
            contact, gone = written(profile, email, shape)
            result.contacts.append((email, contact))
            result.omitted += gone
    return result


def written(profile: Mapping[str, str], email: str, shape: ContactShape) -> tuple[bytes, int]:
    contact: dict[str, Any] = {shape.email.path[0]: email}
    gone = 0
    for target in shape.fields:
        text = tidy(profile[target.column])
        value = convert(text, target) if text else None
        if value is not None:
            inner = contact
            for key in target.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[target.path[-1]] = value
        elif text:
            gone += 1
    return dumps(in_order_of(shape, contact)).encode(), gone


def in_order_of(shape: ContactShape, contact: dict[str, Any]) -> dict[str, Any]:
    """Nested objects stand where their first field stands in the shape, whether that one has a value or not."""
    order = list(dict.fromkeys([shape.email.path[0], *(target.path[0] for target in shape.fields)]))
    return {key: contact[key] for key in order if key in contact}


def dumps(value: Any) -> str:
    if isinstance(value, dict):
        members = [f"{json.dumps(key, ensure_ascii=False)}:{dumps(inner)}" for key, inner in value.items()]
        return "{" + ",".join(members) + "}"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tidy(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip(WHITE_SPACE))


def convert(text: str, target: TargetField) -> Any:
    match target.type:
        case FieldType.TEXT:
            return text if target.max_chars is None or len(text) <= target.max_chars else None
        case FieldType.NUMBER:
            return number(text)
        case FieldType.DATE:
            return day(text, target.date_format)
        case FieldType.BOOLEAN:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())
        case FieldType.PHONE:
            digits = text.replace("(0)", "").translate({ord(filler): None for filler in PHONE_FILLERS})
            digits = "+" + digits[2:] if digits.startswith("00") else digits
            return digits if re.fullmatch(r"\+[1-9][0-9]{6,14}", digits) else None


def number(text: str) -> Number | None:
    if not re.fullmatch(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})", text):
        return None
    value = Decimal(text)
    plain = format(abs(value), "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return Number(("-" if value < 0 else "") + plain)


def day(text: str, form: str) -> str | None:
    time = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)? ?(Z|[+-]\d\d(:?\d\d)?)?"
    if not re.fullmatch(rf"[12]\d{{3}}-\d\d-\d\d([T ]{time})?", text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text[:10]).strftime(form)
    except ValueError:
        return None


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
