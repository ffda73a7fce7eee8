/** What posthog-js asks for before it sends: its configuration and its feature flags, of which there are none. */
import { json, script, text } from './answers.ts';
import type { Answer } from './exchange.ts';

/**
 * The least with which posthog-js starts without errors and further requests. A key `surveys`, even `false`, would
 * make it load another script; without `autocapture_opt_out` it would never watch a click.
 */
const CONFIG = JSON.stringify({
  supportedCompression: ['gzip-js'],
  hasFeatureFlags: false,
  autocapture_opt_out: false,
});

const FLAGS = JSON.stringify({
  flags: {},
  featureFlags: {},
  featureFlagPayloads: {},
  errorsWhileComputingFlags: false,
});

/** It goes into a script, so nothing else may be in it. */
const TOKEN = /^[\w.-]{1,64}$/;

export function config(token: string): Answer {
  return TOKEN.test(token) ? json(CONFIG) : NO_TOKEN;
}

export function configScript(token: string): Answer {
  if (!TOKEN.test(token)) return NO_TOKEN;
  const all = 'window._POSTHOG_REMOTE_CONFIG';
  return script(`(${all} = ${all} || {})[${JSON.stringify(token)}] = {config: ${CONFIG}, siteApps: []};`);
}

const NO_TOKEN = text(
  '400 Bad Request',
  "this is no token: ask for /array/TOKEN/config with your project's token",
);

export const flags = (): Answer => json(FLAGS);
