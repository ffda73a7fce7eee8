/** What `docker-compose.yml` and the `Dockerfile` say, as far as tests need it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '..', '..');

export interface Service {
  readonly image: string;
  /** What replaces the image's own. */
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly replicas: number };
  readonly stop_grace_period?: string;
}

/** The services by name, with `given` as the environment of whoever calls `docker compose`. */
export function composeServices(
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, Service>> {
  const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
  const { services }: { services: Readonly<Record<string, Service>> } = parse(text, { merge: true });
  const value = (written: unknown): string =>
    String(written).replace(
      /\$\{(\w+):-([^}]*)\}/g,
      (_, name: string, fallback: string) => given[name] || fallback,
    );
  return Object.fromEntries(
    Object.entries(services).map(([name, service]) => {
      const variables = Object.entries(service.environment).map(([key, written]) => [key, value(written)]);
      return [name, { ...service, environment: Object.fromEntries(variables) }];
    }),
  );
}

/** The services that run this project's own image. */
export function ownServices(
  given: Readonly<Record<string, string>> = {},
): readonly (readonly [string, Service])[] {
  return Object.entries(composeServices(given)).filter(([, { image }]) => image === 'tributary');
}

export interface Image {
  /** How it starts. */
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  /** What it takes from the project's folder. */
  readonly copied: readonly string[];
  /** The shell commands that make it. */
  readonly runs: readonly string[];
}

export function readImage(): Image {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replace(/\\\n/g, ' ');
  const all = (instruction: string): readonly string[] =>
    [...text.matchAll(new RegExp(`^${instruction} +(.*)$`, 'gm'))].map(([, rest = '']) => rest.trim());
  const [command = '[]'] = all('CMD').slice(-1);
  const [, healthCheck = '[]'] = /CMD (\[.*\])$/.exec(all('HEALTHCHECK').join()) ?? [];
  const settings = all('ENV').flatMap((line) => line.split(/\s+/));
  return {
    command: JSON.parse(command),
    healthCheck: JSON.parse(healthCheck),
    environment: Object.fromEntries(settings.map((each) => each.split('='))),
    user: all('USER').at(-1),
    copied: all('COPY')
      .filter((line) => !line.startsWith('--from='))
      .flatMap((line) => line.split(/\s+/).slice(0, -1)),
    runs: all('RUN'),
  };
}
