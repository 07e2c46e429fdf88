"""Result rows: schema, store, provenance, and the papers' published tables."""
