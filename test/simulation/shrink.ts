/** Makes a failing history short enough to read: leaves out whatever it fails without. */
import type { Plan } from './plan.ts';

/** `fails`: whether the plan fails, still. Tries at most `triesMax` plans. */
export async function shrink(
  plan: Plan,
  fails: (plan: Plan) => Promise<boolean>,
  triesMax = 400,
): Promise<Plan> {
  let best = plan;
  let tries = 0;
  const attempt = async (smaller: Plan): Promise<boolean> => {
    tries += 1;
    if (!(await fails(smaller))) return false;
    best = smaller;
    return true;
  };
  for (const incident of plan.incidents) {
    await attempt({ ...best, incidents: best.incidents.filter((one) => one !== incident) });
  }
  if (best.startsMs.length > 1) await attempt({ ...best, startsMs: best.startsMs.slice(0, -1) as [number] });
  if (best.weather.failures > 0) await attempt({ ...best, weather: { ...best.weather, failures: 0 } });
  if (best.weather.rollbacks > 0) await attempt({ ...best, weather: { ...best.weather, rollbacks: 0 } });
  await attempt({ ...best, tail: { delayMsMax: 0, repeats: 0, silent: undefined } });
  for (let length = best.events.length >> 1; length > 0 && tries < triesMax; length >>= 1) {
    for (let from = 0; from < best.events.length && tries < triesMax; ) {
      const events = best.events.filter((_, index) => index < from || index >= from + length);
      if (!(await attempt({ ...best, events }))) from += length;
    }
  }
  return best;
}
