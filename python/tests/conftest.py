"""What the tests of Python have in common."""

from real_services import services as services
