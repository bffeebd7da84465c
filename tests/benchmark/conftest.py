"""Settings of the property tests: the machine may be busy, so no example has a deadline, and they share a minute."""

from hypothesis import settings

settings.register_profile("patient", deadline=None, max_examples=50)
settings.load_profile("patient")
