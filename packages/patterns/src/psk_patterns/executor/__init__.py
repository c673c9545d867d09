"""Executors whose large arguments and results travel as proxies, and are evicted when they are no longer needed."""

from __future__ import annotations

from psk_patterns.executor.executor import MapResults, StoreExecutor
from psk_patterns.executor.task import PackedResult, Task, WorkerSettings, call_each, restore_settings
from psk_patterns.executor.task_future import TaskFuture

__all__ = [
    "MapResults",
    "PackedResult",
    "StoreExecutor",
    "Task",
    "TaskFuture",
    "WorkerSettings",
    "call_each",
    "restore_settings",
]
