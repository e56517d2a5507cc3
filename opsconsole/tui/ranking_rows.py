"""The rows of a side-by-side ranking."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.ranking import EMBEDDED, Ranking
from opsconsole.text import clean_line
from opsconsole.tui.symbols import Symbols
from opsconsole.tui.widgets.table import Cell, Column, Row


def columns(rankings: Sequence[Ranking], width: int) -> tuple[Column, ...]:
    """Place and score of each side that ranked, then the document."""
    out = []
    for i, ranking in enumerate(r for r in rankings if not r.error):
        name = "embedded" if ranking.source == EMBEDDED else clean_line(ranking.source, 12)
        out.append(Column(f"place{i}", "#", 3, right=True, priority=0 if i == 0 else i))
        out.append(Column(f"score{i}", name, 12, right=True, priority=0 if i == 0 else i))
        if i:
            out.append(Column(f"move{i}", "", 3, priority=i))
    used = sum(column.width + 2 for column in out)
    return (*out, Column("text", "DOCUMENT", max(12, width - used - 4)))


def rows(rankings: Sequence[Ranking], documents: Sequence[str], symbols: Symbols) -> list[Row]:
    """One row a document in the order of the first side; moves are against that order."""
    good = [ranking for ranking in rankings if not ranking.error]
    if not good:
        return []
    places = [ranking.places() for ranking in good]
    scores = [dict(ranking.results) for ranking in good]
    order = [index for index, _ in good[0].results]
    order += [i for i in range(len(documents)) if i not in places[0]]
    out = []
    for index in order:
        cells = {"text": Cell(clean_line(documents[index], 400))}
        for i in range(len(good)):
            place, score = places[i].get(index), scores[i].get(index)
            top = "bright" if place == 1 else ""
            cells[f"place{i}"] = Cell(str(place) if place else symbols.dash, top)
            cells[f"score{i}"] = Cell(f"{score:.4f}" if score is not None else symbols.dash, top)
            if i and place and places[0].get(index):
                cells[f"move{i}"] = _move(places[0][index] - place, symbols)
        out.append(Row(str(index), cells))
    return out


def _move(steps: int, symbols: Symbols) -> Cell:
    if steps == 0:
        return Cell("=", "dim")
    up, down = ("^", "v") if symbols.plain else ("↑", "↓")
    return Cell(f"{up}{steps}", "good") if steps > 0 else Cell(f"{down}{-steps}", "warn")
