"""Comparing configs value by value."""


def flat(node, place=()):
    """Every value of a config by its place."""
    if not isinstance(node, dict):
        return {place: node}
    values = {}
    for key, value in node.items():
        values |= flat(value, (*place, key))
    return values
