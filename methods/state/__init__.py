"""State of a fitted method as plain data, from which another process can restore the method."""
