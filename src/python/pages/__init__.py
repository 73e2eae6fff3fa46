"""Reports as pages: self-contained HTML with pictures inside, no script, and nothing from outside."""

from pages.page import address, render, thumbnail, thumbnail_png

__all__ = ["address", "render", "thumbnail", "thumbnail_png"]
