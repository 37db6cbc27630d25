"""Describe in words for operators why Redis does not answer."""

import re

# The code at the beginning of an error of the server, such as WRONGTYPE.
_CODE = re.compile(r"[A-Z]{3,20}\b")
#: Patterns of the errors of redis-py, and the remedy. Their texts may contain the address with its password.
_REMEDIES = {
    "DB index is out of range": "the server has no database of the number in the URL",
    r"\[SSL|certificate verify failed": "TLS failed; rediss:// needs a port with TLS and a valid certificate",
    "Timeout connecting": "check the host and port of the URL; rediss:// needs a port with TLS",
    "max number of clients": "the server takes no more connections; raise maxclients",
}


def redis_reason(error: BaseException) -> str:
    """Return the class of an error, its code if it has one, and a remedy if one is known."""
    text = str(error)
    code = _CODE.match(text)
    remedy = next((words for pattern, words in _REMEDIES.items() if re.search(pattern, text)), None)
    is_code = code is not None and remedy is None
    name = type(error).__name__ + (f" ({code[0]})" if code and is_code else "")
    return f"{name}: {remedy}" if remedy else name
