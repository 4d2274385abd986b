"""How a group of commands is set up, so that all look alike: plain help, no tracebacks dressed up."""

from __future__ import annotations

import typer


def group(help_line: str = "", example: str = "") -> typer.Typer:
    """An empty group of commands, with an example of one of them."""
    return typer.Typer(
        help=help_line or None,
        epilog=f"\b\nExample:\n  {example}" if example else None,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
