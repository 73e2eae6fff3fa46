"""The embedded model server: TensorFlow Serving's protocol from PyPI packages alone."""
