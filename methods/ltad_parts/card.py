"""What a reader of a table should know about LTAD, and about this implementation."""

from __future__ import annotations

from ltbench.methods.base import Card
from ltbench.methods.features.transform import VIEWED

CARD = Card(
    title="LTAD",
    family="vision-language",
    summary="A transformer rebuilds frozen features while a classifier between texts for normal and broken "
    "judges them; both learn from real features and from those that a variational decoder makes for every "
    "class, guided by a class name that is learned, not given. Needs the class of every image, not its "
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
        "No code is public: whatever the paper leaves open is a field with the value named here.",
        "backbone, text_encoder: a smaller network and the stub 'toy-vl', which knows no "
        "language; the paper's are 'align:kakaobrain/align-base' with layers 3, 10, 17 and 37.",
        "grid: the paper interpolates all layers to the finest, 112 x 112 tokens at 224 pixels, whose "
        "attention no memory holds; here 14 x 14, bilinear with aligned corners, as in UniAD.",
        "class_at_test: the score needs the class c of a test image; the paper does not say where it "
        "comes from. 'oracle' is given it, 'inferred' takes the nearest class mean of the training images.",
        "layers: whether the paper counts blocks from 0 or entries of `hidden_states`, one more in front, is "
        "not said; here blocks from 0, of which 3, 10, 17 and 37 are the last of their strides.",
        "The code z, 'the feature vector from the last encoder layer', is here the embedding that the image "
        "tower pools. standardise: changes z too, and so the class that 'inferred' finds.",
        "Equation (6) is printed as - KL(N(z^ - mu, sigma) || N(0, I)); here + KL(N(mu, sigma) || N(0, I)), "
        "because z^ - mu is sigma times noise, whose divergence moves no mean. kl_weight, the mean over a "
        "layer's and a code's numbers, and the logarithm of the variance are ours.",
        "decoder_width: the decoder 'mirrors the encoder' in the paper; here it makes the token grid in "
        "two doublings.",
        "semantic_terms: equation (8) prints no term for normal patches; here both count.",
        "normalise_text: texts enter the dot product as the encoder gives them.",
        "jitter, width, heads, hidden, depth, neighbours, dropout, query_scale, clip, weight_decay, "
        "late_drop: not given; the suites take UniAD's, and clip in phase 2 alone. Defaults fit one core.",
        "semantic_weight: lambda is 500, 400 and 300 on MVTec, VisA and DAGM with ALIGN; without a value "
        "it becomes the 99th percentile of S_rec on training patches, so that both scores range alike.",
        "pool: the image score is not given; here UniAD's, and the map is not smoothed.",
        "text: with 'none' t_c, which conditions the decoder of phase 1, is a free vector per class too; the "
        "paper names only the two of the classifier.",
        "assignment: Table 8 shuffles pseudo names; here while scoring, after training with the right ones.",
        "sampling: for 'inverse' the share of synthetic features is inverse to a class' images, 1 for the "
        "rarest class; the paper gives no formula.",
        VIEWED,
    ),
)
