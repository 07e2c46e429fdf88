"""What a fitted method has learned, as plain data that another process can restore it from."""
