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


def _for_everybody(app, page, template, context, doctree):  # type: ignore[no-untyped-def]
    """What the theme leaves out: levels of the sidebar's headings, and code that is scrolled by the keyboard."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading">', 'role="heading" aria-level="2">')
    context["body"] = context.get("body", "").replace("<pre>", '<pre tabindex="0">')


def setup(app):  # type: ignore[no-untyped-def]
    # After the theme has made them.
    app.connect("html-page-context", _for_everybody, priority=900)
