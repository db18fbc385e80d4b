"""Random draws with an explicit generator."""

__all__: list[str] = []
