"""Which segments there are: a walk over the names of all blobs that skips what it need not see.

A container may hold a million parts. So the walk looks at the next name, tells from its path what it belongs to, and
goes on behind that. Where segments have few files it sees many of them in one listing, else it takes a short one each.

Where files lie in a folder, all of them may be one segment, or each of them. Parts of one segment are named alike but
for numbers (`part-0001.csv`, `VIP_1.csv`), so files that are named so are one segment, and others are segments of their
own. A table that `model.json` names is one segment, and what an export names is a segment in any case.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from os.path import commonprefix

from exporters.errors import SegmentError
from exporters.segments.snapshots import DATED_LEVELS, ENDING, HIDDEN, TABLE_LOGS, is_data, table_format
from exporters.storage.blobs import BlobInfo, BlobStore

#: Names that are listed at once: few where most of them will be skipped, many where segments follow each other.
FEW, MANY = 2, 256
#: Listing so many names takes as long as asking once more. Ours.
NAMES_A_LOOK = 25
#: Files of a folder that tell whether they are parts of one segment. Ours.
LIKENESS = 20
#: Listings for those files: some of what is found may lie in folders within the folder. Ours.
LIKENESS_LOOKS = 5
#: Parts of one folder that are passed one by one, since folders may lie between them. Ours: a folder among so many
#: whose name goes on with a number where theirs do is hardly another segment.
PARTS_PASSED = 256

_DATED = re.compile(rf"(?P<segment>.+?)/{'/'.join(DATED_LEVELS)}/")
#: A folder that holds one value of a column, below that of a table. https://duckdb.org/docs/stable/data/partitioning/hive_partitioning
_PARTITION = re.compile(r"(?P<table>.+?)/[^/=]+=")
#: What differs in the names of the parts of one segment: numbers, and the ids that writers put into them.
_NUMBERS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|[0-9]+", re.IGNORECASE)
#: How the only file of a folder is named where it is a part. Others may be segments of their own, the first of some.
_PART = re.compile(r"(part\b.*|data|export|output|)", re.DOTALL)
#: What begins where the names of parts begin to differ. Digits follow each other in the order of names.
_DIFFERENCE = re.compile(r"[0-9a-f]", re.IGNORECASE)


class Layout(StrEnum):
    """How a segment lies in the container."""

    DATED = "dated folders"  #: a folder of its own for each snapshot, named by its time
    FOLDER = "folder of parts"  #: all files of one folder are one snapshot
    FILE = "single file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A segment that the walk came to."""

    path: str
    layout: Layout
    #: All blobs in its folder, where the walk has seen them; of single files those that are the segment, the newest
    #: of which counts.
    blobs: tuple[BlobInfo, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a walk has stopped, for another one to go on there."""

    after: str = ""  #: the name it was at
    #: Segments found before that it would come to again: a file and a folder may be of one name, with others between.
    found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """What the first files of a folder tell."""

    files: tuple[BlobInfo, ...]
    is_table: bool  #: a log says which of its files count, so that it is not read
    is_one: bool  #: its files are parts of one segment


class _Ahead:
    """The blobs that lie ahead, in the order of their names; `work` is what it took to see them, in looks."""

    def __init__(self, store: BlobStore, after: str) -> None:
        self.after = after
        self.work = 0.0
        self._store = store
        self._seen: deque[BlobInfo] = deque()
        self._is_end = False  #: nothing lies behind what was seen
        self._size = MANY
        self._steps = 0  #: since the last listing

    def first(self) -> BlobInfo | None:
        """The next blob; None behind the last one."""
        if not self._seen and not self._is_end:
            self._size = min(MANY, self._size * 4) if self._steps > 1 or not self.work else max(FEW, self._size // 4)
            found = self.page("", self.after, self._size)
            self._seen.extend(found)
            self._is_end = len(found) < self._size
            self._steps = 0
        return self._seen[0] if self._seen else None

    def go_past(self, blob: BlobInfo) -> None:
        """Go on behind a blob that is the first one."""
        self.after = blob.name
        self._seen.popleft()
        self._steps += 1

    def skip(self, prefix: str) -> None:
        """Go on behind everything whose name begins so."""
        self.after = max(self.after, _behind(prefix))
        while self._seen and self._seen[0].name <= self.after:
            self._seen.popleft()
        self._steps += 1

    def is_unseen(self) -> bool:
        """Whether what comes next has to be asked for."""
        return not self._seen and not self._is_end

    def inside(self, prefix: str) -> tuple[BlobInfo, ...] | None:
        """All blobs ahead whose names begin so, if nothing has to be asked for that."""
        found = tuple(takewhile(lambda blob: blob.name.startswith(prefix), self._seen))
        return found if len(found) < len(self._seen) or self._is_end else None

    def page(self, prefix: str, after: str, size: int) -> Sequence[BlobInfo]:
        """A listing that has nothing to do with where the walk is."""
        found = self._store.page(prefix, after=after, size=size)
        self.work += 1 + len(found) / NAMES_A_LOOK
        return found


class Walk:
    """A walk from a mark on, whose name need not be there. It ends early after as much work as `max_looks` short
    listings.

    `named`: paths that exports name.
    """

    def __init__(self, store: BlobStore, *, start: Mark, named: Set[str], max_looks: int) -> None:
        self.ended = False  #: there is nothing behind
        self._store = store
        self._ahead = _Ahead(store, start.after)
        self._named = named
        self._max_looks = max_looks
        self._folders: dict[str, _Folder] = {}
        self._passed = Counter[str]()  #: parts, by their folder
        self._found = set(start.found)
        self._before: str | None = None  #: the name it was at before a blob that gives one more segment

    @property
    def mark(self) -> Mark:
        """Where a later walk can go on."""
        after = self._ahead.after if self._before is None else self._before
        again = sorted(path for path in self._found if after < _behind(f"{path}/"))
        return Mark(after=after, found=tuple(again))

    @property
    def looks(self) -> float:
        """What it took so far."""
        return self._ahead.work

    def __iter__(self) -> Iterator[Place]:
        """The segments, in the order of the names of their first blobs."""
        while self.looks < self._max_looks:
            blob = self._ahead.first()
            if blob is None:
                self.ended = True
                return
            before = self._ahead.after
            places = [place for place in self._places(blob) if place.path not in self._found]
            for number, place in enumerate(places, start=1):
                self._found.add(place.path)
                self._before = before if number < len(places) else None
                yield place

    def _places(self, blob: BlobInfo) -> Sequence[Place]:
        """The segments that a blob is the first one of; the walk has then gone on behind what it need not see."""
        if (skipped := _hidden(blob.name)) is not None:
            self._ahead.skip(skipped)
            return ()
        if dated := _DATED.match(blob.name):
            path = dated["segment"]
            place = Place(path=path, layout=Layout.DATED, blobs=self._all_inside(path))
            self._ahead.skip(f"{path}/")
            return (place,)
        if not is_data(blob):
            self._ahead.go_past(blob)
            return ()
        folder = blob.name.rpartition("/")[0]
        return self._in_folder(blob, folder) if folder else self._single(blob)

    def _in_folder(self, blob: BlobInfo, name: str) -> Sequence[Place]:
        """The segments that a file in a folder is the first one of."""
        if (partition := _PARTITION.match(name)) and self._has_log(partition["table"]):
            self._ahead.skip(f"{partition['table']}/")
            return ()
        folder = self._folder(name)
        if folder.is_table:
            self._ahead.skip(f"{name}/")
            return ()
        whole: tuple[Place, ...] = ()
        is_first = bool(folder.files) and folder.files[0].name == blob.name
        if is_first and (folder.is_one or name in self._named):
            whole = (Place(path=name, layout=Layout.FOLDER, blobs=self._all_inside(name)),)
        if not folder.is_one or any(path.startswith(f"{name}/") for path in self._named):
            single = self._single(blob)
            return (*whole, *(place for place in single if not folder.is_one or place.path in self._named))
        self._ahead.go_past(blob)
        self._passed[name] += 1
        if self._passed[name] >= PARTS_PASSED and self._ahead.is_unseen():
            self._skip_parts(blob, name, folder)
        return whole

    def _skip_parts(self, blob: BlobInfo, name: str, folder: _Folder) -> None:
        """Go on behind the parts that are numbered as one of them is: there may be a million."""
        alike = commonprefix([file.name for file in folder.files]).rstrip("0123456789")  # noqa: RUF071 (not of paths)
        if len(alike) <= len(name) + 1 or not alike.isascii() or not blob.name.startswith(alike):
            return
        if differs := _DIFFERENCE.match(blob.name, len(alike)):
            self._ahead.skip(alike + ("9" if differs[0].isdigit() else differs[0]))

    def _single(self, blob: BlobInfo) -> Sequence[Place]:
        """The segment that a file is, if it is the first one of that name."""
        path, before = ENDING.sub("", blob.name), self._ahead.after
        self._ahead.go_past(blob)
        following = self._ahead.first()
        if not before.startswith(f"{path}.") and (following is None or not following.name.startswith(f"{path}.")):
            return (Place(path=path, layout=Layout.FILE, blobs=(blob,)),)
        around = self._ahead.page(f"{path}.", "", MANY)
        files = tuple(file for file in around if ENDING.fullmatch(file.name[len(path) :]) and is_data(file))
        is_first = not files or files[0].name == blob.name
        return (Place(path=path, layout=Layout.FILE, blobs=files or (blob,)),) if is_first else ()

    def _all_inside(self, folder: str) -> tuple[BlobInfo, ...] | None:
        """All blobs in a folder, if the walk has come to its beginning and sees its end."""
        return None if self._ahead.after.startswith(f"{folder}/") else self._ahead.inside(f"{folder}/")

    def _folder(self, name: str) -> _Folder:
        if name not in self._folders:
            files, is_table = self._first_files(name)
            is_one = (name in self._named and len(files) == 1) or self._are_parts(name, files)
            self._folders[name] = _Folder(files=tuple(files), is_table=is_table, is_one=is_one)
        return self._folders[name]

    def _has_log(self, table: str) -> bool:
        """Whether a folder is a Delta table, whose log comes after most of its partitions in the order of names."""
        return bool(self._ahead.page(f"{table}/_delta_log/", "", 1))

    def _first_files(self, name: str) -> tuple[list[BlobInfo], bool]:
        """The first files right in a folder, and whether it is a table whose log says which of them count."""
        found = self._all_inside(name)
        if found is not None:
            return _right_in(name, found)
        files, after = list[BlobInfo](), ""
        for _ in range(LIKENESS_LOOKS):
            found = tuple(self._ahead.page(f"{name}/", after, LIKENESS))
            some, is_table = _right_in(name, found)
            files += some
            if is_table or len(found) < LIKENESS or len(files) >= LIKENESS:
                return files, is_table
            inside, slash, _ = found[-1].name[len(name) + 1 :].partition("/")
            after = _behind(f"{name}/{inside}/") if slash else found[-1].name
        return files, False

    def _are_parts(self, folder: str, files: Sequence[BlobInfo]) -> bool:
        """Whether files of a folder are parts of one segment."""
        stems = {_stem(file.name) for file in files[:LIKENESS]}
        if len(stems) == 1 and (len(files) > 1 or _PART.fullmatch(min(stems)) or stems == {_stem(folder)}):
            return True
        self._ahead.work += 1
        try:
            return table_format(self._store, folder) is not None
        except SegmentError:
            return False


def _right_in(folder: str, blobs: Sequence[BlobInfo]) -> tuple[list[BlobInfo], bool]:
    """The files right in a folder among blobs below it, and whether the log of a table is among them."""
    files = list[BlobInfo]()
    for blob in blobs:
        inside, slash, _ = blob.name[len(folder) + 1 :].partition("/")
        if slash and inside in TABLE_LOGS:
            return files, True
        if not slash and is_data(blob):
            files.append(blob)
    return files, False


def _hidden(name: str) -> str | None:
    """What to skip for a blob in a hidden folder: that one, or the whole table whose log lies in it."""
    folders = name.split("/")[:-1]
    for depth, folder in enumerate(folders):
        if folder.startswith(HIDDEN):
            is_log = folder in TABLE_LOGS and depth > 0
            return "/".join(folders[: depth if is_log else depth + 1]) + "/"
    return None


def _stem(name: str) -> str:
    """What the name of a file is without its folder, its ending and its numbers."""
    return _NUMBERS.sub("", ENDING.sub("", name.rpartition("/")[2])).strip("_-. ()").casefold()


def _behind(prefix: str) -> str:
    """A name that comes after all that begin with a prefix, and before all others that come after them."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
