# -*- coding: utf-8 -*-

"""
    Times as people read them, UTC as all times here

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("clock_time", "stamp", "stamp_s")

# -----------------------------------------------------------------------------
def stamp(when):
    """ A time as text, to the minute (when: datetime; None = never) """

    return "%s UTC" % when.strftime("%Y-%m-%d %H:%M") if when else "never"

# -----------------------------------------------------------------------------
def stamp_s(when):
    """ A time as text, to the second (when: datetime) """

    return "%s UTC" % when.strftime("%Y-%m-%d %H:%M:%S")

# -----------------------------------------------------------------------------
def clock_time(when, now, form="%H:%M"):
    """
        A time as text, as short as it may be: without the date if it is today

        Args:
            when: the time (datetime)
            now: the present time (datetime)
            form: of the time of the day, as for strftime()
    """

    return when.strftime(form if when.date() == now.date() else "%Y-%m-%d " + form)

# END =========================================================================
