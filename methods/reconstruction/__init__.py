"""Reconstruction methods on frozen features: teacher, student, training and scores.

A method implements `host(train, context) -> Host` (methods.reconstruction.hosting.Hosts), and `fit_host`
trains it. MeDS uses the parts of the same `Host` to train its student differently.
"""
