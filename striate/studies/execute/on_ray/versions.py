"""The versions that decide numbers, compared between the machine that starts a study and the nodes that train it."""

from collections.abc import Mapping

Versions = dict[str, str]

NAMES = ("Python", "striate", "torch", "numpy")


def own_versions() -> Versions:
    """Those of this process. Nothing is imported that is not."""
    return probe_versions()()


def probe_versions():  # type: ignore[no-untyped-def]
    """A function that Ray sends as code and not by name, so that a node without Striate can run it too."""

    def probe() -> dict[str, str]:
        import importlib.metadata
        import platform

        found = {"Python": ".".join(platform.python_version_tuple()[:2])}
        for name in ("torch", "numpy"):
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "none"
        try:
            from striate.core import __version__

            found["striate"] = __version__
        except ImportError:
            found["striate"] = "none"
        return found

    return probe


def difference(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What differs, in words; empty if nothing does."""
    differing = [name for name in NAMES if there.get(name, "none") != here[name]]
    return ", ".join(f"{name} {there.get(name, 'none')} and not {here[name]}" for name in differing)


def differing(expected: Mapping[str, str]) -> str:
    """What is other in this process than `expected`, in words."""
    found = difference(own_versions(), expected)
    return f"has {found}" if found else ""
