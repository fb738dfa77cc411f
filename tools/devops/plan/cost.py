"""A monthly estimate from dated facts, right-sized for a small production load, against the SPEC's budget.

Every number is a price fact times a stated assumption. Where a price is not on record the total is None: an unknown
price is not zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

from tools.devops.plan.names import deployable, platform_for, replica_range, serves, stated
from tools.devops.plan.services import service_id, services_for
from tools.devops.platform import Fact, fact
from tools.devops.types import Decision, DeployUnit, Project, Spec

_UNIT_GB, _UNIT_VCPU = 0.5, 0.1
_SERVICE_GB, _SERVICE_VCPU, _SERVICE_DISK_GB = 0.25, 0.05, 5


class _Bill:
    """Items of one estimate; remembers which facts were used and which were absent."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.used: list[Fact] = []
        self.absent: list[str] = []
        self.assumptions: list[str] = []

    def price(self, key: str) -> float:
        found = fact(key)
        if found is None:
            self.absent.append(key)
            return 0.0
        self.used.append(found)
        return float(found.value)

    def add(self, what: str, monthly: float, basis: str) -> None:
        self.items.append({"what": what, "monthly": round(monthly, 2), "basis": basis})


def estimate(project: Project, spec: Spec | None, decisions: Sequence[Decision]) -> Mapping[str, Any]:
    """`{currency, monthly, items, assumptions, as_of, facts, budget, within_budget, unknown}`.

    `monthly` is None if unknown; `facts` are the prices it rests on, each with its date and source.
    """
    bill = _Bill()
    by_platform: dict[str, list[DeployUnit]] = {}
    for unit in deployable(project):
        by_platform.setdefault(platform_for(decisions, unit), []).append(unit)
    services = len(services_for(project, spec))
    for platform, units in by_platform.items():
        rule = _RULES.get(platform)
        if rule is None:
            bill.absent.append(f"prices of {platform}")
        else:
            rule(bill, units, services, spec)
    if _hosted_elsewhere(by_platform, services):
        bill.absent.append("price of the externally hosted database or cache")
    known = round(sum(i["monthly"] for i in bill.items), 2)
    monthly = None if bill.absent or not bill.items else known
    budget = _budget(spec)
    return {
        "currency": "USD",
        "monthly": monthly,
        "known": known,
        "items": bill.items,
        "assumptions": bill.assumptions,
        "as_of": min((f.as_of for f in bill.used), default=None),
        "facts": [_cited(found) for found in {found.id: found for found in bill.used}.values()],
        "unknown": sorted(set(bill.absent)),
        "budget": budget,
        "within_budget": _within(known, monthly, budget),
    }


def _cited(found: Fact) -> dict[str, Any]:
    return {"id": found.id, "value": found.value, "as_of": found.as_of, "source": found.source}


_COUNTED = frozenset({"railway", "kubernetes", "aws-ecs", "gcp-cloud-run", "azure-container-apps"})
"""Platforms whose rule counts the services of its units itself."""


def _hosted_elsewhere(platforms: Collection[str], services: int) -> bool:
    return bool(services) and not set(platforms) & _COUNTED


def _within(known: float, monthly: float | None, budget: float | None) -> bool | None:
    """Whether the budget holds; unknown prices cannot bring back what the known ones overspend."""
    if budget is None or (monthly is None and known <= budget):
        return None
    return known <= budget


def _budget(spec: Spec | None) -> float | None:
    """The budget in USD per month, or None when there is none in that currency."""
    value = stated(spec, "budget")
    if not isinstance(value, Mapping) or str(value.get("currency", "USD")).upper() not in ("USD", "$"):
        return None
    amount = value.get("amount")
    if not isinstance(amount, int | float):
        return None
    return round(amount / 12, 2) if str(value.get("period", "month")).startswith(("year", "annual")) else float(amount)


def _railway(bill: _Bill, units: Sequence[DeployUnit], services: int, spec: Spec | None) -> None:
    ram, cpu = bill.price("railway.ram_usd_per_gb_month"), bill.price("railway.cpu_usd_per_vcpu_month")
    disk, fee = bill.price("railway.volume_usd_per_gb_month"), bill.price("railway.plan_hobby_usd_per_month")
    included = bill.price("railway.included_hobby_usd")
    running = len(units) * replica_range(spec, "railway")[0]
    usage = running * (_UNIT_GB * ram + _UNIT_VCPU * cpu)
    stored = services * (_SERVICE_GB * ram + _SERVICE_VCPU * cpu + _SERVICE_DISK_GB * disk)
    total = usage + stored
    bill.add("Railway Hobby plan", fee, "subscription, includes the same amount of use")
    bill.add("Railway services", usage, f"{running} x ({_UNIT_GB} GB, {_UNIT_VCPU} vCPU on average)")
    if services:
        basis = f"{services} x ({_SERVICE_GB} GB, {_SERVICE_VCPU} vCPU, {_SERVICE_DISK_GB} GB disk)"
        bill.add("Railway databases", stored, basis)
    bill.add("Included use", -min(included, total), "credit of the plan")
    bill.assumptions.append("Railway: small steady load, little egress, one environment.")


