# -*- coding: utf-8 -*-

"""
    The workers of a site, as an admin sees them: ours and the scheduler's

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

from ..clock import utcnow
from ..queue.database import database_clock
from ..queue.workers import ALIVE_S, Workers

__all__ = ("worker_list",)

# -----------------------------------------------------------------------------
def worker_list(mail):
    """
        All workers that give signs of life, and those that were lost lately

        Args:
            mail: the MailS3

        Returns:
            list of dict: kind ("worker": the verb work, "scheduler", "command",
            "web"), machine, process_id, since, alive_on (datetime, UTC), doing
            (str), is_alive (bool)
    """

    now = database_clock(mail.db)[0]()
    oldest = now - timedelta(seconds=ALIVE_S)
    workers = [{"kind": row.kind,
                "machine": row.machine,
                "process_id": row.process_id,
                "since": row.since,
                "alive_on": row.alive_on,
                "doing": row.doing,
                "is_alive": row.alive_on > oldest,
                } for row in Workers(mail.db, mail.site).rows()]
    return workers + (mail.tasks.workers(utcnow()) if mail.tasks else [])

# END =========================================================================
