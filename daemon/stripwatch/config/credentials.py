"""Files that the configuration names, where systemd may hand over those that are secret.

Source: systemd.exec(5), "LoadCredential=": the files that a unit names are, for this service alone,
in the folder $CREDENTIALS_DIRECTORY, which is kept in memory.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "credentials"


def absolute_file(file: str, folder: Path) -> Path:
    """Where a file of the configuration is: relative ones start at `folder`.

    `credentials/NAME` is the credential NAME of the service. Without systemd, or where its unit
    loads none, it is a file like all others, in the folder `credentials` beside the configuration.
    """
    path = Path(file)
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and path.parts[:1] == (FOLDER,):
        return Path(given, *path.parts[1:])
    return (folder / path).resolve()
