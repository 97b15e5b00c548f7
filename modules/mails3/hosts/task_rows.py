# -*- coding: utf-8 -*-

"""
    The rows of our tasks in the table scheduler_task: how our code finds them,
    and their values

    Our code inserts the rows directly, without queue_task(): queue_task()
    refuses tasks that were registered after the scheduler was created, and on
    web2py 3.x it refuses each application_name.

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("TaskRows",)

# =============================================================================
class TaskRows:
    """ The rows of one application """

    def __init__(self, scheduler, mail):
        """
            Args:
                scheduler: the host's Scheduler
                mail: the MailS3 of the app
        """

        self.scheduler = scheduler
        self.mail = mail

    # -------------------------------------------------------------------------
    def values(self, function, uuid, **values):
        """
            The values of a row that do not depend on the time

            Args:
                function: the name of the function (str)
                uuid: the uuid of the row
                values: other values

            Returns:
                dict {field: value}
        """

        return dict(values,
                    uuid = uuid,
                    application_name = self.application(),
                    task_name = function,
                    function_name = function,
                    group_name = self.group(),
                    timeout = self.mail.options.task_timeout,
                    # No limit: a task that failed once has to run again
                    retry_failed = -1,
                    )

    # -------------------------------------------------------------------------
    def uuid(self, name):
        """ The fixed uuid by which our code finds a row """

        return "%s-%s" % (name.replace("_", "-"), self.mail.site)

    # -------------------------------------------------------------------------
    def wake_uuids(self, wake_name):
        """
            The range of the uuids of wake tasks
            - a range, because the only index of the table is the one on uuid

            Args:
                wake_name: what these wake tasks have in common

            Returns:
                tuple (first, last); first is the beginning of each uuid
        """

        prefix = self.uuid(wake_name)
        # A hex digit follows: 0 to f
        return prefix + "-", prefix + "-g"

    # -------------------------------------------------------------------------
    def wakes(self, wake_name):
        """ Query for the rows of wake tasks """

        table = self.scheduler.db.scheduler_task
        first, last = self.wake_uuids(wake_name)
        return (table.uuid > first) & (table.uuid < last) & \
               (table.application_name == self.application())

    # -------------------------------------------------------------------------
    def application(self):
        """ The controller in which a worker runs our tasks """

        # The worker's request is anonymous and needs a public controller
        return "%s/default" % self.mail.site

    # -------------------------------------------------------------------------
    def group(self):
        """ The group of workers that run our tasks """

        return self.scheduler.group_names[0]

# END =========================================================================
