"""What is left of a person's values in a preview."""

import pytest

from exporters.api.masking import masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann.smith@example.com", "a***@e***.com"),
        ("7upper@mail.example.co.uk", "***@m***.uk"),
        ("ann@gmx.de", "***@***.de"),
        ("a@b.org", "***@***.org"),
        ("小明小明@example.com", "***@e***.com"),
        ("anna@example", "a***@e***"),
    ],
)
def test_an_address_keeps_two_letters_at_most_and_its_last_label(address, shown):
    assert masked("email", address) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Anna", "A***"),
        ("Ann-Marie  O'Neill", "A*** O***"),
        ("10115 Berlin", "##### B***"),
        ("4b Long-Lane", "*** L***"),
        ("+385 91 234-567", "+### ## ###-###"),
        ("1990-12-31", "####-##-##"),
        ("bo@example.com", "b***"),
        ("½", "#"),
        ("Ⅷ. ³", "#. #"),
        ("♀", "*"),
        ("🏙🏙", "**"),
        (12.5, "##.#"),
        (-3, "-#"),
        (True, "***"),
        (False, "***"),
    ],
)
def test_other_values_keep_their_shape(value, shown):
    assert masked("first_name", value) == shown


@pytest.mark.parametrize("word", ["M", "yes", "no", "Bo", "Ann", "½Ž", "Íñi"])
def test_a_short_word_says_it_all_and_is_hidden(word):
    assert masked("first_name", word) == "***"
    assert masked("first_name", f"{word} Smith") == "*** S***"


@pytest.mark.parametrize(
    "name",
    ["王小明", "欧阳小明", "김민준이다", "たかはし", "タカハシ", "ｱﾝﾄﾞｳ", "𠮷田太郎", "三四五六", "محمد", "สมชาย"],
)
def test_where_one_character_can_be_a_name_none_is_shown(name):
    assert masked("last_name", name) == "***"
