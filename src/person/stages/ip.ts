import type { Stage } from '../work.ts';

/** Takes `$ip` off the event where the project wants no addresses; after the transforms, which may need it. */
export const ipStage: Stage = {
  name: 'ip',
  run(work) {
    if (!work.project.anonymizeIps || work.properties['$ip'] === undefined) return work;
    const { $ip: _ip, ...properties } = work.properties;
    return { ...work, properties };
  },
};
