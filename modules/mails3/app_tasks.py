# -*- coding: utf-8 -*-

"""
    The tasks of the scheduler, which a Mail of MailS3 has as methods

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

import time

from .admin.alerts import Alerts

__all__ = ("AppTasks",)

# =============================================================================
class AppTasks:
    """ The part of MailS3 that sends what is queued """

    def drain(self):
        """
            Send new mail; commits. A task of the scheduler.

            Returns:
                how many deliveries were handed over or settled, None for 0
        """

        count = self.channel().drain()
        if count:
            Alerts(self).run()
        return count or None

    # -------------------------------------------------------------------------
    def retry(self):
        """
            Send deferred mail that is due; commits. A task of the scheduler.

            Returns:
                how many deliveries were handed over or settled, None for 0
        """

        count = self.channel().retry()
        Alerts(self).run()
        return count or None

    # -------------------------------------------------------------------------
    def send_channels(self):
        """
            Send what goes by other channels than mail, new and deferred;
            commits. A task of the scheduler.

            Returns:
                how many deliveries were handed over or settled, None for 0
        """

        return sum(channel.drain() + channel.retry() for channel in self.channels[1:]) or None

    # -------------------------------------------------------------------------
    def purge(self):
        """
            Remove old mail; commits. A task of the scheduler, at night.

            Returns:
                how many deliveries were removed, None for 0
        """

        end = time.monotonic() + self.options.task_timeout / 2
        return self.channel().purge().purge(end) or None

# END =========================================================================
