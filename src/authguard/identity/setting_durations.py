"""Check the settings that are numbers of seconds: each alone, and in relation to others."""

from authguard._core.options import check_whole_seconds
from authguard.identity.setting_faults import Faults

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
    "api_key_lifetime": (3_600, 3_650 * _DAY),  # 90 is probably a number of days
    "api_key_notice_interval": (0, _DAY),
    "purge_interval": (0, _DAY),
    "usage_minutes_kept": (3_600, 90 * _DAY),
    "usage_hours_kept": (2 * _DAY, 3_650 * _DAY),
    "usage_days_kept": (32 * _DAY, 36_500 * _DAY),  # days; the usage of a month is summed from its days
}
#: The settings that are numbers of seconds.
DURATIONS = frozenset(_RANGES)
_LONGER = (
    ("session_lifetime", "refresh_lifetime"),
    ("signing_key_lifetime", "access_lifetime"),
    ("usage_hours_kept", "usage_minutes_kept"),
    ("usage_days_kept", "usage_hours_kept"),
)


def check_durations(settings: object, faults: Faults) -> dict[str, int]:
    """Return the seconds of each duration that is in its range.

    Args:
        settings: all settings.
        faults: notes each duration that is out of range, or shorter than another one that it must exceed.
    """
    durations: dict[str, int] = {}
    for name, (least, most) in _RANGES.items():
        with faults.noting():
            durations[name] = check_whole_seconds(getattr(settings, name), name, most, least=least)
    for longer, shorter in _LONGER:
        if longer in durations and shorter in durations and durations[longer] < durations[shorter]:
            faults.texts.append(
                f"{longer} must be at least {shorter}, which is {durations[shorter]}, got {durations[longer]}"
            )
    return durations
