"""Which worker runs which file of tests, also after a worker died."""

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class ByFile(LoadFileScheduling):
    """All tests of a file in one worker; a worker that dies costs the one test it ran.

    A test over its time ends its worker. xdist's own scheduler then gives that test to the next
    worker too, gives out files with nothing left to run, and leaves a worker that holds a single
    test waiting for a second, so that the run never ends (pytest-xdist's issues 1327 and 1378,
    mended there after 3.8.0).
    """

    def remove_node(self, node: WorkerController) -> str | None:
        """The test that a worker died in, or None; what it had not begun goes to the others."""
        units = self.assigned_work.pop(node)
        left = {
            file: {test: done for test, done in unit.items() if not done}
            for file, unit in units.items()
        }
        pending = [(file, test) for file, unit in left.items() for test in unit]
        if not pending:
            return None
        file, crashed = pending[0]
        del left[file][crashed]
        self.workqueue.update({file: unit for file, unit in left.items() if unit})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        """Give out files until the worker, once it has collected, holds more than two tests."""
        if node.shutting_down or node not in self.registered_collections:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) <= 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()
