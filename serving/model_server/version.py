"""The server's version; the wheel of the server alone has no other part of Trainyard to ask."""

VERSION = "0.9.0"  # cli.version.VERSION; a test compares them
