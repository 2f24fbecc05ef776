"""Wiring: scout needs nothing but the bus."""

from nest.lifecycle import Context
from workers.scout.agent import ScoutAgent
from workers.service import offer

HIVE = MODEL = "scout"


async def serve(context: Context) -> None:
    """Offer the model `scout` until asked to stop."""
    propensity = {"statefulness": "stateless", "richness": "lean", "wire": "hum/scout"}
    await offer(context, ScoutAgent(), hive=HIVE, models=(MODEL,), propensity=propensity)
