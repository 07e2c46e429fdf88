"""Parts of LTAD (Ho et al., CVPR 2024).

`equations` holds equations (1) to (8); `names` the learned pseudo class names s_c and their text embeddings;
`synthesis` the networks of phase 1, `detection` those of phase 2; `methods/ltad.py` combines them.
"""
