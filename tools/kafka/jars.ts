/** Apache Kafka's jars: fetched once through Maven, kept in the user's cache. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const KAFKA_VERSION = '4.1.0';
const SIZE = '43 MB';
const JAVA_MIN = 17;
const REPORT_EVERY = 10;
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** What Kafka logs goes through slf4j 1.7, for which slf4j-simple writes it to a stream. */
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tributary</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

/** Why Kafka cannot run here, in words that follow "needs"; `undefined` when it can. */
export async function kafkaMissing(): Promise<string | undefined> {
  const java = await javaMajor();
  const missing = [
    ...(java !== undefined && java >= JAVA_MIN ? [] : [`Java ${JAVA_MIN} or later${found(java)}`]),
    ...(existsSync(jarsFolder()) || (await answers('mvn', ['-v'])) ? [] : ['Maven (`mvn`)']),
  ];
  return missing.length === 0 ? undefined : missing.join(' and ');
}

const found = (java: number | undefined): string => (java === undefined ? ' (`java`)' : `, not ${java}`);

/** The major version of the `java` in PATH. */
async function javaMajor(): Promise<number | undefined> {
  const said = await promisify(execFile)('java', ['-version']).catch(() => undefined);
  // 17.0.15; before 9 it was 1.8.0.
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(said?.stderr ?? '') ?? [];
  if (first === undefined) return undefined;
  return first === '1' ? Number(second) : Number(first);
}

function answers(program: string, args: readonly string[]): Promise<boolean> {
  return promisify(execFile)(program, args).then(
    () => true,
    () => false,
  );
}

/** Appears, by a rename, once all of it has been fetched. */
function jarsFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'tributary', `kafka-${KAFKA_VERSION}`);
}

/** The folder with the jars, fetched when they are not there. Rejects with what Maven said. */
export async function kafkaJars(report: (line: string) => void): Promise<string> {
  const folder = jarsFolder();
  if (existsSync(folder)) return folder;
  report(`fetching Apache Kafka ${KAFKA_VERSION} (${SIZE}, once) into ${folder}`);
  const draft = `${folder}-${randomBytes(4).toString('hex')}`;
  await mkdir(draft, { recursive: true });
  try {
    const pom = join(draft, 'pom.xml');
    await writeFile(pom, POM);
    await runMaven(['-f', pom, `-DoutputDirectory=${draft}`, COPY], report);
    await rename(draft, folder).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(folder)) throw error;
    });
    report(`fetched ${(await readdir(folder)).filter((name) => name.endsWith('.jar')).length} jars`);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

async function runMaven(args: readonly string[], report: (line: string) => void): Promise<void> {
  const child = spawn('mvn', ['--batch-mode', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const complaints: string[] = [];
  let jars = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('[ERROR]')) complaints.push(line);
    if (!/^Downloaded .*\.jar /.test(line)) return;
    jars += 1;
    if (jars % REPORT_EVERY === 0) report(`  ${jars} jars so far`);
  });
  child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString().trimEnd()));
  const code = await ended;
  if (code !== 0) {
    throw new Error(`Maven could not fetch Apache Kafka (exit code ${code}):\n${complaints.join('\n')}`);
  }
}
