"""The page that a person reads after a training.

One contract: `write_report(folder)` reads nothing but the files of a run folder and leaves one HTML file that opens
anywhere, offline. Figures come as SVG whose colours are CSS variables, so that light, dark and print are one page.
"""

from seqreg.report.page import write_report

__all__ = ["write_report"]
