"""Two versions of a model beside each other: their figures, and what changed between them."""
