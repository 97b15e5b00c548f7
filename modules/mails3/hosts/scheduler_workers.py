# -*- coding: utf-8 -*-

"""
    The workers of the host's scheduler (web2py.py -K)

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

from datetime import timedelta

__all__ = ("SchedulerWorkers",)

# =============================================================================
class SchedulerWorkers:
    """ A part of Tasks: needs its scheduler, rows and mail """

    def count_workers(self):
        """
            How many workers are alive and would run our tasks

            Returns:
                the count (int)
        """

        return len(self._workers())

    # -------------------------------------------------------------------------
    def workers(self, now):
        """
            The workers that are alive, for an admin

            Args:
                now: the time (datetime, UTC)

            Returns:
                list of dict, see worker_list()
        """

        # The scheduler keeps local times
        ahead = self.scheduler.now() - now
        workers = []
        for row in self._workers():
            machine, _, process_id = row.worker_name.rpartition("#")
            workers.append({"kind": "scheduler",
                            "machine": machine,
                            "process_id": int(process_id) if process_id.isdigit() else None,
                            "since": row.first_heartbeat - ahead,
                            "alive_on": row.last_heartbeat - ahead,
                            "doing": "tasks of the scheduler",
                            "is_alive": True,
                            })
        return workers

    # -------------------------------------------------------------------------
    def _workers(self):
        """ The rows of the workers that are alive and would run our tasks (list) """

        db = self.scheduler.db
        table = db.scheduler_worker
        silence = timedelta(seconds = self.mail.options.worker_timeout)
        rows = db((table.last_heartbeat > self.scheduler.now() - silence) &
                  table.status.belongs(("ACTIVE", "PICK", "STOP_TASK"))
                  ).select(table.worker_name, table.first_heartbeat, table.last_heartbeat,
                           table.group_names)
        return [row for row in rows if self.rows.group() in (row.group_names or ())]

# END =========================================================================
