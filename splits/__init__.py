"""Training and test splits: data sets, inventories, recipes, manifests, digests."""
