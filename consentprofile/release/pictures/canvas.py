"""The sheet that pictures are drawn on: its colours, its words above and below, its marks, and its bytes.

Matplotlib draws, offline, with its own fonts and none of the user's settings: the same shape makes the same bytes under
the same versions. The files hold the drawing and its title, and nothing of who, when, where or by what program.

Colours are told apart by people who see few of them, and by lightness in print. Where there is no figure there is a
hatched mark of one size, never a length: a length would be one.
"""

from __future__ import annotations

import importlib.util
import io
import textwrap
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from consentprofile.errors import UnsupportedEnvironment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#222222"
FAINT: Final = "#6B6B6B"
RULE: Final = "#DDDDDD"
MAIN: Final = "#0B5C8E"
SERIES: Final = (MAIN, "#E08A1E", "#8CC7E6", "#F3DC8B")
"""Dark blue, orange, light blue, pale yellow: apart by hue for every eye, and by lightness in grey."""
MARK_EDGE: Final = "#8A8A8A"
MARK_FACE: Final = "#F7F7F7"
HATCH: Final = "/////"

WIDTH: Final = 8.0
"""Inches, as all lengths here."""
MARGIN: Final = 0.35
TITLE: Final = 0.95
"""The height above the drawing."""
LINE: Final = 0.2
"""The height of a line of notes."""
DOTS: Final = 144
"""Dots an inch of the PNG."""

SMALL: Final = 8.5
NORMAL: Final = 10.0
LONGEST: Final = 30
"""Letters of a label; what is longer ends in an ellipsis."""

_LINE: Final = 112
"""Letters of a line of the words below the title."""

_STYLE: Final[dict[Any, Any]] = {  # (the names of settings are typed in some versions only)
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a value is one
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": INK,
    "hatch.linewidth": 0.9,
    "svg.hashsalt": "consentprofile",
    "svg.fonttype": "path",
}
_TURN: Final = threading.Lock()
"""Matplotlib's settings are the process's: one picture after the other."""


class Words(NamedTuple):
    """What stands around a drawing: its title, a line below it, and notes at the foot."""

    title: str
    below: str
    notes: tuple[str, ...]


class Shape(Protocol):
    """What can be drawn: a value made of cells, that knows how high it is and how to draw itself."""

    @property
    def height(self) -> float:
        """The height of the drawing."""

    def draw(self, sheet: Sheet) -> None:
        """Draw it below the title of ``sheet``."""


class Sheet:
    """A page of fixed width, as high as its shape; places are in inches from the upper left corner of the drawing."""

    def __init__(self, words: Words, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._height = TITLE + height + 0.25 + LINE * len(words.notes) + 0.15
        self.figure: Figure = Figure(figsize=(WIDTH, self._height), facecolor="white", dpi=DOTS)
        FigureCanvasAgg(self.figure)
        self.text(MARGIN, -TITLE + 0.32, short(words.title, 70), size=14, weight="bold")
        for place, line in enumerate(lines(words.below)):
            self.text(MARGIN, -TITLE + 0.58 + 0.19 * place, line, size=SMALL, color=FAINT)
        for place, note in enumerate(words.notes):
            self.text(MARGIN, height + 0.25 + LINE * (place + 0.5), short(note, 130), size=8, color=FAINT)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """An empty plane without a frame."""
        bottom = self._height - TITLE - top - height
        box = (left / WIDTH, bottom / self._height, width / WIDTH, height / self._height)
        axes = self.figure.add_axes(box)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)
        return axes

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = NORMAL,
        color: str = INK,
        weight: str = "normal",
        align: str = "left",
    ) -> None:
        """Words, centred on the height ``top``."""
        y = (self._height - TITLE - top) / self._height
        self.figure.text(left / WIDTH, y, text, size=size, color=color, weight=weight, ha=align, va="center")

    def width_of(self, text: str, size: float = NORMAL) -> float:
        """How wide ``text`` is."""
        drawn = self.figure.text(0, 0, text, size=size)
        width = drawn.get_window_extent().width / self.figure.dpi
        drawn.remove()
        return float(width)


# ---- marks ------------------------------------------------------------------------------------------


def no_figure(axes: Axes, left: float, bottom: float, width: float, height: float) -> None:
    """The hatched mark of a figure that is not shown, in the coordinates of ``axes``."""
    from matplotlib.patches import Rectangle

    box = Rectangle((left, bottom), width, height, facecolor=MARK_FACE, edgecolor=MARK_EDGE, linewidth=0.8, hatch=HATCH)
    box.set_clip_on(False)
    axes.add_patch(box)


def short(text: str, longest: int = LONGEST) -> str:
    """``text``, cut where it is too long, and without what cannot be seen."""
    seen = "".join(letter if letter.isprintable() else "?" for letter in text)
    return seen if len(seen) <= longest else seen[: longest - 1] + "…"


def lines(text: str) -> list[str]:
    """``text`` in at most two lines; what is longer ends in an ellipsis."""
    return textwrap.wrap(short(text, 2 * _LINE), _LINE, max_lines=2, placeholder="…") or [""]


def number(value: float) -> str:
    """A figure, marked as rounded."""
    return f"≈ {value:,}" if isinstance(value, int) else f"≈ {value:,.2f}"


def top_of(values: list[float]) -> float:
    """Where an axis for these values ends: never zero."""
    return max((abs(value) for value in values), default=0.0) or 1.0


# ---- bytes ------------------------------------------------------------------------------------------


def has_pictures() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def require_pictures() -> None:
    """Raise :class:`UnsupportedEnvironment` where the extra is not installed."""
    if not has_pictures():
        raise UnsupportedEnvironment(
            "pictures need matplotlib; install the extra: pip install 'consentprofile[pictures]'"
        )


def render(words: Words, shape: Shape) -> tuple[bytes, bytes]:
    """The picture as SVG and as PNG. Raises :class:`UnsupportedEnvironment` without the extra ``pictures``."""
    require_pictures()
    with _style():
        sheet = Sheet(words, shape.height)
        shape.draw(sheet)
        bare = {"Title": short(words.title, 70), "Date": None, "Creator": None, "Format": None, "Type": None}
        return _saved(sheet.figure, "svg", bare), _saved(sheet.figure, "png", {"Software": None})


def _saved(figure: Figure, form: str, metadata: dict[str, str | None]) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format=form, metadata=metadata, dpi=DOTS, facecolor="white")
    return sink.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Our settings and nobody else's, for as long as it takes."""
    with _TURN, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old parts of a library; a letter that the font lacks, which is drawn as a box
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            yield
