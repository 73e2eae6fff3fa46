"""The operations that a model may use. What is not here is refused; to add one, first read docs/decisions/0005.

Each computes on tensors, or on the model's own variables, and on nothing else: no file, no network, no Python, no
other process, no second copy of the model's bytes as code, no memory that somebody left behind (Empty).
"""

ARRAYS = """
    BatchToSpaceND Bitcast BroadcastArgs BroadcastTo Cast ConcatOffset ConcatV2 Const DepthToSpace Diag DiagPart
    DynamicPartition DynamicStitch EnsureShape ExpandDims Fill Gather GatherNd GatherV2 Identity IdentityN
    InvertPermutation LinSpace MatrixBandPart MatrixDiagPartV3 MatrixDiagV3 MirrorPad OneHot OnesLike Pack Pad
    PadV2 ParallelDynamicStitch Placeholder PlaceholderWithDefault PreventGradient Range Rank Reshape
    ReverseSequence ReverseV2 Roll ScatterNd Shape ShapeN Size Slice Snapshot SpaceToBatchND SpaceToDepth Split SplitV
    Squeeze StopGradient StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub
    TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 Unpack Where ZerosLike
"""
MATHEMATICS = """
    Abs AccumulateNV2 Acos Acosh Add AddN AddV2 All Any ApproximateEqual ArgMax ArgMin Asin Asinh Atan Atan2 Atanh
    BatchMatMul BatchMatMulV2 BatchMatMulV3 Bincount BitwiseAnd BitwiseOr BitwiseXor Bucketize Ceil
    ClipByValue Cos Cosh Cross Cumprod Cumsum CumulativeLogsumexp DenseBincount Digamma Div DivNoNan Einsum Equal Erf
    Erfc Erfinv EuclideanNorm Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual HistogramFixedWidth Inv Invert
    IsFinite IsInf IsNan L2Loss LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max
    Maximum Mean Min Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual Pow Prod RealDiv Reciprocal RightShift Rint
    Round Rsqrt SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Select SelectV2 Sigmoid Sign Sin Sinh Sqrt
    Square SquaredDifference Sub Sum Tan Tanh TruncateDiv TruncateMod UnsortedSegmentMax UnsortedSegmentMin
    UnsortedSegmentProd UnsortedSegmentSum Xdivy Xlog1py Xlogy
"""
NETWORKS = """
    AvgPool AvgPool3D BiasAdd BiasAddV1 Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D
    Conv3DBackpropInputV2 DataFormatDimMap DataFormatVecPermute DepthwiseConv2dNative Dilation2D Elu
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 InTopKV2 LRN LeakyRelu LogSoftmax MaxPool MaxPool3D MaxPoolV2 Relu Relu6 Selu Softmax Softplus
    Softsign TopK TopKV2
"""
IMAGES = """
    AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize ExtractImagePatches HSVToRGB ImageProjectiveTransformV2
    ImageProjectiveTransformV3 RGBToHSV ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
# Assert and CheckNumerics end a call with an error and write nowhere. Calls that run too long are the model tests'.
FLOW = """
    Assert Case CheckNumerics If NoOp PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf
    StatelessWhile While Enter Exit LoopCond Merge NextIteration Switch
    EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
    TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListScatterV2
    TensorListSetItem TensorListSplit TensorListStack
"""
# The model's own: a session keeps the variables of one model.
VARIABLES = """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp ReadVariableOp ResourceGather ResourceGatherNd
    ResourceScatterAdd ResourceScatterUpdate VarHandleOp VarIsInitializedOp VariableShape
"""
# An answer that changes from call to call is wrong, not dangerous: the model tests find it.
RANDOM = """
    Multinomial RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip StatefulStandardNormalV2
    StatefulUniform StatelessMultinomial StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform
    StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
    StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
"""
ALLOWED = frozenset(" ".join((ARRAYS, MATHEMATICS, NETWORKS, IMAGES, FLOW, VARIABLES, RANDOM)).split())

# Read and write files: only where a server restores, or a program saves, the variables, and a request never comes.
RESTORING = frozenset({"RestoreV2"})
SAVING = frozenset(
    ["DisableCopyOnRead", "MergeV2Checkpoints", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"]
)

# Why the best-known of the others are refused, by the first expression that fits the whole name.
_FILES = "it can read files of the server"
_WRITES = "it can write files of the server"
_NETWORK = "it can reach other machines"
REFUSED = {
    "EagerPyFunc|PyFunc|PyFuncStateless": "it calls Python code, which is not in the model and has the server's rights",
    "ReadFile|MatchingFiles|ImmutableConst|LoadAndRemapMatrix|GenerateVocabRemapping|RecordInput|.*Reader(V2)?|Restore.*"
    "|InitializeTableFromTextFile(V2)?": _FILES,
    "WriteFile|Save.*|MergeV2Checkpoints|DistributedSave|.*Summary.*|Print|PrintV2|DumpTensor|ImportEvent": _WRITES,
    ".*Dataset.*|.*Iterator.*": "it reads data by itself, from files or from other machines",
    "_?Send|_?Recv|_Host.*|Remote.*|Rpc.*|TryRpc|Collective.*|Debug.*|CopyHost|Copy|.*TPU.*|.*Tpu.*": _NETWORK,
    "Xla.*": "it carries a program that can't be looked into",
    "Decode.*|Parse.*": "it takes files apart, which is the adapter's task: a model gets pixels",
    "Abort": "it ends the server",
}
