/** Which test files this machine can run, and what the others need. */
import { sep } from 'node:path';

export interface Prerequisite {
  isNeededBy(file: string): boolean;
  /** What is missing here, in words that fit after "needs". */
  missing(): Promise<string | undefined>;
}

/** Of the run. What is missing is said in words that fit after "needs". */
export interface Circumstances {
  /** It has to be complete. */
  readonly ci: boolean;
  /** `KAFKA_HOSTS`: brokers that are there already. */
  readonly kafkaHosts: string | undefined;
  /** What it lacks to start Kafka. */
  kafkaMissing(): Promise<string | undefined>;
  /** What it lacks to run the Python SDK. */
  pythonMissing(): Promise<string | undefined>;
  /** What it lacks to run k6. */
  k6Missing(): Promise<string | undefined>;
  /** Where it has Chromium. */
  readonly chromium: string | undefined;
}

export const isKafkaTest = (file: string): boolean => file.includes(`test${sep}kafka${sep}`);

const BROWSER_TEST = `test${sep}clients${sep}browser.test.ts`;
const PYTHON_TEST = `test${sep}clients${sep}python.test.ts`;
const K6_TEST = `test${sep}load${sep}k6.test.ts`;

export const prerequisites = ({
  ci,
  kafkaHosts,
  kafkaMissing,
  pythonMissing,
  k6Missing,
  chromium,
}: Circumstances): readonly Prerequisite[] => [
  {
    isNeededBy: (file) => file.endsWith('.long.test.ts'),
    missing: async () => (ci ? undefined : 'CI=true, because it takes long'),
  },
  {
    isNeededBy: isKafkaTest,
    async missing() {
      const missing = kafkaHosts ? undefined : await kafkaMissing();
      return missing && `${missing} for Kafka (or KAFKA_HOSTS)`;
    },
  },
  {
    isNeededBy: (file) => file.endsWith(BROWSER_TEST),
    missing: async () => (chromium ? undefined : 'Chromium (`chromium` in PATH, or CHROMIUM_PATH)'),
  },
  {
    isNeededBy: (file) => file.endsWith(PYTHON_TEST),
    missing: pythonMissing,
  },
  {
    isNeededBy: (file) => file.endsWith(K6_TEST),
    missing: k6Missing,
  },
];

export interface LeftOut {
  readonly file: string;
  readonly needs: string;
}

export interface Selection {
  readonly run: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

/** Each prerequisite is looked for once, and only if a file needs it. */
export async function select(files: readonly string[], known: readonly Prerequisite[]): Promise<Selection> {
  const missing = new Map<Prerequisite, string>();
  for (const each of known) {
    const reason = files.some((file) => each.isNeededBy(file)) ? await each.missing() : undefined;
    if (reason !== undefined) missing.set(each, reason);
  }
  const leftOut = files.flatMap((file) => {
    const needs = [...missing].filter(([each]) => each.isNeededBy(file)).map(([, reason]) => reason);
    return needs.length === 0 ? [] : [{ file, needs: needs.join(' and ') }];
  });
  return { run: files.filter((file) => !leftOut.some((left) => left.file === file)), leftOut };
}
