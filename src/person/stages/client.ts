import { objectOrEmpty } from '../../event/json.ts';
import { clientProperties } from '../client-properties.ts';
import type { Stage } from '../work.ts';

/** Browser, system, page and campaign go into `$set` and `$set_once`; what the client set there itself wins. */
export const clientStage: Stage = {
  name: 'client',
  run(work) {
    if (work.mode !== 'full') return work;
    const found = clientProperties(work.event, work.properties);
    if (found === undefined) return work;
    return {
      ...work,
      properties: {
        ...work.properties,
        $set: { ...found.set, ...objectOrEmpty(work.properties['$set']) },
        $set_once: { ...found.setOnce, ...objectOrEmpty(work.properties['$set_once']) },
      },
    };
  },
};
