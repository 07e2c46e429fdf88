"""Method card of LTAD: summary, source and deviations from the paper."""

from __future__ import annotations

from ltbench.methods.base import Card
from ltbench.methods.features.transform import VIEWED

CARD = Card(
    title="LTAD",
    family="vision-language",
    summary="A transformer reconstructs frozen features, and a classifier compares them with texts for "
    "normal and abnormal. Both train on real features and on synthetic ones, which a variational decoder "
    "generates for every class from a learned pseudo class name. Needs the class of every image, not its "
    "name.",
    paper="Ho et al., CVPR 2024",
    url="https://zenodo.org/records/10854201",
    bibtex="""@inproceedings{ho2024ltad,
  title     = {Long-Tailed Anomaly Detection with Learnable Class Names},
  author    = {Ho, Chih-Hui and Peng, Kuan-Chuan and Vasconcelos, Nuno},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2024}
}""",
    licence="no code was released",
    deviations=(
        "No code is public: details that the paper leaves open are fields, with the values named here.",
        "backbone, text_encoder: a smaller network and the untrained stub 'toy-vl'; the paper uses "
        "'align:kakaobrain/align-base' with layers 3, 10, 17 and 37.",
        "grid: the paper interpolates all layers to the finest, 112 x 112 tokens at 224 pixels, too many for "
        "attention in memory; here 14 x 14, bilinear with aligned corners, as in UniAD.",
        "class_at_test: the score needs the class c of a test image, and the paper does not say how it is "
        "known. 'oracle' uses the true class, 'inferred' the nearest class mean of the training images.",
        "layers: the paper does not say whether it counts blocks from 0 or entries of `hidden_states`, which "
        "has one entry more; here blocks from 0, of which 3, 10, 17 and 37 are the last of their strides.",
        "The code z, 'the feature vector from the last encoder layer', is here the pooled embedding of the "
        "image tower. standardise: also changes z, and thus the class that 'inferred' finds.",
        "Equation (6) is printed as - KL(N(z^ - mu, sigma) || N(0, I)); here + KL(N(mu, sigma) || N(0, I)), "
        "because z^ - mu is sigma times noise, whose divergence has no gradient on the mean. kl_weight, the "
        "averages over a layer's and a code's dimensions, and the log-variance are our choices.",
        "decoder_width: the decoder 'mirrors the encoder' in the paper; here it reaches the token grid by "
        "doubling the resolution twice.",
        "semantic_terms: equation (8) has no term for normal patches as printed; here both terms count.",
        "normalise_text: text embeddings enter the dot product unnormalised.",
        "jitter, width, heads, hidden, depth, neighbours, dropout, query_scale, clip, weight_decay, "
        "late_drop: not given in the paper; the suites use UniAD's values, with clip in phase 2 only. The "
        "defaults suit one CPU core.",
        "semantic_weight: lambda is 500, 400 and 300 on MVTec, VisA and DAGM with ALIGN; without a value "
        "it is the 99th percentile of S_rec on training patches, so that both scores have the same range.",
        "pool: the paper does not give the image score; here UniAD's, without smoothing of the map.",
        "text: with 'none', t_c, which conditions the decoder of phase 1, is a free vector per class too; "
        "the paper mentions only the two vectors of the classifier.",
        "assignment: Table 8 shuffles pseudo names; here only at scoring, after training with the right "
        "ones.",
        "sampling: with 'inverse', the share of synthetic features is inverse to the number of a class' "
        "images, 1 for the rarest class; the paper gives no formula.",
        VIEWED,
    ),
)
