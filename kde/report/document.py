"""A page in the making: headings, paragraphs, tables and pictures, in the order in which they are added."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from typing import Final

from matplotlib.figure import Figure

_PIXELS_PER_INCH: Final = 84


class Document:
    """Sections of HTML, and the pictures among them as PNGs by name."""

    def __init__(self) -> None:
        self.sections: list[str] = []
        self.pictures: dict[str, bytes] = {}

    @property
    def body(self) -> str:
        """All of it."""
        return "\n".join(self.sections)

    def title(self, text: str, lead: str) -> None:
        """Say what the page is, and what it is about in a line."""
        self.sections.append(f'<h1>{escape(text)}</h1>\n<p class="lead">{escape(lead)}</p>')

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.sections.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Say something."""
        self.sections.append(f"<p>{escape(text)}</p>")

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
        """Show a table; what begins with a number is set as one."""
        head = "".join(f"<th>{escape(column)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self.sections.append(f'<div class="scroll">{table}</div>')


def _cell(text: str) -> str:
    number = text.lstrip("-")[:1].isdigit()
    return f'<td class="number">{escape(text)}</td>' if number else f"<td>{escape(text)}</td>"
