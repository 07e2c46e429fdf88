"""The rules of the lint, one module a paper or a kind of error."""
