"""Spellings of a list's id that a provider reads as the same list."""

import pytest

from exporters.errors import ConfigError
from exporters.providers.brevo import Brevo
from exporters.providers.sendgrid import SendGrid

LIST = "abc12300-0000-4000-8000-0000000000de"


@pytest.mark.parametrize("spelling", [LIST, LIST.upper(), LIST.replace("-", ""), f"{{{LIST}}}"])
def test_sendgrid_reads_every_spelling_of_a_uuid_as_one_list(spelling: str, sendgrid: SendGrid) -> None:
    assert SendGrid.canonical_list_id(spelling) == LIST
    assert sendgrid.envelope(spelling) == sendgrid.envelope(LIST)


@pytest.mark.parametrize("spelling", ["7", "07", "0000000007"])
def test_brevo_reads_zeros_in_front_as_nothing(spelling: str, brevo: Brevo) -> None:
    assert Brevo.canonical_list_id(spelling) == "7"
    assert brevo.envelope(spelling) == brevo.envelope("7")


@pytest.mark.parametrize(("provider", "text"), [(SendGrid, "7"), (Brevo, LIST), (Brevo, ""), (Brevo, "-7")])
def test_what_is_no_list_id_has_no_canonical_one(provider: type[SendGrid] | type[Brevo], text: str) -> None:
    with pytest.raises(ConfigError, match="is not the id of a"):
        provider.canonical_list_id(text)
