"""What a provider says who is on a list, as it is stored: CSV without a header, email in lower case and id, which may
be empty.
"""

import csv
import io
from collections.abc import Iterable

from exporters.providers.base import Member

#: One stored answer as a relation (email, id); its path comes in as $path.
ANSWER = """read_csv($path, header = false, auto_detect = false, delim = ',', quote = '"',
    columns = {'email': 'VARCHAR', 'id': 'VARCHAR'})"""


def encode_members(rows: Iterable[Member]) -> bytes:
    """One answer of the provider, as it is stored."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows((row.email, row.id) for row in rows)
    return text.getvalue().encode()
