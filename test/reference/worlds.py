#!/usr/bin/env python3
"""Moments of the reference's worlds, for analysis/simulate: worlds.py > analysis/simulate/testdata/worlds.json

Per world, over 400 runs of 900 s at weight 20: means a second of requests, failures and slow requests (over 250 ms) of
both arms, and the mean square of the primary's failures."""
import json
import numpy as np
from sim_canary import BOUNDS, FAULTS, HOLDOUT, NULLS, World

worlds = {name: (*world, {}) for name, world in (NULLS | HOLDOUT).items()}
worlds |= {f'fault {name}': (1000, .001, {}, fault) for name, fault in FAULTS.items()}
out = {}
for name, (rate, base, options, fault) in worlds.items():
    world = World(400, np.random.default_rng(3), rate, base, fault=fault, bounds=BOUNDS, **options)
    sums = np.zeros(6)
    for t in range(900):
        o = world.sample(t, np.full(400, 20.), True)
        slow = lambda h: h[:, 4:].sum(1)
        sums += [x.mean() for x in (o['nc'] + o['np'], o['yc'], o['yp'], o['yp'] ** 2., slow(o['hc']), slow(o['hp']))]
    out[name] = [round(float(x), 6) for x in sums / 900]
print(json.dumps(dict(columns=['requests', 'canaryFailed', 'failed', 'failedSquare', 'canarySlow', 'slow'], worlds=out), indent=1))
