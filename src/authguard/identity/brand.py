"""Read the setting `brand`: logo, colours and links of the product, on pages and in mails.

A colour must have enough contrast with the pages, so that coloured text is readable (WCAG 2.2, criterion
1.4.3).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias
from urllib.parse import urlsplit

from authguard._core.options import check_mapping, check_text, check_url
from authguard.errors import ConfigurationError

#: Contrast of text with its background (WCAG 2.2, criterion 1.4.3).
MIN_CONTRAST = 4.5
#: Backgrounds of links: pages and their cards, in the light and the dark form of `style.css`.
LIGHT_BACKS, DARK_BACKS = ("#f4f6f9", "#ffffff"), ("#0f141b", "#181f29")

_EXAMPLE = 'brand={"color": "#0a5c36", "privacy_url": "https://example.com/privacy"}'
_COLOR = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})\Z")
# Only characters that cannot end a part of a Content-Security-Policy or of an attribute.
_PLAIN_URL = re.compile(r"""[^\s;,"'<>\\]{1,2048}\Z""")
_LOCAL = re.compile(r"/(?![/\\])")
_WHITE, _BLACK = "#ffffff", "#000000"
_STEPS = 100

RGB: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """Hold the logo, colours and links of pages and mails; an empty attribute changes nothing.

    Attributes:
        logo_url: the picture in the head of pages and in the tab: an https URL, or a path on the same site.
            The Content-Security-Policy allows the picture of that URL alone.
        home_url: the application that pages link to.
        color: the colour of buttons and links, as `#rrggbb`.
        dark_color: the same for browsers that prefer dark pages; empty for a lighter shade of `color`.
        terms_url: the terms of use.
        privacy_url: the privacy policy.
        imprint_url: the page that names the operator.

    Raises:
        ConfigurationError: if a URL or a colour is invalid, or the contrast of a colour is too low.
    """

    logo_url: str = ""
    home_url: str = ""
    color: str = ""
    dark_color: str = ""
    terms_url: str = ""
    privacy_url: str = ""
    imprint_url: str = ""

    def __post_init__(self) -> None:
        for name in ("logo_url", "home_url", "terms_url", "privacy_url", "imprint_url"):
            _check_link(name, getattr(self, name))
        for name, backs in (("color", LIGHT_BACKS), ("dark_color", DARK_BACKS)):
            if getattr(self, name) != "":
                _check_color(name, getattr(self, name), backs)
        if self.dark_color and not self.color:
            raise ConfigurationError("color must be there as well as dark_color, got none")

    @property
    def logo_source(self) -> str:
        """Return the source of the logo for a Content-Security-Policy; empty on the same site."""
        if "://" not in self.logo_url:
            return ""
        parts = urlsplit(self.logo_url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    @property
    def links(self) -> list[tuple[str, str]]:
        """Return the links of the foot of pages and mails, each with its title."""
        titles = {"terms_url": "Terms", "privacy_url": "Privacy", "imprint_url": "Imprint"}
        return [(title, getattr(self, name)) for name, title in titles.items() if getattr(self, name)]

    @property
    def style(self) -> str:
        """Return a style sheet with the colours, to be read after `style.css`; empty without colours."""
        if not self.color:
            return ""
        light = "".join(_rules(self.color))
        dark = "".join(_rules(self.dark_color or lightened(self.color, DARK_BACKS)))
        return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def parse_brand(options: object) -> Brand:
    """Return the brand of the setting.

    Args:
        options: the attributes of `Brand` by name; may be empty.

    Raises:
        ConfigurationError: for an unknown attribute, or an invalid value.
    """
    given = check_mapping(options, "brand", _EXAMPLE)
    known = [attribute.name for attribute in fields(Brand)]
    if unknown := sorted(str(name) for name in given if name not in known):
        raise ConfigurationError(
            f"brand must be a table with some of {', '.join(known)}, got {', '.join(unknown)}"
        )
    try:
        return Brand(**given)
    except ConfigurationError as error:  # the message of the error names the attribute
        raise ConfigurationError(f"brand: {error}") from None


def _check_link(name: str, url: object) -> None:
    if url == "":
        return
    must = "be a URL without white space, quotes, commas and semicolons"
    text = check_text(url, name, pattern=_PLAIN_URL, must=must)
    if name != "logo_url" or not _LOCAL.match(text):
        check_url(
            text,
            name,
            example="https://example.com/…",
            reason="anything between the server and the browser could replace it",
        )


def _check_color(name: str, color: object, backs: tuple[str, ...]) -> None:
    text = check_text(color, name, pattern=_COLOR, must="be a colour of CSS such as #0a5c36 or #063")
    for back in backs:
        if (ratio := contrast(text, back)) < MIN_CONTRAST:
            advice = "darker" if backs is LIGHT_BACKS else "lighter"
            raise ConfigurationError(
                f"{name} must have a contrast of {MIN_CONTRAST} with {back}, the background of links, got "
                f"{text!r} with {ratio:.1f}: choose a {advice} colour"
            )


def _rules(color: str) -> Iterator[str]:
    """Yield the rules of the style sheet for a colour of buttons and links."""
    ink = _WHITE if contrast(color, _WHITE) >= MIN_CONTRAST else _BLACK
    # The colour moves away from the colour of the text, so that the contrast does not decrease.
    over = mixed(color, _BLACK if ink == _WHITE else _WHITE, 0.15)
    for name, value in {"accent": color, "button": color, "button-over": over, "on-button": ink}.items():
        yield f"--{name}:{value};"


def lightened(color: str, backs: tuple[str, ...]) -> str:
    """Return a colour with as much white as the contrast with each background needs."""
    shades = (mixed(color, _WHITE, step / _STEPS) for step in range(_STEPS + 1))
    return next(shade for shade in shades if all(contrast(shade, back) >= MIN_CONTRAST for back in backs))


def contrast(color: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(color), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mixed(color: str, other: str, share: float) -> str:
    """Return a colour with a share of another one."""
    pairs = zip(_rgb(color), _rgb(other), strict=True)
    return "#" + "".join(f"{round(255 * (first + share * (second - first))):02x}" for first, second in pairs)


def _luminance(color: str) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in _rgb(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> RGB:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return red, green, blue
