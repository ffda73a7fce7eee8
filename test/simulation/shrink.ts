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
  for (const stop of plan.stops) await attempt({ ...best, stops: best.stops.filter((one) => one !== stop) });
  if (best.weather.failures > 0) await attempt({ ...best, weather: { ...best.weather, failures: 0 } });
  for (let length = best.events.length >> 1; length > 0 && tries < triesMax; length >>= 1) {
    for (let from = 0; from < best.events.length && tries < triesMax; ) {
      const events = best.events.filter((_, index) => index < from || index >= from + length);
      if (!(await attempt({ ...best, events }))) from += length;
    }
  }
  return best;
}
