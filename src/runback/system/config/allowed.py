"""Lists all that a config may name by `_target_`, and all that a stored network may be made of.

Besides it a config may name functions and classes of the project's own modules, see `targets`.

Left out on purpose, with whatever descends from them: what runs code that it is given (`Lambda`, `TFSMLayer`,
`TorchModuleWrapper`, `JaxLayer`, `FlaxLayer`), what reads a file that it is given (`StringLookup`,
`IntegerLookup`, `TextVectorization`), what downloads (`keras.applications`), and what builds another thing
from a dict or a name (`deserialize`, `get`, `from_config`, `MeanMetricWrapper`).
"""

from collections.abc import Mapping


def _of(module: str, names: str) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for name in names.split())


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _of(
    "keras.layers",
    """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D AveragePooling2D
    AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional CategoryEncoding
    CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D
    Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose
    Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout
    ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity LSTM LSTMCell
    LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D
    MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization
    PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU
    RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax
    Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells
    Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
    """,
)

OPTIMIZERS = _of(
    "keras.optimizers",
    """
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Nadam RMSprop SGD ScheduleFreeAdamW
    """,
)

KERAS_SCHEDULES = _of(
    "keras.optimizers.schedules",
    """
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    """,
)

INITIALIZERS = _of(
    "keras.initializers",
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
    RandomNormal RandomUniform STFT TruncatedNormal VarianceScaling Zeros constant glorot_normal
    glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones orthogonal random_normal
    random_uniform stft truncated_normal variance_scaling zeros
    """,
)

REGULARIZERS = _of(
    "keras.regularizers", "L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer"
)

METRICS = _of(
    "keras.metrics",
    """
    AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
    CategoricalHinge CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge IoU
    KLDivergence LogCoshError Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanSquaredError
    MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU Poisson Precision PrecisionAtRecall R2Score Recall
    RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
    SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum
    TopKCategoricalAccuracy TrueNegatives TruePositives
    """,
)

LOSSES = _of(
    "keras.losses",
    """
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError
    MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    """,
)

MODELS = _of(
    "runback.classifier.models",
    "backbone.backbone deep_cnn.deep_cnn resnet20.resnet20 shallow_cnn.shallow_cnn whitened_cnn.whitened_cnn",
)

SOURCES = _of("runback.classifier.data", "cifar10.load digits.load folder.load parquet.load synthetic.load")

SCHEDULES = _of("runback.classifier.training.schedule", "constant cosine one_cycle")

OWN_LAYERS = _of(
    "runback.classifier.augmentation",
    "alternating_flip.AlternatingFlip pad_crop.PadCrop random_affine.RandomAffine",
)

SAMPLERS = _of(
    "optuna.samplers",
    """
    CmaEsSampler GPSampler NSGAIIISampler NSGAIISampler PartialFixedSampler QMCSampler RandomSampler
    TPESampler
    """,
) | _of("runback.sweeping.space.grid", "points")

PRUNERS = _of(
    "optuna.pruners",
    """
    HyperbandPruner MedianPruner NopPruner PatientPruner PercentilePruner SuccessiveHalvingPruner
    ThresholdPruner WilcoxonPruner
    """,
)

OWN_PRUNERS = _of("runback.sweeping.deciding.best_so_far", "BracketHalving RungHalving")

CROSSOVERS = _of(
    "optuna.samplers.nsgaii",
    "BLXAlphaCrossover SBXCrossover SPXCrossover UNDXCrossover UniformCrossover VSBXCrossover",
)

GROUPS: Mapping[str, frozenset[str]] = {
    "model": MODELS,
    "data": SOURCES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augmentation": LAYERS | OWN_LAYERS,
    "hydra.sweeper.sampler": SAMPLERS,
    "hydra.sweeper.pruner": PRUNERS | OWN_PRUNERS | _of("runback.sweeping.deciding.promotion", "Promotion"),
}
"""The targets that each group of a config takes."""

_KERAS = LAYERS | OPTIMIZERS | KERAS_SCHEDULES | INITIALIZERS | REGULARIZERS | METRICS | LOSSES

INNER: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("model", "data", "optimizer", "schedule", "augmentation"), _KERAS),
    "hydra.sweeper.sampler": SAMPLERS - {"runback.sweeping.space.grid.points"} | CROSSOVERS,
    "hydra.sweeper.pruner": PRUNERS | OWN_PRUNERS,
}
"""The targets that may stand, in each group, in the arguments of its own targets."""

UNSAFE_LAYERS = (
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization"),
)
"""Layers of Keras from which no class that a config names, or a stored network holds, may descend."""

NETWORK = (
    LAYERS
    | INITIALIZERS
    | REGULARIZERS
    | _of("keras.layers", "InputLayer")
    | _of("keras.constraints", "MaxNorm MinMaxNorm NonNeg UnitNorm")
    | _of("keras", "DTypePolicy Model Sequential")
    | _of("keras.models", "Model Sequential")
    | _of("keras.src.models.functional", "Functional")
    | _of("keras.src.models.sequential", "Sequential")
    | _of("keras.src.ops.core", "Cast SaturateCast Slice StopGradient")
    | _of("keras.src.applications.convnext", "LayerScale StochasticDepth")
    | _of("keras.src.applications.inception_resnet_v2", "CustomScaleLayer")
)
"""The parts of a stored network, by the module and class name that Keras stores."""

NETWORK_MODULES = ("image", "linalg", "math", "nn", "numpy")
"""The modules of `keras.src.ops` whose every operation a stored network may hold: all of them calculate."""

ACTIVATIONS = _names(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign
    sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
    """
)
"""The functions that a stored network may hold, of `keras.activations`."""

NOT_THE_PROJECTS_OWN = _names(
    """
    alembic cloudpickle cmaes fastapi flask graphene h5py hydra hydra_plugins jax joblib keras matplotlib
    ml_dtypes mlflow numpy nvidia omegaconf optuna packaging pandas PIL pip pkg_resources plotly pooch
    psutil pyarrow pydantic pydantic_core pynvml requests rich runback scipy setuptools sklearn sqlalchemy
    starlette tensorflow torch tqdm urllib3 uvicorn yaml
    """
)
"""Packages, besides the standard library, that no project may declare as its own module."""
