"""
    Tasks of the app's own, in the ways that apps have them
"""

import time

def hello(name, seconds=0):
    """
        Greet, at leisure
    """

    time.sleep(seconds)
    return "Hello %s" % name

scheduler_mode = configuration.get("scheduler.mode")
if scheduler_mode:

    from gluon.scheduler import Scheduler
    scheduler = Scheduler(db,
                          tasks = {"hello": hello} if scheduler_mode == "dict" else None,
                          heartbeat = configuration.get("scheduler.heartbeat"),
                          )

# END =========================================================================
