"""Part files as UTF-8 text, whatever they were written in.

Which encoding a part has, by rule: what model.json says; else its byte order mark; else UTF-16 where one of the first
two bytes is zero and the other is not; else UTF-8, unless more lines with bytes above 127 are broken UTF-8 than not:
then it is Windows-1252. Bytes that are no text in that encoding stay broken UTF-8 in the copy, so that their lines can
be told.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exporters.errors import SegmentError

CHUNK_BYTES = 1 << 20
#: Longest line that is taken for a line of a table. A file without line breaks must not fill the memory.
MAX_LINE_BYTES = 1 << 18

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
#: Says to `readlines` that a line was longer than `MAX_LINE_BYTES`; no UTF-8 text holds it.
OVERLONG = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFacts:
    """What one pass over a UTF-8 part found."""

    lines: int  #: the last one counts with or without a line break; blank lines at the end do not
    clean: bool  #: UTF-8 throughout, and no NUL bytes


def to_utf8(path: Path, *, told: str | None, name: str) -> bool:
    """Rewrite a local part in place as UTF-8 without byte order mark.

    Answers whether it is known to be UTF-8 throughout. Raises SegmentError for an unknown encoding.
    """
    encoding, mark, known = _encoding(path, told, name)
    if encoding == "utf-8" and not mark:
        return known
    copy = path.with_name(path.name + ".utf8")
    with path.open("rb") as source, copy.open("wb") as target:
        source.seek(mark)
        if encoding == "utf-8":
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
        else:
            _transcode(source, target, encoding)
    copy.replace(path)
    return False


def facts(path: Path, *, is_utf8: bool = False) -> TextFacts:
    """Count lines and look for bytes that need care. Cuts blank lines off the end of the file.

    `is_utf8` says that the file is known to be UTF-8 throughout, so that it need not be decoded for that.
    """
    _cut_blank_end(path)
    lines, nul, last = 0, False, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            lines += chunk.count(b"\n")
            nul = nul or b"\0" in chunk
            last = chunk[-1:]
    return TextFacts(lines=lines + (last not in {b"", b"\n"}), clean=not nul and (is_utf8 or _is_utf8(path)))


def readlines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their line breaks. Of a line longer than `MAX_LINE_BYTES` only the mark `OVERLONG` is left."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            line = OVERLONG + rest[-1:]
        yield line


def _encoding(path: Path, told: str | None, name: str) -> tuple[str, int, bool]:
    """Python's name of the encoding, the length of the byte order mark, and whether every byte was looked at for it."""
    with path.open("rb") as file:
        start = file.read(4)
    mark = next((mark for mark in _MARKS if start.startswith(mark[0])), None)
    if told is not None:
        return _told_encoding(told, start, name), 0 if mark is None else len(mark[0]), False
    if mark is not None:
        return mark[1], len(mark[0]), False
    if len(start) >= 2 and (start[0] == 0) != (start[1] == 0):
        return ("utf-16-be" if start[0] == 0 else "utf-16-le"), 0, False
    if _is_utf8(path):
        return "utf-8", 0, True
    return ("utf-8" if _is_mostly_utf8(path) else "cp1252"), 0, False


def _told_encoding(told: str, start: bytes, name: str) -> str:
    try:
        encoding = codecs.lookup(told.strip()).name
    except LookupError as error:
        raise SegmentError(
            f"{name}: model.json says its encoding is {told!r}, which is not known; use UTF-8."
        ) from error
    if encoding == "utf-16":
        return "utf-16-be" if start.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    return "utf-8" if encoding in {"utf-8-sig", "ascii"} else encoding


def _is_mostly_utf8(path: Path) -> bool:
    good = broken = 0
    with path.open("rb") as file:
        for line in readlines(file):
            if not line.isascii():
                if is_utf8(line):
                    good += 1
                else:
                    broken += 1
    return good >= broken


def is_utf8(line: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(path: Path) -> bool:
    """Whether a whole file is text in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _transcode(source: BinaryIO, target: BinaryIO, encoding: str) -> None:
    """Copy as UTF-8. What cannot be decoded becomes bytes that are not UTF-8 either."""
    # UTF-16 breaks in half pairs of surrogates, the single-byte encodings in bytes that mean nothing.
    errors = "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    while chunk := source.read(CHUNK_BYTES):
        target.write(decoder.decode(chunk).encode("utf-8", errors))
    if decoder.getstate()[0]:
        target.write(OVERLONG)  # half a character at the end


def _cut_blank_end(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - CHUNK_BYTES)
            file.seek(start)
            kept = len(file.read(end - start).rstrip(b"\r\n"))
            if kept:
                break
            end = start
        else:
            file.truncate(0)
            return
        file.seek(start + kept)
        tail = file.read(2)
        break_bytes = 2 if tail == b"\r\n" else int(tail[:1] == b"\n")
        file.truncate(start + kept + break_bytes)
