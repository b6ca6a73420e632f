"""The table of deviations, and the checks of its rows."""

import functools
import pathlib
import re

TABLE = pathlib.Path(__file__).parents[1] / "DEVIATIONS.md"


def read(text):
    """The rows by the command that checks them."""
    rows, command = {}, None
    for line in text.splitlines():
        if heading := re.fullmatch("## Checked by `(.+)`", line):
            command = heading[1]
        elif found := re.match(r"\| `([a-z0-9-]+)` \|", line):
            rows.setdefault(command, []).append(found[1])
    return rows


ROWS = read(TABLE.read_text())
_checked = set()


def known(name):
    """The name of a row, which must be in the table."""
    if not any(name in rows for rows in ROWS.values()):
        raise LookupError(f"{TABLE.name} has no row {name}")
    return name


def hold(name):
    """Records that the check of a row has passed."""
    _checked.add(known(name))


def row(name):
    """Marks a test as the check of a row."""
    known(name)

    def mark(test):
        @functools.wraps(test)
        def run(*arguments):
            test(*arguments)
            hold(name)

        return run

    return mark


def unchecked(command):
    """Rows of a command no check of which has passed."""
    return [name for name in ROWS[command] if name not in _checked]
