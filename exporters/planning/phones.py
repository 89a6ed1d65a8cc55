"""Telephone numbers in the form that can be dialled from everywhere: + and digits, as E.164 has it.

Two judges with one law: a regular expression made from the numbering plans of phonenumbers settles plain international
numbers inside DuckDB, and phonenumbers itself settles every value that is left. A number counts when its country code
exists and its length is possible there; whether it was ever given to anybody, nobody knows for long.
https://github.com/daviddrysdale/python-phonenumbers
"""

import re
from functools import cache

import phonenumbers

#: Taken out of telephone numbers: white space, dots, slashes, brackets and the many dashes.
FILLERS = " \u00a0\t./()[]-\u2010\u2011\u2012\u2013\u2014"
#: What is left must be digits. 15 is the most that E.164 allows; a prefix for dialling abroad may stand before them.
#: https://www.itu.int/rec/T-REC-E.164
DIALLED = r"\+?[0-9]{4,20}"
MAX_DIGITS = 15


def e164(dialled: str, country: str | None) -> str | None:
    """A number without fillers as + and digits; None where there is no such number.

    `country` (ISO 3166-1, two capital letters) is where numbers without country code are from.
    """
    try:
        number = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return None
    # A number that can be dialled in its own town only is not one either.
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    if not possible or number.extension:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written if len(written) <= MAX_DIGITS + 1 else None


@cache
def plain_international() -> tuple[str, str]:
    """Two expressions: numbers of a possible length after +, and those of them that hold a prefix to be taken out.

    What the first one matches and the second one does not is in E.164 already.
    """
    possible, prefixed = [], []
    for code in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE):
        region = phonenumbers.region_code_for_country_code(code)
        plan = (
            phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
            if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
            else phonenumbers.PhoneMetadata.metadata_for_region(region)
        )
        if plan is None or plan.general_desc is None:
            continue
        lengths = [n for n in plan.general_desc.possible_length if 0 < n <= MAX_DIGITS - len(str(code))]
        possible += [f"{code}[0-9]{{{length}}}" for length in lengths]
        if plan.national_prefix_for_parsing:
            prefix = re.sub(r"\((?!\?)", "(?:", plan.national_prefix_for_parsing).replace(r"\d", "[0-9]")
            prefixed.append(f"{code}(?:{prefix})")
    return rf"\+(?:{'|'.join(possible)})", rf"^\+(?:{'|'.join(prefixed)})"
