/** What posthog-js is told about itself before it sends. */
import { json, script, text } from './answers.ts';
import type { Answer } from './exchange.ts';

/**
 * The least with which posthog-js starts without errors and further requests, and watches clicks: it does so only where
 * `autocapture_opt_out` is there and false. A key `surveys`, even `false`, would make it load another script.
 */
export const CONFIG = {
  supportedCompression: ['gzip-js'],
  hasFeatureFlags: false,
  autocapture_opt_out: false,
} as const;

const CONFIG_JSON = JSON.stringify(CONFIG);

/** It goes into a script, so nothing else may be in it. */
const TOKEN = /^[\w.-]{1,64}$/;

export function config(token: string): Answer {
  return TOKEN.test(token) ? json(CONFIG_JSON) : NO_TOKEN;
}

export function configScript(token: string): Answer {
  if (!TOKEN.test(token)) return NO_TOKEN;
  const all = 'window._POSTHOG_REMOTE_CONFIG';
  return script(
    `(${all} = ${all} || {})[${JSON.stringify(token)}] = {config: ${CONFIG_JSON}, siteApps: []};`,
  );
}

const NO_TOKEN = text(
  '400 Bad Request',
  "this is no token: ask for /array/TOKEN/config with your project's token",
);
