"""The sections of a report that take more than a table: a file each.

One contract: `section(run)` gives what the part of `report.html.j2` of that name needs, and nothing (None or an empty
list) where the files that it reads are missing; the section is then left out.
"""
