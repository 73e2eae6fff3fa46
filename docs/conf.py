"""The documentation's site, built by scripts/site: everything it shows comes from itself."""

from pathlib import Path

project = "Trainyard"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Trainyard"
html_copy_source = False
html_show_copyright = False
# Headings of three levels can be pointed to, as Markdown on a forge does.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["site", "pictures"]
# A new page is found by the search before somebody gives it a place in index.md.
# Blocks that do not say what they are hold commands.
highlight_language = "sh"
suppress_warnings = ["misc.highlighting_failure", "toc.not_included"]

# What the theme leaves out for those who hear the page, or have no mouse: names of its two asides, levels of the
# sidebar's headings, code and tables that are scrolled by the keyboard.
_FOR_EVERYBODY = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    'class="caption" role="heading">': 'class="caption" role="heading" aria-level="2">',
    'table-wrapper colwidths-auto docutils container">': 'table-wrapper docutils container" tabindex="0">',
    "<pre>": '<pre tabindex="0">',
}


def _mend(app, error):  # type: ignore[no-untyped-def]
    for file in Path(app.outdir).rglob("*.html"):
        text = file.read_text("utf-8")
        for lacking, whole in _FOR_EVERYBODY.items():
            text = text.replace(lacking, whole)
        file.write_text(text, "utf-8")


def setup(app):  # type: ignore[no-untyped-def]
    app.connect("build-finished", _mend)
