"""Defects made up on normal images, and the images as pixels to make them on."""
