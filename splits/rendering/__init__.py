"""The pictures of the embedded data set, drawn by formulas: numpy and scipy.ndimage, nothing to download."""
