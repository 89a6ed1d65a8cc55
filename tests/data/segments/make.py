"""Writes the parts in this folder that are not text: run `python tests/data/segments/make.py`.

The same bytes come out each time, as long as DuckDB is the same.
"""

import gzip
import tempfile
from pathlib import Path

import duckdb

FOLDER = Path(__file__).parent
HEADER = "CustomerId,EMail,FirstName,City\n"
ONE = "1,a1@example.com,Ana,Zagreb\n"
TWO = "2,a2@example.com,Ana,Zagreb\n"

#: Types that a column may have, one part each: a value in SQL.
TYPES = (
    "1.50::DECIMAL(10, 2)",
    "1e20::DOUBLE",
    "10000::DOUBLE",
    "0.1::FLOAT",
    "0.00001::DOUBLE",
    "'nan'::DOUBLE",
    "18446744073709551615::UBIGINT",
    "false",
    "DATE '2020-01-02'",
    "TIMESTAMP '2020-01-02 03:04:05.25'",
    "TIMESTAMPTZ '2020-01-02 03:04:05+02'",
    "TIME '03:04:05'",
    "UUID '00000000-0000-0000-0000-00000000000a'",
    "'Split'::ENUM('Split', 'Zadar')",
)


def gzipped(*members: str, encoding: str = "utf-8") -> bytes:
    """Texts as the members of one gzip file."""
    return b"".join(gzip.compress(member.encode(encoding), mtime=0) for member in members)


def parquet(*rows: str, columns: str = "EMail, FirstName, City", where: str = "true") -> bytes:
    """Rows in SQL as an uncompressed Parquet file."""
    statement = f"SELECT * FROM (VALUES {', '.join(f'({row})' for row in rows)}) people({columns}) WHERE {where}"  # noqa: S608
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        file = Path(folder) / "part.parquet"
        database.execute(f"COPY ({statement}) TO '{file}' (FORMAT parquet, COMPRESSION uncompressed)")
        return file.read_bytes()


def write(name: str, data: bytes) -> None:
    """A part, in the folder of its case."""
    file = FOLDER / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)


def write_gzip() -> None:
    """Cases with gzip."""
    whole = gzipped(HEADER + ONE + TWO)
    damaged = bytearray(whole)
    damaged[-5] ^= 1  # of the checksum
    write("gzip/people_1.csv.gz", gzipped(HEADER + ONE, TWO))
    write("gzip/people_2.CSV.GZ", gzipped("EMail,FirstName,City\na3@example.com,Zoë,Köln\n", encoding="cp1252"))
    write("gzip/people_4.csv.gz", gzipped(""))
    write("gzip_by_content/people_1.csv", gzipped(HEADER + ONE))
    write("gzip_by_name_only/people_1.csv.gz", (HEADER + ONE).encode())
    write("gzip_cut_off/people_1.csv.gz", whole[:-12])
    write("gzip_cut_off/people_2.csv.gz", b"")
    write("gzip_damaged/people_1.csv.gz", bytes(damaged))
    write("gzip_missing_column/people_1.csv.gz", gzipped("CustomerId,E-Mail,FirstName,City\n"))
    write("gzip_of_a_cut_off_line/people_1.csv.gz", gzipped(HEADER + ONE + "2,a2@exa"))


def write_parquet() -> None:
    """Cases with Parquet."""
    one, two = "'a1@example.com', 'Ana', 'Zagreb'", "'a2@example.com', 'Ana', '東京'"
    whole = parquet(one, two)
    write("parquet/people_1.snappy.parquet", whole)
    write(
        "parquet/people_2.parquet", parquet("12, 'a3@example.com', true, 'Bo'", columns="City, EMail, VIP, FIRSTNAME")
    )
    write("parquet/people_3.parquet", parquet(one, where="false"))
    write(
        "parquet/people_4.PARQUET", parquet("NULL, 'Cy', 'Rome'", "' a5@example.com ', '', NULL", "'nobody', NULL, ''")
    )
    for number, value in enumerate(TYPES, start=1):
        write(f"parquet_types/people_{number}.parquet", parquet(f"'a{number}@example.com', NULL, {value}"))
    alike = parquet(f"'x', {one}", columns='email, "EMai~", FirstName, City').replace(b"EMai~", b"EMail")
    write("parquet_columns_alike/people_1.parquet", alike)
    write("parquet_missing_column/people_1.parquet", whole)
    write("parquet_missing_column/people_2.parquet", parquet(one, columns='"E-Mail", FirstName, City'))
    write("parquet_without_text/people_1.parquet", parquet("'a1@example.com', 'Ana'::BLOB, ['Zagreb']"))
    write("parquet_cut_off/people_1.parquet", whole[:-20])
    write("parquet_damaged/people_1.parquet", whole[:8] + bytes(40) + whole[48:])
    write("parquet_in_name_only/people_1.parquet", (HEADER + ONE).encode())
    write("parquet_with_csv/people_1.parquet", whole)
    rows = [one, "'a2@example.com', 'Zo~~', 'Bonn'", "'a3@example.com', 'A' || chr(0) || 'na', 'Bonn'", two]
    write("parquet_broken_text/people_1.parquet", parquet(*rows).replace(b"Zo~~", b"Zo\xc3\x28"))


if __name__ == "__main__":
    write_gzip()
    write_parquet()
