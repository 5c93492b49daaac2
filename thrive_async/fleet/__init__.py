"""Units of work for engines that exist: nothing here queues, schedules or elects.

A unit is one audience, or the users of one tenant. `units` lists them, `run_unit` runs one, and `summary` sums up the
results. `thrive_async.fleet.procrastinate` runs them on PostgreSQL; docs/scale.md has Celery and others.
"""

from thrive_async.fleet.report import Result, Summary, summary
from thrive_async.fleet.running import Clients, run_unit
from thrive_async.fleet.sources import CsvPeople, PeopleSource
from thrive_async.fleet.tenants import Fleet, Tenant, load_fleet, load_tenants
from thrive_async.fleet.units import Unit, units

__all__ = [
    "Clients",
    "CsvPeople",
    "Fleet",
    "PeopleSource",
    "Result",
    "Summary",
    "Tenant",
    "Unit",
    "load_fleet",
    "load_tenants",
    "run_unit",
    "summary",
    "units",
]
