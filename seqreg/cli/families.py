"""The listings: every name people can write after --penalty, --model and so on, with its fields."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Annotated

import typer

from seqreg.cli.app import command
from seqreg.cli.terminal import Terminal
from seqreg.specs import Spec, field_table, parse

PANEL = "Names to choose from"


@dataclass(frozen=True, kw_only=True)
class Family:
    """Where the members of a family are kept, and how one of them is called."""

    kind: str
    module: str
    table: str
    about: str
    example: str

    def members(self) -> dict[str, type[Spec]]:
        """Name -> class; imports the family's room."""
        return getattr(importlib.import_module(self.module), self.table)


FAMILIES = {
    "penalties": Family(
        kind="penalty",
        module="seqreg.penalties",
        table="PENALTIES",
        about="Terms added to the loss, for --penalty.",
        example="seqreg train splice -o runs/smooth --penalty gradient:weight=0.1",
    ),
    "constraints": Family(
        kind="constraint",
        module="seqreg.constraints",
        table="CONSTRAINTS",
        about="Projections after each step, for --constraint.",
        example="seqreg train splice -o runs/tight --constraint spectral-norm:radius=1",
    ),
    "attacks": Family(
        kind="attack",
        module="seqreg.attacks",
        table="ATTACKS",
        about="Worst cases to train on, for --attack.",
        example="seqreg train splice -o runs/hardened --attack pgd:epsilon=1",
    ),
    "models": Family(
        kind="model",
        module="seqreg.networks",
        table="MODELS",
        about="Networks for --model.",
        example="seqreg train splice -o runs/deep --model cnn:depth=2,filters=128",
    ),
    "encodings": Family(
        kind="encoding",
        module="seqreg.networks",
        table="ENCODINGS",
        about="How letters become vectors, for --encoding.",
        example="seqreg train amp -o runs/amp --encoding blosum62",
    ),
    "augmentations": Family(
        kind="augmentation",
        module="seqreg.deformations",
        table="AUGMENTATIONS",
        about="Random changes of training sequences, for --augment.",
        example="seqreg train splice -o runs/varied --augment shift:max=2",
    ),
}

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME...]", help="Only these; NAME:key=value,... is checked too.", show_default=False),
]


def _add(plural: str, family: Family) -> None:
    def listing(terminal: Terminal, name: Names = None) -> None:
        _list(terminal, plural, name or [])

    listing.__doc__ = f"{family.about} Every name with its fields, types, defaults and meaning."
    command(panel=PANEL, example=family.example, name=plural)(listing)


def _list(terminal: Terminal, plural: str, texts: list[str]) -> None:
    family = FAMILIES[plural]
    members = family.members()
    asked_for = {type(parse(family.kind, members, text)) for text in texts}
    chosen = {name: cls for name, cls in members.items() if cls in asked_for or not texts}
    if terminal.as_json:
        terminal.json(
            {plural: {key: {"meaning": meaning(cls), "fields": field_table(cls)} for key, cls in chosen.items()}},
            "printed",
        )
        return
    rows: list[tuple[str, ...]] = []
    for key, cls in chosen.items():
        rows.append((key, "", "", "", meaning(cls)))
        rows.extend((key, row["field"], row["type"], row["default"], row["meaning"]) for row in field_table(cls))
    terminal.table(("name", "field", "type", "default", "meaning"), rows)


def meaning(cls: type[Spec]) -> str:
    """The first paragraph of the class's docstring, on one line."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


for _plural, _family in FAMILIES.items():
    _add(_plural, _family)
