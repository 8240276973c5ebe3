"""What all pages share: the templates and how they are filled in."""

import jinja2

from seqreg.report import words


def environment() -> jinja2.Environment:
    """Templates of this room; texts are escaped, and a name that is not given is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("seqreg.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.globals.update(number=words.number, percent=words.percent)
    return made
