"""Faults of a part, which `reading` collects so that all of a segment's are reported together."""


class PartFault(Exception):  # noqa: N818 (collected, never seen outside this package)
    """One fault of one part, in an operator's words: which file, what is wrong with it, what to do."""
