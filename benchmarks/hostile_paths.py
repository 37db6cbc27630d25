"""List paths of every odd kind, and of every size."""

KIB = 1024
#: The longest path, because common servers refuse more than 64 KiB for all fields of a request.
LONGEST_PATH = 256 * KIB
LONGEST_FIELD = 64 * KIB
# The input of a known fault: 18 characters for each ligature after NFKC, and all characters that cause
# readings.
TAIL = r"\;//./%253f%2523?#"


def filled(text: str, size: int) -> str:
    """Return the text repeated up to a size."""
    return (text * (size // len(text) + 1))[:size]


#: The parts of a path, after its first slash.
PATH_KINDS = {
    "letters": "a",
    "segments of one letter": "a/",
    "segments of one letter in capitals": "A/",
    "slashes": "/",
    "dots": ".",
    "dot segments": "./",
    "segments that go up": "../",
    "letters and segments that go up": "a/../",
    "semicolons": ";",
    "parameters": "a;b/",
    "backslashes": "\\",
    "backslashes and dots": "..\\",
    "percent signs": "%",
    "percent-encoded slashes": "%2f",
    "percent-encoded percent signs": "%25",
    "percent-encoding in three layers": "%25252f",
    "percent-u": "%u0041",
    "percent-u of ligatures": "%uFDFA",
    "question marks": "?",
    "number signs": "#",
    "all delimiters": TAIL,
    "colons": "a:/",
    "spaces": " ",
    "double quotes": '"',
    "control characters": "\x00\x1f\x7f",
    "accented letters": "é",
    "segments of accented letters": "é/",
    "letters that fold to two": "ß",
    "letters that fold to two, in capitals": "İ",
    "ligatures of 18 characters": "\ufdfa",
    "segments of ligatures": "\ufdfa/",
    "ligatures and delimiters": "\ufdfa" * 20 + TAIL,
    "fullwidth dots and slashes": "．／",
    "combining marks": "\u0301",
    "combining marks in the wrong order": "\u0301\u0316",
    "combining marks of falling classes": "".join(map(chr, (0x345, 0x315, 0x300, 0x316, 0x5B0, 0x334))),
    "a letter and its marks": "a\u0301\u0316\u0327",
    "Hangul in parts": "\u1100\u1161\u11a8",
    "invisible characters": "\u200b\u00ad\ufeff",
    "replacement characters": "\ufffd",
    "lone surrogates": "\udcff",
    "private use and unassigned": "\ue000\u0378\U000e0001",
    "emoji": "\U0001f469\u200d\U0001f680",
    "digits of other scripts": "٣③",
}
#: Sizes below and above the length up to which an odd path is read in every way, the maximum of a server, and
#: more.
PATH_SIZES = {"1,000 characters": 1000, "9 KiB": 9 * KIB, "64 KiB": 64 * KIB, "256 KiB": LONGEST_PATH}


def paths() -> dict[str, str]:
    """Return paths of each kind and size."""
    requests = {
        f"path of {size_name}: {kind}": "/" + filled(text, size - 1)
        for size_name, size in PATH_SIZES.items()
        for kind, text in PATH_KINDS.items()
    }
    requests |= {
        "path: 1,000 ligatures and delimiters at the end": "/" + "\ufdfa" * 1000 + TAIL,
        "path: 56 ligatures and delimiters at the end": "/" + "\ufdfa" * 56 + TAIL,
        "path: a word, then delimiters in turn": "/admin" + filled("\\;//./%253f%2523?#/a", 900),
        "path: 500 marks in the wrong order": "/a" + "\u0301\u0316" * 250,
        "path: 1,000 marks, the lowest class last": "/a" + "\u0301" * 990 + "\u0334" * 9,
        "path without a slash": "a" * 1000,
        "path: an authority of 64 KiB": "a" * LONGEST_FIELD + ":" + "/" * 100,
        "path with an empty name": "",
        "path: 100,000 segments": "/a" * 100_000,
        "path: 100,000 segments of a rule with stars": "/a/b" * 50_000,
        "path: the protected word 300 times": "/admin" * 160,
    }
    return requests
