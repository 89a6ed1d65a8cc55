"""Parts that are compressed with gzip.

A file may hold several members, one after the other. https://www.rfc-editor.org/rfc/rfc1952
"""

import gzip
import zlib
from pathlib import Path

from exporters.segments.faults import PartFault

#: First bytes of every gzip file: two that identify it, and the only compression method there is.
MAGIC = b"\x1f\x8b\x08"
#: Most bytes that one part may unpack to. Deflate makes up to 1032 bytes of one (https://zlib.net/zlib_tech.html), so
#: that a small file could fill the disk; real parts of 1 GB unpack to less than half of this.
MAX_UNPACKED_BYTES = 16 * 1024**3
CHUNK_BYTES = 1 << 18


def is_gzip(path: Path) -> bool:
    """Whether a local file begins as gzip files do, whatever its name says."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def unpack(path: Path, *, name: str, limit: int = MAX_UNPACKED_BYTES) -> None:
    """Replace a local gzip file by what it holds, of at most `limit` bytes.

    Raises PartFault where the file is damaged or ends too early: nobody can know what is missing then.
    """
    copy = path.with_name(path.name + ".unpacked")
    try:
        size = _unpacked(path, copy, limit)
    except EOFError as error:
        raise PartFault(
            f"{name}: the gzip file ends too early; it was not written to its end; export the segment again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise PartFault(f"{name}: the gzip file is damaged; export the segment again.") from error
    if size > limit:
        raise PartFault(f"{name} unpacks to more than {limit:,} bytes; write it as several smaller parts.")
    copy.replace(path)


def _unpacked(path: Path, target: Path, limit: int) -> int:
    """Bytes that were unpacked; where they are more than the limit, unpacking has stopped."""
    if path.stat().st_size == 0:
        raise EOFError  # the library takes it for an empty member, which would be twenty bytes long
    size = 0
    with gzip.open(path, "rb") as source, target.open("wb") as copy:
        while size <= limit and (chunk := source.read(CHUNK_BYTES)):
            size += copy.write(chunk)
    return size
