/** Feature flags are not this project's job: the empty set, in the form that each version of the question wants. */
import { json } from './answers.ts';
import { CONFIG } from './config-answers.ts';
import type { Answer } from './exchange.ts';

interface Asked {
  readonly kind: 'flags' | 'decide';
  /** `v=` of the query; empty if there is none. */
  readonly version: string;
  /** Flags were asked for elsewhere, and not had: clients keep the ones that they know. */
  readonly hasErrors: boolean;
}

export function noFlags({ kind, version, hasErrors }: Asked): Answer {
  const isFirst = kind === 'decide' && (version === '' || version === '1');
  return json(
    JSON.stringify({
      ...(kind === 'decide' ? DECIDE_CONFIG : { flags: {} }),
      // The first version of /decide gave a list.
      featureFlags: isFirst ? [] : {},
      featureFlagPayloads: {},
      errorsWhileComputingFlags: hasErrors,
    }),
  );
}

/** Clients that ask /decide take their configuration from it. */
const DECIDE_CONFIG = {
  config: { enable_collect_everything: true },
  toolbarParams: {},
  isAuthenticated: false,
  supportedCompression: CONFIG.supportedCompression,
  autocapture_opt_out: CONFIG.autocapture_opt_out,
  sessionRecording: false,
  siteApps: [],
} as const;
