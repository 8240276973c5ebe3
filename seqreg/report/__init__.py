"""The page that a person reads after a training, after several of them, or after a benchmark.

One contract: `write_report(folder)` and `write_suite_report(folder)` read nothing but the files of the folder, and all
leave one HTML file that opens anywhere, offline. Figures come as SVG whose colours are CSS variables, so that light,
dark and print are one page.
"""

from seqreg.report.comparison_page import write_comparison
from seqreg.report.page import write_report
from seqreg.report.robustness_figure import write_robustness_figure
from seqreg.report.suite_page import write_suite_report

__all__ = ["write_comparison", "write_report", "write_robustness_figure", "write_suite_report"]
