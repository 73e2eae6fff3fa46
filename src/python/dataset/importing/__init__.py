"""Makes a dataset's layout out of what people have: split folders, a CSV of labels, DICOM, an archive."""
