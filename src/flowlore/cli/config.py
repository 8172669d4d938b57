"""`flowlore config`."""

from . import options


def config(config: options.ConfigFile = None, set: options.Set = None, json: options.Json = False) -> None:
    """Print every setting as TOML.

    What is printed is resolved from defaults, --config and --set, and --config reads it back.
    """
    from ..settings import as_toml, settings_hash, settings_values
    from .text import print_json

    settings = options.resolved(config, set)
    if json:
        print_json({"config_hash": settings_hash(settings), "config": settings_values(settings)})
    else:
        print(f"# config {settings_hash(settings)}")
        print(as_toml(settings), end="")
