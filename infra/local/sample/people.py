"""Sample people, one row each: the columns of a unified profile, every value as it should be."""

import random
from collections.abc import Iterator

from infra.local.sample.places import LANDS

COLUMNS = (
    "CustomerId", "EMail", "FirstName", "LastName", "CountryOrRegion", "StateOrProvince", "City", "PostalCode",
    "Telephone", "DateOfBirth", "LoyaltyTier", "LifetimeValue",
)  # fmt: skip
(
    CUSTOMER_ID, EMAIL, FIRST_NAME, LAST_NAME, COUNTRY, STATE, CITY, POSTAL_CODE, TELEPHONE, DATE_OF_BIRTH,
    LOYALTY_TIER, LIFETIME_VALUE,
) = range(len(COLUMNS))  # fmt: skip

#: Nobody's: https://www.rfc-editor.org/rfc/rfc2606
DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
TIERS = ("Bronze", "Silver", "Gold", "Platinum", "")
#: No area code of North America begins with a zero, so no number is anybody's. https://www.nanpa.com/numbering/nanp
TELEPHONE_FORM = "+1 0{:02d} {:03d} {:04d}"


def people(count: int, *, seed: int) -> Iterator[list[str]]:
    """So many people, always the same for one seed. Address and telephone number are nobody else's."""
    random_ = random.Random(seed)
    choice, number_below, share = random_.choice, random_.randrange, random_.random
    names = [tuple(land.first_names.items()) for land in LANDS]
    for number in range(count):
        which = number_below(len(LANDS))
        land = LANDS[which]
        first_name, login = choice(names[which])
        place = choice(land.places)
        yield [
            f"{number:08x}",
            f"{login}.{number}@{choice(DOMAINS)}",
            first_name,
            choice(land.last_names),
            land.country,
            place.state,
            place.city,
            place.postal_code,
            TELEPHONE_FORM.format(number // 10_000_000, number // 10_000 % 1_000, number % 10_000),
            f"{1930 + int(share() * 78)}-{1 + int(share() * 12):02d}-{1 + int(share() * 28):02d}",
            choice(TIERS),
            f"{share() * 5_000:.2f}",
        ]
