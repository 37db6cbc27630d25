"""Settings of all tests."""

from hypothesis import settings

# No examples are kept between runs, and slow machines do not fail tests by their clock.
settings.register_profile("authguard", database=None, deadline=None, max_examples=150)
settings.load_profile("authguard")
