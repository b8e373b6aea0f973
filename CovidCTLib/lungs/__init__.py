"""Lungs: found by a network or by contours, told apart into right and left."""
