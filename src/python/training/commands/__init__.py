"""The commands train and retrain: flags, what they print, and training a version again."""
