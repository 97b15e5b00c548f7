# -*- coding: utf-8 -*-

"""
    Into an app from the command line: its models run, in its own web2py

    __main__.py and installation.py import this file before web2py can be imported.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import os
import sys

from pathlib import Path

__all__ = ("enter",)

# -----------------------------------------------------------------------------
def enter(app):
    """
        Run the models of an app, in its own web2py

        Args:
            app: path of the app as it is called: it may be a link

        Returns:
            the environment of the models (dict)

        Raises:
            Exception, SystemExit: any that web2py or the app raises
    """

    app = Path(os.path.abspath(app))
    web2py = app.parents[1]
    os.chdir(web2py)
    os.environ["web2py_path"] = str(web2py)
    sys.path.insert(0, str(web2py))

    # Sets names that a model may use, like web2py_version, as for a request
    import gluon.main # noqa: F401

    from gluon.fileutils import create_missing_app_folders
    from gluon.shell import env
    from gluon.storage import Storage

    # web2py makes them with the first request: the app may never have had one
    create_missing_app_folders(Storage(folder=str(app)))
    return env(app.name, c="default", f="index", import_models=True)

# END =========================================================================
