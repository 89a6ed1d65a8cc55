"""Where the columns of the sample go at SendGrid, and how many contacts the scripts with other tools send at once."""

#: Column -> key of a contact.
STANDARD = {
    "FirstName": "first_name",
    "LastName": "last_name",
    "City": "city",
    "StateOrProvince": "state_province_region",
    "PostalCode": "postal_code",
    "CountryOrRegion": "country",
}
#: Column -> id of a custom field.
CUSTOM = {"LoyaltyTier": "e1_T", "LifetimeValue": "e2_N", "DateOfBirth": "e3_D"}
#: As many contacts of the sample as stay below 6 MB.
BATCH = 20_000
