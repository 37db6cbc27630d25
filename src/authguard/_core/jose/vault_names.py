"""Recognise the name of a secret in a vault: words with slashes, such as `kv/data/shop/jwt`."""

import re

MAX_LENGTH = 512  # characters; AWS, Google and HashiCorp allow no longer names
MIN_SEPARATORS = 2  # a short secret of another party may have one slash

# A part is a word, a number, or a word with a number: `payments`, `PaymentsApi`, `JWT`, `hs256`, `v2`.
# Words with one capital letter have at least three letters, since random text often has pairs of them.
_PART = r"(?:(?:[a-z]+|(?:[A-Z][a-z]{2,}|[a-z]{3,}(?=[A-Z]))+|[A-Z]{2,12})[0-9]{0,4}|[0-9]{1,12})"
_SEGMENT = rf"{_PART}(?:[-_.]{{1,2}}{_PART})*"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PLAIN = rf"(?:{_SEGMENT}|{_UUID})"
_NAME = re.compile(
    rf"(?:{_SEGMENT}[:@])?/?{_PLAIN}(?:/+{_PLAIN})*/*"  # AWSCURRENT:prod/payments/jwt
    rf"(?:[:#@?]{_SEGMENT}(?:={_SEGMENT})?)?\Z"  # the field, or the version
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# Words of which a name of a secret has at least one. Most random secrets have none of them as a whole part.
_WORDS = frozenset(
    """
    access admin api app apps auth authguard aws backend billing cfg client common config configs
    credential credentials creds current data database default dev develop env environments eng global hmac
    hs infra internal jwk jwks jwt jwts key keys kv kvs latest live local oauth oidc ops parameter
    parameters pass password passwords payment payments platform preprod previous prd private prod
    production project projects qa sandbox secret secrets secretsmanager server service services shared
    shop signing sso stage staging stg store system team teams test tests token tokens user users value
    vault version versions web
    """.split()  # noqa: SIM905 (a list would be a hundred lines)
)


def is_vault_name(text: str) -> bool:
    """Return whether a text is the name of a secret in a vault: words with slashes between them.

    Random secrets in base64 have slashes, too, but also capital letters and digits inside of their words.

    Args:
        text: the text, without white space around it.
    """
    slashes = text.strip("/").count("/")
    if not slashes or len(text) > MAX_LENGTH:
        return False
    if slashes + text.count(":") + ("-" in text) < MIN_SEPARATORS or _NAME.match(text) is None:
        return False
    return any(word.lower() in _WORDS for word in _WORD.findall(text))
