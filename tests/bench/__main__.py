"""`make bench`: every part measures, the table is printed, .local/bench.json written."""

from tests.bench import delivery
from tests.bench.figures import publish

PARTS = (delivery.measure,)


def main() -> None:
    publish([figure for part in PARTS for figure in part()])


if __name__ == "__main__":
    main()
