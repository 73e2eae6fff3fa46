"""Names that lead elsewhere, or look like another: none may be a model's, a version, a report or a registry."""

# Refused as a model's name, as a version, as a key in the registry, and as what follows gs://.
NAMES = [
    "",
    # paths
    ".", "..", "...", "../x", "../../etc/passwd", "x/..", "x/../..", "x/../../y", "./x", "x/.", "x/./y", "/", "//",
    "/etc/passwd", "//x", "x//y", "~", "~root", "~/x", ".hidden", ".staging", ".locks", ".git/config", "x.", "x/.y",
    # of other systems
    "..\\", "..\\..\\x", "x\\y", "\\\\server\\share", "C:", "C:\\x", "CON:", "x:y", "file:///etc", "s3://x", "gs://x/y",
    "http://x", "x?y", "x#y", "user@x", "x@1",
    # encoded
    "%2e%2e", "%2e%2e%2f", "..%2f", "%2fetc", "%00", "x%00", "..%c0%af", "%252e%252e", "x%2fy", "&#46;&#46;", "\\x2e",
    # controls
    "\0", "x\0", "\0x", "x\0.json", "x\n", "\nx", "x\r\ny", "x\t", "\x1b[2J", "x\x7f", " ", " x", "x ", "\u00a0x",
    # for a shell, or an option
    "-", "-rf", "*", "x*", "[x]", "{x}", "$HOME", "${HOME}", "$(id)", "`id`",
    "x;id", "x|id", "x&id", "x>y", "'x'", '"x"',
    # letters that look like others, and some that are not seen
    "．．", "．．／", "‥", "…", "∕etc", "／etc", "x／y", "x⁄y", "ｘ", "х", "а", "é", "e\u0301", "ﬁ", "ı", "\u212a",
    "x\u200b", "\u202ex", "\ufeffx", "x\u00ad", "\udcff", "𝐱",
    # long
    "x" * 1000, "../" * 300, "x/" * 500 + "x",
]  # fmt: skip
# Refused as a version; int() takes some of them.
VERSIONS = [
    "0", "00", "01", "007", "+1", "-1", "−1", "1.0", "1.", ".1", "1e3", "0x1", "0b1", "1_000", "1,000", "1 000", " 1",
    "1 ", "1\n", "\t1", "1\r", "1\0", "\u00a01", "1\u200b", "\u202e1", "\ufeff1",
    "１", "１２", "1２", "١", "۱", "१", "०१", "๑", "一", "½", "¹", "²", "①", "Ⅷ", "𝟏", "𝟙", "🄁",
    "1/..", "../1", "1/../2", "./1", "/1", "1/", "%31", "1%00", "1;2", "1 or 1", "v1", "1a", "latest", "stable", "true",
    "None", "NaN", "inf", "1" * 19, "9" * 5000,
]  # fmt: skip
# Refused as a registry.
URIS = [
    "", "\0", "x\0y", "gs:", "gs:/", "gs:/bucket", "gs:bucket", "gs://", "gs:///", "gs:///x", "GS://bucket", "Gs://bucket",
    "gs://bucket//", "gs://bucket//x", "gs://bucket/x//y", "gs://Bucket", "gs://bu", "gs://-bucket", "gs://bucket-",
    "gs://_bucket_", "gs://a..b", "gs://.bucket", "gs://bucket.", "gs://bucket/../other", "gs://bucket/x/../../other",
    "gs://bucket/.", "gs://bucket/..", "gs://bucket/.hidden", "gs://bucket/%2e%2e/x", "gs://%62ucket", "gs://user@bucket",
    "gs://user:word@bucket/x", "gs://bucket:80/x", "gs://bucket?x", "gs://bucket/x?generation=1", "gs://bucket#x",
    "gs://bucket/x#1", "gs://bucket\\x", "gs://bucket/x\\y", "gs://buc ket", "gs://bucket\n", "gs://bucket/x\n",
    "gs://bücket", "gs://ｂucket", "gs://bucket／x", "gs://bucket/．．", "gs://bucket/*", "gs://" + "b" * 300,
    "gs://bucket/" + "x" * 1000, "gs://gs://bucket", "s3://bucket/x", "https://storage.googleapis.com/bucket",
    "file:///etc", "ftp://x", "hdfs://x", "javascript://x",
]  # fmt: skip
