"""A page in the making: headings, paragraphs, tables and pictures, in the order in which they are added."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from typing import Final

from matplotlib.figure import Figure

_SYMBOL: Final = re.compile(r"\b([A-Za-z])_([a-z0-9])\b")
_PIXELS_PER_INCH: Final = 84
NOT_REACHED: Final = "–"  # noqa: RUF001  a dash: there is no such number


def marked(text: str) -> str:
    """Text as HTML; a symbol such as M_w gets its index."""
    return _SYMBOL.sub(r"<i>\1</i><sub>\2</sub>", escape(text))


class Document:
    """Sections of HTML, the pictures among them as PNGs by name, and the headings by their anchors."""

    def __init__(self) -> None:
        self.sections: list[str] = []
        self.pictures: dict[str, bytes] = {}
        self.headings: dict[str, str] = {}

    @property
    def body(self) -> str:
        """All of it."""
        return "\n".join(self.sections)

    def title(self, text: str, lead: str) -> None:
        """Say what the page is, and what it is about in a line."""
        self.sections.append(f'<h1>{marked(text)}</h1>\n<p class="lead">{marked(lead)}</p>')

    def heading(self, text: str) -> None:
        """Begin a section; `headings` knows where."""
        anchor = f"section-{len(self.headings) + 1}"
        self.headings[anchor] = text
        self.sections.append(f'<h2 id="{anchor}">{marked(text)}</h2>')

    def paragraph(self, text: str) -> None:
        """Say something."""
        self.sections.append(f"<p>{marked(text)}</p>")

    def picture(self, name: str, figure: Figure, description: str) -> None:
        """Show a figure, within the page; `pictures` has it too."""
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=140)
        self.pictures[name] = buffer.getvalue()
        source = base64.b64encode(buffer.getvalue()).decode()
        width = round(figure.get_figwidth() * _PIXELS_PER_INCH)
        image = f'<img alt="{escape(description)}" style="width: {width}px" src="data:image/png;base64,{source}">'
        self.sections.append(f"<p>{image}</p>")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Show a table: what begins with a number is set as one; the last cell of a short row takes the rest of it."""
        head = "".join(f"<th>{marked(column)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(_cells(row, len(columns)))}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self.sections.append(f'<div class="scroll">{table}</div>')


def _cells(row: Sequence[str], columns: int) -> list[str]:
    if len(row) == columns:
        return [_cell(text) for text in row]
    *whole, last = row
    return [*map(_cell, whole), f'<td class="note" colspan="{columns - len(whole)}">{marked(last)}</td>']


def _cell(text: str) -> str:
    if text.lstrip("-+")[:1].isdigit() or text.startswith(NOT_REACHED):
        number, bracket, interval = text.partition(" [")
        spread = f' <span class="interval">[{escape(interval)}</span>' if bracket else ""
        return f'<td class="number">{escape(number)}{spread}</td>'
    return f"<td>{marked(text)}</td>"
