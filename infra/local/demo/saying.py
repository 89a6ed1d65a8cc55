"""Plain lines on the console: rich neither breaks them nor reads markup in them."""

from rich.console import Console


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a line as it is."""
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)
