"""Describe User-Agent fields, so that users can recognise their sessions."""

# The more specific ones come first, because they also contain the names of the others.
_PROGRAMS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}
MAX_AGENT = 60


def describe_agent(user_agent: str) -> str:
    """Return text such as "Firefox on Windows"; for other programs, the beginning of the field."""
    program = next((name for mark, name in _PROGRAMS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    if program and user_agent.startswith("Mozilla/"):
        return f"{program} on {system}" if system else program
    return user_agent[:MAX_AGENT] or "Unknown program"
