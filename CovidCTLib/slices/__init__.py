"""Axial slices: the classifier, where it looked, and the decision on the case."""
