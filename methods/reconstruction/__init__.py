"""Methods that learn to rebuild frozen features: their teacher, their training, their scores.

A method offers `host(train, context) -> Host` (methods.reconstruction.hosting.Hosts) and leaves the rest to
`fit_host`; whoever trains hosts in another way, as MeDS does, takes the same `Host` apart.
"""
