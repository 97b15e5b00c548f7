# -*- coding: utf-8 -*-

"""
    The command line: python3 modules/mails3 VERB APP

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import argparse
import sys

# Not of a package: Python runs this folder before there is a web2py
from installation import InstallError, install, uninstall

# -----------------------------------------------------------------------------
def main():
    """ Read the command and do it """

    parser = argparse.ArgumentParser(
                        prog = "python3 modules/mails3",
                        description = "MailS3, the outbound mail queue for web2py apps",
                        )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = verbs.add_parser("install",
                            help = "drop it into a web2py app, or upgrade it there",
                            description = "Copies MailS3 into a web2py app; no file of "
                                          "the app is changed. Run it again to upgrade.",
                            )
    verb.add_argument("app", help="path of the app, like web2py/applications/myapp")
    verb.add_argument("--link", action="store_true",
                      help="link to this copy, for development")

    verb = verbs.add_parser("uninstall",
                            help = "take it out of a web2py app again",
                            description = "Removes MailS3 from a web2py app. Unsent mail "
                                          "stays in the database. Needs the Python that "
                                          "runs the app.",
                            )
    verb.add_argument("app", help="path of the app")

    arguments = parser.parse_args()
    try:
        if arguments.verb == "install":
            install(arguments.app, arguments.link)
        else:
            uninstall(arguments.app)
    except InstallError as error:
        sys.exit("mails3: %s" % error)

# -----------------------------------------------------------------------------
if __name__ == "__main__":
    main()

# END =========================================================================
