"""What the site holds beside its Markdown files: commands and names read from the code, notebooks, and formulas.

MkDocs calls the functions whose names begin with `on_`. Formulas become MathML, which browsers show by themselves:
no script, no font and nothing from the network is needed to read them.
"""

import html
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

import seqreg
from seqreg.cli.families import FAMILIES, meaning
from seqreg.schemas import VERSIONS, read_schema, schema_text
from seqreg.specs import Spec, field_table


def rooms() -> dict[str, str]:
    """Name -> first line of the docstring, of every public room of the package but the command line."""
    found = [room.name for room in pkgutil.iter_modules(seqreg.__path__) if not room.name.startswith("_")]
    sources = {name: inspect.getdoc(importlib.import_module(f"seqreg.{name}")) for name in found if name != "cli"}
    return {name: (source or "").split("\n")[0] for name, source in sources.items()}


def on_config(config: Any) -> Any:
    """Let the navigation list a page per room below the reference of Python."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    python = next(entry for entry in reference if "Python" in entry)
    python["Python"] = [python["Python"], *({name: f"reference/python/{name}.md"} for name in rooms())]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Put a Markdown page in the place of every notebook, and add one per room."""
    for name in rooms():
        text = f"# seqreg.{name}\n\n::: seqreg.{name}\n"
        files.append(File.generated(config, f"reference/python/{name}.md", content=text))
    for name in VERSIONS:
        files.append(File.generated(config, f"reference/schemas/{name}.json", content=schema_text(name)))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        page = file.src_uri.removesuffix(".ipynb") + ".md"
        files.append(
            File.generated(config, page, content=notebook_page(nbformat.reads(file.content_string, as_version=4)))
        )
    return files


def notebook_page(notebook: Any) -> str:
    """The cells of an executed notebook, with what they printed and drew."""
    pieces = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            pieces.append(cell.source)
            continue
        pieces.append(f"```python\n{cell.source}\n```")
        printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        if printed:
            pieces.append(f"```text\n{printed.rstrip()}\n```")
        drawn = [output.data["image/svg+xml"] for output in cell.outputs if "image/svg+xml" in output.get("data", {})]
        pieces.extend(f'<div class="notebook-figure">{_one_piece(svg)}</div>' for svg in drawn)
    return "\n\n".join(pieces)


def _one_piece(svg: str) -> str:
    """An SVG without prologue and blank lines, at which Markdown would end the block."""
    return "".join(line for line in svg[svg.index("<svg") :].splitlines(keepends=True) if line.strip())


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what a page asks for by a comment: `readme`, `commands`, `names`, `schemas` or `rooms`, in `<!--` and
    `-->`.
    """
    if "<!-- readme -->" in markdown:
        text = (Path(seqreg.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
        markdown = markdown.replace("<!-- readme -->", text.replace("](docs/", "]("))
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", commands())
    if "<!-- names -->" in markdown:
        markdown = markdown.replace("<!-- names -->", names())
    if "<!-- schemas -->" in markdown:
        markdown = markdown.replace("<!-- schemas -->", schemas())
    if "<!-- rooms -->" in markdown:
        rows = [f"| [`seqreg.{name}`](python/{name}.md) | {_escaped(about)} |" for name, about in rooms().items()]
        markdown = markdown.replace("<!-- rooms -->", "\n".join(["| module | holds |", "| --- | --- |", *rows]))
    return markdown


def commands() -> str:
    """Every command with its arguments and options, as Typer describes them."""
    import typer
    from typer.cli import get_docs_for_click

    from seqreg.cli import app

    command: Any = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="seqreg")
    return text[text.index("\n## ") :]  # the summary of commands, before it, is cut short for terminals


def names() -> str:
    """A section per family, a table per member: what `seqreg penalties` and its kin list."""
    sections = []
    for plural, family in FAMILIES.items():
        sections.append(f"## {plural.capitalize()}\n\n{family.about}\n\n    {family.example}")
        sections.extend(_member(name, cls) for name, cls in family.members().items())
    return "\n\n".join(sections)


def schemas() -> str:
    """A section per kind of JSON file, with its schema, which is also a file of the site."""
    sections = ["## JSON"]
    for name in VERSIONS:
        schema = read_schema(name)
        text = schema_text(name)
        head = f"### {schema['title']}\n\n{schema['description']} [`{name}.json`](schemas/{name}.json)"
        sections.append(f"{head}\n\n```json\n{text.rstrip()}\n```")
    return "\n\n".join(sections)


def _member(name: str, cls: type[Spec]) -> str:
    rows = [[row["field"], f"`{row['type']}`", f"`{row['default']}`", row["meaning"]] for row in field_table(cls)]
    head = f"### `{name}`\n\n{_escaped(meaning(cls))}"
    if not rows:
        return head
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines.extend(
        f"| {' | '.join(cell.replace('|', '&#124;' if '`' not in cell else ', ') for cell in row)} |" for row in rows
    )
    return head + "\n\n" + "\n".join(lines)


def _escaped(text: str) -> str:
    """Docstrings are plain text, whose `*` and `_` outside backticks mean themselves."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<])", r"\\\1", part) for part in parts)


FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Turn the formulas that arithmatex marked into MathML."""

    def mathml(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        formula = convert(html.unescape(found[2]), display=display)
        return f'<div class="formula">{formula}</div>' if display == "block" else formula

    return FORMULA.sub(mathml, content)
