"""The page that a person reads after a training, after several of them, or after an explanation or a benchmark.

One contract: `write_report(folder)`, `write_explain_page(folder)` and `write_suite_report(folder)` read nothing but the
files of the folder, and all leave one HTML file that opens anywhere, offline. Figures come as SVG whose colours are CSS
variables, so that light, dark and print are one page.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqreg.report.comparison_page import write_comparison
    from seqreg.report.explain_page import write_explain_page
    from seqreg.report.page import write_report
    from seqreg.report.robustness_figure import write_robustness_figure
    from seqreg.report.suite_page import write_suite_report

__all__ = [
    "write_comparison",
    "write_explain_page",
    "write_report",
    "write_robustness_figure",
    "write_suite_report",
]
_ROOMS = {
    "write_comparison": "comparison_page",
    "write_explain_page": "explain_page",
    "write_report": "page",
    "write_robustness_figure": "robustness_figure",
    "write_suite_report": "suite_page",
}


def __getattr__(name: str) -> Any:
    """A writer, its room imported when first asked for: a comparison of runs needs no PyTorch, and does not wait."""
    if name in _ROOMS:
        return getattr(import_module(f"seqreg.report.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
