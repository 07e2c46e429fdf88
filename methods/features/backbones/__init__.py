"""One module per family of backbones; the folder is the registry."""
