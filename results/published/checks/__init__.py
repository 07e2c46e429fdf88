"""Rules of the lint of published tables, one module per paper or kind of error."""
