/** A real Chromium with one page open, as a visitor has it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { findChromium } from '../../tools/chromium.ts';
import { ROOT } from '../system/harness.ts';

/** posthog-js takes a headless browser for a robot, and sends nothing. */
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  `--user-agent=${USER_AGENT}`,
  '--disable-blink-features=AutomationControlled',
];
/** Of pages whose test has failed. */
const SCREENSHOTS = join(ROOT, 'test', 'screenshots');

export interface Visit {
  readonly page: Page;
  /** Errors and warnings of the page's console, and what its scripts threw. */
  readonly complaints: readonly string[];
}

export interface Visitors {
  /** In a profile of its own. */
  visit(t: Test, url: string): Promise<Visit>;
}

/** Ends with `t`. */
export async function startBrowser(t: Test): Promise<Visitors> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('there is no Chromium');
  const browser: Browser = await chromium.launch({ executablePath, args: ARGS });
  t.teardown(() => browser.close());
  return {
    async visit(t, url) {
      const context = await browser.newContext();
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      t.teardown(async () => {
        if (!t.passing() && !page.isClosed()) await screenshot(t, page);
        await context.close();
      });
      await page.goto(url);
      await page.waitForFunction('window.posthog?.__loaded === true');
      return { page, complaints };
    },
  };
}

async function screenshot(t: Test, page: Page): Promise<void> {
  const path = join(SCREENSHOTS, `${t.name.replace(/\W+/g, '-')}.png`);
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path });
  t.comment(`the page as it was: ${path}`);
}
