"""A file a verb, or two that go together."""
