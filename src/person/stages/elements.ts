import { elementsChain } from '../../event/elements.ts';
import type { Stage } from '../work.ts';

/** `$elements_chain` (a string of newer SDKs) as it is, else the chain of `$elements`; both leave the properties. */
export const elementsStage: Stage = {
  name: 'elements',
  run(work) {
    if (work.properties['$elements'] === undefined && work.properties['$elements_chain'] === undefined)
      return work;
    const { $elements: elements, $elements_chain: chain, ...properties } = work.properties;
    return {
      ...work,
      properties,
      elementsChain: typeof chain === 'string' ? chain : elementsChain(elements ?? null),
    };
  },
};
