"""Part files as UTF-8 text with LF or CRLF line breaks, whatever they were written in.

Which encoding a part has, by rule: its byte order mark; else what model.json says; else UTF-32 or UTF-16 by the zero
bytes among the first four; else UTF-8, unless more lines with bytes above 127 are broken UTF-8 than not: then it is
Windows-1252. Bytes that are no text in that encoding are broken UTF-8 in the copy, so that their lines can be told.

Line breaks are CR alone where the first line ends in one and no LF stands outside quotes.
"""

import codecs
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exporters.errors import SegmentError

CHUNK_BYTES = 1 << 20
#: Bytes that are looked at together: what they decode to stays in the processor's cache, which halves the time.
SCAN_BYTES = 1 << 14
#: Longest line that is taken for a line of a table. A file without line breaks must not fill the memory.
MAX_LINE_BYTES = 1 << 18

# UTF-32 first: its mark begins with that of UTF-16. https://www.unicode.org/faq/utf_bom.html#bom4
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Which of the first bytes are zero, in text that begins with an ASCII character.
_ZEROS = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True): "utf-16-le",
    (True, False): "utf-16-be",
}
#: What `readlines` gives for a line longer than `MAX_LINE_BYTES`; no line goes on after its line break.
OVERLONG = b"\n\xff"
#: Stands in the copy for bytes that could not be decoded; no UTF-8 text holds it.
BROKEN = b"\xfe"
_MARK_BROKEN = "exporters.segments.text.mark_broken"


def _mark_broken(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for text that cannot be decoded or encoded, and where to go on."""
    if isinstance(error, UnicodeDecodeError):
        return "\ud800", error.end  # no character, so that encoding it comes here too
    if isinstance(error, UnicodeEncodeError):
        return BROKEN, error.end
    raise error


codecs.register_error(_MARK_BROKEN, _mark_broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFacts:
    """What one pass over a UTF-8 part found."""

    lines: int  #: the last one counts with or without a line break; blank lines at the end do not
    utf8: bool  #: every byte is part of UTF-8 text
    nul: bool  #: there are NUL bytes

    @property
    def clean(self) -> bool:
        """Whether no line needs care for its bytes."""
        return self.utf8 and not self.nul


def to_utf8(path: Path, *, told: str | None, name: str) -> TextFacts:
    """Rewrite a local part in place as UTF-8 without byte order mark and without blank lines at its end.

    `told` is what model.json says of the encoding. Raises SegmentError where that is not known.
    """
    encoding, mark = _encoding(path, told, name)
    if mark or encoding not in {None, "utf-8"}:
        _rewrite(path, encoding or "utf-8", skip=mark)
    if _breaks_with_cr(path):
        _write_lf(path)
    found = _scan(path)
    if encoding is None and not found.utf8 and not _is_mostly_utf8(path):
        _rewrite(path, "cp1252", skip=0)
        found = _scan(path)
    return found


def readlines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their line breaks. Of a line longer than `MAX_LINE_BYTES` only the mark `OVERLONG` is left."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            line = OVERLONG + rest[-1:]
        yield line


def is_utf8(line: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encoding(path: Path, told: str | None, name: str) -> tuple[str | None, int]:
    """Python's name of the encoding, None where nothing tells it, and the length of the byte order mark."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, len(mark)
    if told is not None:
        return _told_encoding(told, name), 0
    zeros = tuple(byte == 0 for byte in start)
    return _ZEROS.get(zeros) or _ZEROS.get(zeros[:2]), 0


def _told_encoding(told: str, name: str) -> str:
    try:
        b"text".decode(told.strip(), "replace")  # codecs that are no text encodings exist, and refuse
        encoding = codecs.lookup(told.strip()).name
    except (LookupError, ValueError) as error:
        raise SegmentError(
            f"{name}: model.json says its encoding is {told!r}, which is not known; use UTF-8."
        ) from error
    if encoding in {"utf-16", "utf-32"}:
        return f"{encoding}-le"
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


def _rewrite(path: Path, encoding: str, *, skip: int) -> None:
    """Decode a file in place, without its first bytes."""
    copy = path.with_name(path.name + ".utf8")
    with path.open("rb") as source, copy.open("wb") as target:
        source.seek(skip)
        if encoding == "utf-8":
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
        else:
            _transcode(source, target, encoding)
    copy.replace(path)


def _transcode(source: BinaryIO, target: BinaryIO, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)(_MARK_BROKEN)
    while chunk := source.read(CHUNK_BYTES):
        target.write(decoder.decode(chunk).encode("utf-8", _MARK_BROKEN))
    target.write(decoder.decode(b"", final=True).encode("utf-8", _MARK_BROKEN))


def _scan(path: Path) -> TextFacts:
    """Count lines and look for bytes that need care, in one pass. Cuts blank lines off the end of the file first."""
    _cut_blank_end(path)
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, nul, utf8, last = 0, False, True, b""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(SCAN_BYTES):
            lines += chunk.count(b"\n")
            nul = nul or b"\0" in chunk
            utf8 = utf8 and _goes_on(decoder, chunk)
            last = chunk
    lines += bool(last) and not last.endswith(b"\n")
    return TextFacts(lines=lines, utf8=utf8 and _goes_on(decoder, b"", final=True), nul=nul)


def _goes_on(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _breaks_with_cr(path: Path) -> bool:
    """Whether CR alone ends the lines of a file."""
    with path.open("rb") as file:
        outside = b'"'.join(file.read(MAX_LINE_BYTES).split(b'"')[::2])
        first = re.search(rb"[\r\n]+", outside)
        if first is None or b"\n" in first[0]:
            return False
        file.seek(0)
        quoted = False
        while chunk := file.read(CHUNK_BYTES):
            pieces = chunk.split(b'"')
            if any(b"\n" in piece for piece in pieces[quoted::2]):
                return False
            quoted ^= len(pieces) % 2 == 0
    return True


def _write_lf(path: Path) -> None:
    """Make every CR an LF, in place."""
    copy = path.with_name(path.name + ".lf")
    with (
        path.open(encoding="utf-8", errors="surrogateescape") as source,
        copy.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as target,
    ):
        shutil.copyfileobj(source, target, CHUNK_BYTES)
    copy.replace(path)


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
        line_break = re.match(rb"\r*\n", file.read(CHUNK_BYTES))
        file.truncate(start + kept + (line_break.end() if line_break else 0))
