# -*- coding: utf-8 -*-

"""
    The hosts: the apps that MailS3 is installed in

    web2py      a plain web2py app
    eden/       Sahana Eden
    self_repair creates missing tables and tasks, repairs stuck tasks
    scheduler   our tasks in the host's scheduler
    task_rows   the rows of these tasks
    drain_task  the task that sends new mail
    worker_loop a worker of the scheduler takes a wake by itself
    fork_guard  a worker starts no task during a heartbeat
    web_request a visitor's request, whose process can send
    notice      tells an admin on each page that mail is not sent

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

# END =========================================================================
