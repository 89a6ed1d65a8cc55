"""Files of people: read in parts, whatever their columns, without filling the memory."""

import gzip
import tracemalloc

import pytest

from exporters.errors import TransientError
from exporters.providers import people
from exporters.providers.base import Member
from tests.unit.providers.conftest import Vendor

ANN, BO = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"


def read(url: str, *, first: int = 0, limit: int = people.PEOPLE_A_PART) -> people.Part:
    return people.read(url, first=first, what="The file of the list", remedy="divide it", limit=limit)


@pytest.mark.parametrize(
    "text",
    [
        f"EMAIL,FIRST_NAME,ALTERNATE_EMAILS,CONTACT_ID\nAnn@example.com,Ann,other@example.com,{ANN}\n",
        f'ALTERNATE_EMAILS,PHONE_NUMBER_ID,CONTACT_ID,EMAIL\nother@example.com,+41,{ANN},"ann@example.com"\n',
        f"contact_id;e-mail\r\n{ANN};ann@example.com",
        f"\ufeffid\temail\n{ANN}\tann@example.com\n\n",
    ],
)
@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_address_and_id_are_found_among_other_columns(vendor: Vendor, text: str, pack) -> None:  # type: ignore[no-untyped-def]
    vendor.answer(pack(text.encode()))
    assert read(vendor.url).people == [Member(email="ann@example.com", id=ANN)]


@pytest.mark.parametrize(
    "text",
    [
        "EMAIL,EXTERNAL_ID\nann@example.com,7\n",  # an id, and not the contact's
        "EMAIL,CONTACT_ID\nann@example.com,\n",
        f"EMAIL,CONTACT_ID\nann@example.com,{ANN}{BO}\n",  # longer than what is reckoned with
        'EMAIL,CONTACT_ID\nann@example.com,"1,2"\n',
        "ann@example.com\n",  # no header
    ],
)
def test_without_a_usable_id_the_address_stands_alone(vendor: Vendor, text: str) -> None:
    vendor.answer(text.encode())
    assert read(vendor.url).people == [Member(email="ann@example.com")]


def test_whoever_has_no_address_is_left_out(vendor: Vendor) -> None:
    vendor.answer(b"EMAIL,CONTACT_ID\n,1\nann@example.com,2\n")
    assert read(vendor.url) == people.Part(people=[Member(email="ann@example.com", id="2")], end=2, more=False)


@pytest.mark.parametrize("name", ["E-Mail", "EMAIL", "contact email address"])
def test_a_file_of_people_who_all_have_no_address_tells_of_nobody(vendor: Vendor, name: str) -> None:
    vendor.answer(f"{name},CONTACT_ID\n,1\n,2\n".encode())
    assert read(vendor.url) == people.Part(people=[], end=2, more=False)


@pytest.mark.parametrize("name", ["ADDRESS", "ADDRESS_LINE_1", "mailing_address"])
def test_a_column_of_streets_that_nobody_filled_in_is_no_list_of_nobody(vendor: Vendor, name: str) -> None:
    vendor.answer(f"NAME,{name}\nAnn,\nBo,\n".encode())
    with pytest.raises(TransientError, match="missing or cannot be read"):
        read(vendor.url)
    vendor.answer(f"NAME,{name}\nAnn,\nBo,bo@example.com\n".encode())
    assert read(vendor.url).people == [Member(email="bo@example.com")]


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["as a file", "on the way"])
def test_a_file_of_several_gzip_members_is_read_to_its_end(vendor: Vendor, headers: dict[str, str]) -> None:
    members = [b"EMAIL\nann@example.com\n", b"bo@example.com\n", b"cy@example.com\n"]
    for padding in (b"", b"\0" * 100):
        vendor.answer(padding.join(map(gzip.compress, members)) + padding, headers=headers)
        assert [person.email[:2] for person in read(vendor.url).people] == ["an", "bo", "cy"]


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["as a file", "on the way"])
@pytest.mark.parametrize("rest", [b"junk", gzip.compress(b"bo@example.com\n")[:-9]], ids=["junk", "cut off"])
def test_what_is_broken_behind_the_first_gzip_member_is_noticed(
    vendor: Vendor, headers: dict[str, str], rest: bytes
) -> None:
    vendor.answer(gzip.compress(b"EMAIL\nann@example.com\n") + rest, headers=headers)
    with pytest.raises(TransientError):
        read(vendor.url)


