"""How the demo fails."""


class DemoFailedError(Exception):
    """The demo cannot go on; the text says why."""
