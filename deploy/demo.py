"""``make demo``: ship a parcel through the HTTP API of a running system; the exit status is 0 if all steps succeed.

The program acts as the merchant's shop, which uses the API, as the carrier, whose scans it causes in the sandbox, and
as the merchant's server, which receives and verifies webhooks. It uses none of Waybill's code.
"""

from __future__ import annotations

import sys

from deploy.demo_bring import BringDemo
from deploy.demo_pickit import PickitDemo
from deploy.demo_shop import Demo, StepFailed
from deploy.demo_ups import UpsDemo

DEMOS: dict[str, type[Demo]] = {demo.CARRIER: demo for demo in (PickitDemo, UpsDemo, BringDemo)}


def main(carrier: str = "pickit") -> int:
    """Run the steps of a carrier; return 1 at the first that fails, and print the reason."""
    title = "The merchant's server"
    try:
        if carrier.lower() not in DEMOS:
            raise StepFailed(f"there is no demo of {carrier}; known: {', '.join(DEMOS)}")
        demo = DEMOS[carrier.lower()]()
        for number, name in enumerate(demo.STEPS, start=1):
            step = getattr(demo, name)
            title = step.__doc__
            print(f"{number:>2}. {title}\n      {step()}", flush=True)
    except StepFailed as error:
        print(f"\nFAILED at «{title}»: {error}", file=sys.stderr)
        return 1
    print("\nAll steps succeeded.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
