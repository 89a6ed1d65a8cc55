"""The page about the sandboxes names every fault with its default."""

import json
import re
from pathlib import Path

import pytest

from infra.local.sandbox.brevo import BrevoFaults
from infra.local.sandbox.key_vault import KeyVaultFaults
from infra.local.sandbox.sendgrid import SendGridFaults

PAGE = (Path(__file__).parents[3] / "docs" / "sandboxes.md").read_text()


@pytest.mark.parametrize("faults", [SendGridFaults(), BrevoFaults(), KeyVaultFaults()])
def test_every_fault_and_its_default_stand_on_the_page(faults):
    told = {}
    for names, defaults in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ((?:`[^`]*`(?:, )?)+) \|", PAGE, re.MULTILINE):
        told |= zip(re.findall(r"`(\w+)`", names), re.findall(r"`([^`]*)`", defaults), strict=True)
    expected = {name: _written(value) for name, value in faults.model_dump(mode="json").items()}
    ambiguous = {"unknown_list_status"}  # the vendors' own defaults differ
    assert {name: told.get(name) for name in expected if name not in ambiguous} == {
        name: value for name, value in expected.items() if name not in ambiguous
    }


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return text.removesuffix(".0")
