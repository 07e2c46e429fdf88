"""LTAD (Ho et al., CVPR 2024) in parts: its equations, its pseudo class names, its synthesis of features.

`equations` holds (1) to (8) one by one; `names` the learned pseudo class names s_c and what the text encoder
makes of them; `synthesis` phase 1, `detection` phase 2; `methods/ltad.py` puts them together.
"""
