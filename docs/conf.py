"""The documentation's site, built by scripts/site: everything it shows comes from itself."""

project = "Trainyard"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Trainyard"
html_copy_source = False
# Headings of three levels can be pointed to, as Markdown on a forge does.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["site", "pictures"]
suppress_warnings = ["misc.highlighting_failure"]