def _vercel(bill: _Bill, _units: Sequence[DeployUnit], _services: int, _spec: Spec | None) -> None:
    bill.add(
        "Vercel Pro", bill.price("vercel.plan_pro_usd_per_seat_month"), "one seat; Hobby is for non-commercial use"
    )
    bill.assumptions.append("Vercel: use stays within the credit of the plan.")


def _netlify(bill: _Bill, _units: Sequence[DeployUnit], _services: int, _spec: Spec | None) -> None:
    bill.add("Netlify Pro", bill.price("netlify.plan_pro_usd_per_month"), "flat price")
    bill.assumptions.append("Netlify: use stays within the credits of the plan.")


def _kubernetes(bill: _Bill, units: Sequence[DeployUnit], services: int, _spec: Spec | None) -> None:
    nodes = max(2, (2 * sum(1 for u in units if serves(u)) + 1) // 2)
    bill.add("Control plane", bill.price("kubernetes.doks_control_plane_usd_per_month"), "DigitalOcean Kubernetes")
    node = bill.price("digitalocean.droplet_2gb_usd_per_month")
    bill.add("Worker nodes", nodes * node, f"{nodes} x 2 GB, two replicas of each unit")
    if services:
        database = bill.price("digitalocean.managed_postgres_1gb_usd_per_month")
        bill.add("Managed databases", services * database, f"{services} x 1 GB, single node")
    bill.assumptions.append("Kubernetes: prices of DigitalOcean; a load balancer and egress are not included.")


_REQUESTS, _SECONDS, _FUNCTION_GB = 1_000_000, 0.2, 0.5
_MONTH_SECONDS, _EC2_DISK_GB = 730 * 3600, 30


def _lambda(bill: _Bill, units: Sequence[DeployUnit], _services: int, _spec: Spec | None) -> None:
    calls = bill.price("aws.lambda_usd_per_million_requests") * _REQUESTS / 1_000_000
    work = bill.price("aws.lambda_usd_per_gb_second") * _REQUESTS * _SECONDS * _FUNCTION_GB
    gateway = bill.price("aws.http_api_usd_per_million_requests") * _REQUESTS / 1_000_000
    each = f"{len(units)} x 1 million requests"
    bill.add("Lambda", len(units) * (calls + work), f"{each} of {_SECONDS} s with {_FUNCTION_GB} GB, no free tier")
    bill.add("API Gateway HTTP API", len(units) * gateway, each)
    bill.assumptions.append("AWS: prices of us-east-1; logs, egress and the free tier are not included.")


def _ecs(bill: _Bill, units: Sequence[DeployUnit], services: int, spec: Spec | None) -> None:
    hours = bill.price("aws.hours_per_month")
    tasks = sum(replica_range(spec, "aws-ecs")[0] if serves(unit) else 1 for unit in units)
    task = 0.25 * bill.price("aws.fargate_usd_per_vcpu_hour") + 0.5 * bill.price("aws.fargate_usd_per_gb_hour")
    bill.add("Fargate tasks", tasks * task * hours, f"{tasks} x (0.25 vCPU, 0.5 GB)")
    bill.add("Load balancer", bill.price("aws.alb_usd_per_hour") * hours, "fixed part, without capacity units")
    kinds = {service_id(name) for unit in units for name in unit.services}
    if "postgres" in kinds:
        database = bill.price("aws.rds_postgres_t4g_small_usd_per_hour") * hours
        zones = bill.price("aws.rds_multi_az_factor") if replica_range(spec, "aws-ecs")[0] > 1 else 1
        disk = 20 * bill.price("aws.rds_gp3_usd_per_gb_month")
        bill.add("RDS for PostgreSQL", zones * (database + disk), "db.t4g.small, 20 GB")
    if "redis" in kinds:
        node = bill.price("aws.elasticache_t4g_micro_usd_per_hour") * hours
        bill.add("ElastiCache", node, "cache.t4g.micro, one node")
    if "mysql" in kinds:
        bill.absent.append("price of AWS's mysql")
    if services > len(kinds & {"postgres", "mysql", "redis"}):
        bill.absent.append("price of the externally hosted services")
    bill.assumptions.append("AWS: prices of us-east-1; public addresses, logs and egress are not included.")


def _droplet(bill: _Bill, units: Sequence[DeployUnit], _services: int, _spec: Spec | None) -> None:
    size = "digitalocean.droplet_2gb_usd_per_month" if len(units) == 1 else "digitalocean.droplet_4gb_usd_per_month"
    bill.add("Droplet", bill.price(size), "one machine with room for two slots of each unit")
    bill.assumptions.append("DigitalOcean: backups (a share of the droplet's price) and egress are not included.")


def _ec2(bill: _Bill, _units: Sequence[DeployUnit], _services: int, _spec: Spec | None) -> None:
    hours = bill.price("aws.hours_per_month")
    bill.add("EC2 instance", bill.price("aws.ec2_t3_small_usd_per_hour") * hours, "t3.small, on demand")
    bill.add("Disk", _EC2_DISK_GB * bill.price("aws.ebs_gp3_usd_per_gb_month"), f"{_EC2_DISK_GB} GB gp3")
    bill.assumptions.append("AWS: prices of us-east-1; the public address, snapshots and egress are not included.")


def _cloud_run(bill: _Bill, units: Sequence[DeployUnit], _services: int, spec: Spec | None) -> None:
    """Requests one at a time, as on Lambda; an instance that is kept ready is billed like a working one."""
    cpu, memory = bill.price("gcp.cloud_run_usd_per_vcpu_second"), bill.price("gcp.cloud_run_usd_per_gib_second")
    ready = replica_range(spec, "gcp-cloud-run")[0]
    ready = ready if ready > 1 else 0
    seconds = len(units) * (ready * _MONTH_SECONDS if ready else _REQUESTS * _SECONDS)
    basis = f"{ready} instances kept ready" if ready else f"1 million requests of {_SECONDS} s, no free tier"
    bill.add("Cloud Run", seconds * (cpu + 0.5 * memory), f"{len(units)} x (1 vCPU, 0.5 GB), {basis}")
    requests = len(units) * _REQUESTS / 1_000_000 * bill.price("gcp.cloud_run_usd_per_million_requests")
    bill.add("Cloud Run requests", requests, f"{len(units)} x 1 million")
    kinds = {service_id(name) for unit in units for name in unit.services}
    if "redis" in kinds:
        cache = bill.price("gcp.memorystore_basic_usd_per_gb_hour") * bill.price("aws.hours_per_month")
        bill.add("Memorystore for Redis", cache, "1 GB, basic tier")
    _others(bill, kinds - {"redis"})
    bill.assumptions.append("Google Cloud: prices of us-central1; builds, logs and egress are not included.")


def _container_apps(bill: _Bill, units: Sequence[DeployUnit], _services: int, spec: Spec | None) -> None:
    """Replicas that always run, idle nine tenths of the time."""
    active, idle = (
        bill.price("azure.container_apps_usd_per_vcpu_second"),
        bill.price("azure.container_apps_idle_usd_per_vcpu_second"),
    )
    memory = bill.price("azure.container_apps_usd_per_gib_second")
    replicas = sum(replica_range(spec, "azure-container-apps")[0] if serves(unit) else 1 for unit in units)
    second = 0.5 * (0.1 * active + 0.9 * idle) + memory
    basis = f"{replicas} x (0.5 vCPU, 1 GB), busy a tenth of the time, no free grant"
    bill.add("Container Apps", replicas * _MONTH_SECONDS * second, basis)
    kinds = {service_id(name) for unit in units for name in unit.services}
    if "redis" in kinds:
        bill.add("Azure Cache for Redis", bill.price("azure.redis_basic_c0_usd_per_month"), "Basic C0, 250 MB")
    _others(bill, kinds - {"redis"})
    bill.assumptions.append("Azure: prices of East US; registry, vault, logs and egress are not included.")


def _others(bill: _Bill, kinds: Set[str]) -> None:
    if kinds - {"sqlite"}:
        bill.absent.append(f"price of {', '.join(sorted(kinds))}")


_RULES = {
    "railway": _railway,
    "vercel": _vercel,
    "netlify": _netlify,
    "kubernetes": _kubernetes,
    "aws-lambda": _lambda,
    "aws-ecs": _ecs,
    "aws-ec2": _ec2,
    "gcp-cloud-run": _cloud_run,
    "azure-container-apps": _container_apps,
    "digitalocean": _droplet,
}
