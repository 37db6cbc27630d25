"""Check the settings that are numbers of seconds: each alone, and in relation to others."""

from authguard._core.options import check_whole_seconds
from authguard.errors import ConfigurationError

_DAY = 86_400
_RANGES = {
    "signing_key_lifetime": (3_600, 3_650 * _DAY),
    "access_lifetime": (60, 30 * _DAY),
    "refresh_lifetime": (60, 3_650 * _DAY),
    "session_lifetime": (60, 3_650 * _DAY),
    "refresh_grace": (0, 300),
    "lost_answer_lifetime": (0, 30 * _DAY),
    "bearer_refresh_lifetime": (0, 3_650 * _DAY),
    "link_lifetime": (60, _DAY),
    "api_key_lifetime": (60, 3_650 * _DAY),
    "api_key_notice_interval": (0, _DAY),
    "purge_interval": (0, _DAY),
    "usage_minutes_kept": (3_600, 90 * _DAY),
    "usage_hours_kept": (2 * _DAY, 3_650 * _DAY),
    "usage_days_kept": (32 * _DAY, 36_500 * _DAY),  # the usage of a month is summed from its days
}
_LONGER = (
    ("session_lifetime", "refresh_lifetime"),
    ("signing_key_lifetime", "access_lifetime"),
    ("usage_hours_kept", "usage_minutes_kept"),
    ("usage_days_kept", "usage_hours_kept"),
)


def check_durations(settings: object) -> dict[str, int]:
    """Return the seconds of each such setting.

    Raises:
        ConfigurationError: if one is out of range, or shorter than another that it must outlast.
    """
    durations = {
        name: check_whole_seconds(getattr(settings, name), name, most, least=least)
        for name, (least, most) in _RANGES.items()
    }
    for longer, shorter in _LONGER:
        if durations[longer] < durations[shorter]:
            raise ConfigurationError(
                f"{longer} must be at least {shorter}, which is {durations[shorter]}, got {durations[longer]}"
            )
    return durations
