"""How it is set which images belong together, such as one patient's: what stands as `groups` in [dataset]."""

NONE, FOLDER, PATTERN, CSV = "", "folder", "pattern", "csv"
# In a folder that an import laid out by groups: a hash by which another key for their names is noticed.
MARK = ".groups-key"


def described(rule: str) -> str:
    """For people."""
    kind, _, rest = rule.partition(":")
    if kind == FOLDER:
        return "by sub-folder of the class"
    if kind == PATTERN:
        return f"by file name ({rest})"
    if kind == CSV and rest.count(":") >= 2:
        file, _, group = rest.rsplit(":", 2)
        return f"by column '{group}' of {file}"
    return "none" if rule == NONE else rule
