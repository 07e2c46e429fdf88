"""Which images train and which judge: data sets, inventories, recipes, manifests, digests."""
