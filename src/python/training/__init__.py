"""Trains the classifier: the network, its loop, the gate, the export, and the commands train and retrain."""
