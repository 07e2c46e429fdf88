"""Audit of training images without labels: products, suspicious images, duplicates and outliers."""
