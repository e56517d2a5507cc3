"""The YAML model of a fleet."""

from opsconsole.profile.document import json_schema
from opsconsole.profile.find import available, find, load, load_file, place_of
from opsconsole.profile.loads import LoadDoc
from opsconsole.profile.model import DaemonSpec, Profile, Server, ServiceLevel, Tls
from opsconsole.profile.problems import Problem, ProfileError
from opsconsole.profile.secret import Secret
from opsconsole.profile.show import as_data, as_yaml

__all__ = [
    "DaemonSpec",
    "LoadDoc",
    "Problem",
    "Profile",
    "ProfileError",
    "Secret",
    "Server",
    "ServiceLevel",
    "Tls",
    "as_data",
    "as_yaml",
    "available",
    "find",
    "json_schema",
    "load",
    "load_file",
    "place_of",
]