def test_a_gzip_file_may_travel_as_gzip(vendor: Vendor) -> None:
    vendor.answer(gzip.compress(gzip.compress(b"EMAIL\nann@example.com\n")), headers={"Content-Encoding": "gzip"})
    assert read(vendor.url).people == [Member(email="ann@example.com")]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_the_parts_of_a_file_hold_everyone_once(vendor: Vendor, pack) -> None:  # type: ignore[no-untyped-def]
    data = pack(b"EMAIL\n" + b"".join(b"p%d@example.com\n,\n" % number for number in range(7)))
    found: list[str] = []
    part = people.Part(people=[], end=0, more=True)
    while part.more:
        vendor.answer(data)
        part = read(vendor.url, first=part.end, limit=3)
        assert len(part.people) <= 3
        found += [person.email for person in part.people]
    assert found == [f"p{number}@example.com" for number in range(7)]


def test_a_list_of_nobody_is_a_header_alone(vendor: Vendor) -> None:
    vendor.answer(b"EMAIL,CONTACT_ID\n")
    assert read(vendor.url) == people.Part(people=[], end=0, more=False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"contact,alternate_emails\nann,other\n", 200),
        (b"NAME,ADDRESS_LINE_1\nAnn,Main Street\n", 200),
        (b"<html><body>Sign in</body></html>", 200),
        (gzip.compress(b"EMAIL\nann@example.com\n")[:-9], 200),
        (gzip.compress(b"EMAIL\nann@example.com\n")[:12] + b"junk", 200),
        (b'EMAIL\n"' + b"x" * 200_000, 200),
        (b"EMAIL\n" + b"x" * 1_100_000, 200),
        (b"EMAIL\nann@example.com\n", 403),
        (b"EMAIL\nann@example.com\n", 302),
    ],
    ids=[
        "empty",
        "no address",
        "streets",
        "html",
        "cut off",
        "junk",
        "no end of quotes",
        "no end of line",
        "403",
        "302",
    ],
)
def test_what_cannot_be_read_is_never_an_empty_list(vendor: Vendor, body: bytes, status: int) -> None:
    vendor.answer(body, status)
    with pytest.raises(TransientError, match="The file of the list is missing or cannot be read"):
        read(vendor.url)


def test_a_file_that_breaks_off_is_noticed_with_its_last_part_at_the_latest(vendor: Vendor) -> None:
    packed = gzip.compress(b"EMAIL\n" + b"".join(b"%032d@example.com\n" % number for number in range(20_000)))
    vendor.answer(packed[: len(packed) // 2])
    assert read(vendor.url, limit=10).end == 10
    vendor.answer(packed[: len(packed) // 2])
    with pytest.raises(TransientError):
        read(vendor.url, limit=20_000)


def test_a_link_is_followed_without_any_key_and_only_by_https() -> None:
    with pytest.raises(TransientError):
        read("http://storage.example/list.csv")


def test_a_part_takes_as_much_memory_as_its_people_whatever_the_file(vendor: Vendor) -> None:
    line = b"%032d@example.com,Ann,11111111-0000-4000-8000-%012d,%0200d\n"
    data = b"EMAIL,FIRST_NAME,CONTACT_ID,NOTE\n" + b"".join(line % (n, n, n) for n in range(50_000))
    vendor.answer(gzip.compress(data, compresslevel=1))
    tracemalloc.start()
    try:
        part = read(vendor.url, first=30_000, limit=5_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (part.people[0].email, len(part.people), part.end) == (f"{30_000:032}@example.com", 5_000, 35_000)
    assert len(data) > 14_000_000
    assert peak < 4_000_000
