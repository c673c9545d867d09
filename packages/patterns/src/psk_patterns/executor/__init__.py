"""How do large arguments and results of tasks travel as proxies, and go when nobody needs them any more?"""

from __future__ import annotations

from psk_patterns.executor.executor import StoreExecutor
from psk_patterns.executor.mapping import MapResults
from psk_patterns.executor.task_future import TaskFuture

__all__ = ["MapResults", "StoreExecutor", "TaskFuture"]
