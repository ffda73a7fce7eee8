/** Starts the processes, lets happen to them what the plan says, and starts others in place of those that end. */
import { LOADER_GROUP } from '../../src/loader/loader.ts';
import { advance, settle } from './driver.ts';
import type { Incident, Plan } from './plan.ts';
import { Process } from './process.ts';
import type { Random } from './random.ts';
import type { Watch } from './watch.ts';
import type { World } from './world.ts';

const WORKER_GROUP = 'worker';

/** Simulated milliseconds until everybody has ended. */
const PATIENCE_MS = 600_000;
/** Milliseconds at most until a process that was frozen hears that it was expelled. */
const HEARS_MS = 500;
/** Transactions at most that a failover loses. */
const LOST_MAX = 2;

export class Crew {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #watch: Watch;
  readonly #random: Random;
  readonly #processes = new Set<Process>();
  /** Of calls, by name. */
  readonly #steps = new Map<string, number>();
  restarts = 0;
  /** Times that a list of unfinished offsets was lost or made old. */
  spoilt = 0;
  /** Processes that are frozen, or not in their groups. */
  #zombies = 0;
  #closed = false;

  constructor(world: World, plan: Plan, watch: Watch, random: Random) {
    this.#world = world;
    this.#plan = plan;
    this.#watch = watch;
    this.#random = random;
    world.onStep = (name, process) => {
      for (const of of ['every call', name]) this.#steps.set(of, (this.#steps.get(of) ?? 0) + 1);
      const incident = plan.incidents.find(
        ({ step, of }) => (of === name || of === 'every call') && step === this.#steps.get(of),
      );
      if (incident && this.#processes.has(process)) this.#happen(process, incident, name);
    };
  }

  get hasZombies(): boolean {
    return this.#zombies > 0;
  }

  start(): void {
    for (const startMs of this.#plan.startsMs) {
      if (startMs === 0) this.#begin();
      else this.#world.clock.after(startMs, () => this.#begin());
    }
  }

  /** Stops the processes as a signal does. */
  async close(): Promise<void> {
    this.#closed = true;
    let open = this.#processes.size;
    for (const process of this.#processes) {
      process.close().then(
        () => {
          open -= 1;
        },
        (error) => this.#world.faults.push(String(error)),
      );
    }
    this.#processes.clear();
    for (let waitedMs = 0; open > 0 && waitedMs < PATIENCE_MS; waitedMs += 100) {
      await advance(this.#world.clock, 100);
    }
    await settle();
    if (open > 0) this.#world.faults.push('a worker did not close');
  }

  #begin(): void {
    if (this.#closed) return;
    this.#world.note('-- start');
    Process.start(this.#world, this.#plan.process).then(
      (process) => this.#processes.add(process),
      (error) => this.#world.faults.push(String(error)),
    );
  }

  #beginAgain(): void {
    const { spoils } = this.#plan;
    if (spoils !== undefined && this.#world.store.spoil(spoils)) {
      this.#world.note(`-- lists of unfinished offsets: ${spoils}`);
      this.spoilt += 1;
    }
    this.#begin();
  }

  #happen(process: Process, incident: Incident, name: string): void {
    const { kind } = incident;
    this.#world.note(`-- ${kind} at ${name} of ${process.name}`);
    if (kind === 'crash') this.#crash(process, incident.forMs);
    else if (kind === 'stop') this.#stop(process, incident.forMs);
    else if (kind === 'freeze') this.#freeze(process, incident);
    else if (kind === 'cut off') this.#cutOff(process, incident);
    // In a turn of its own: the process of this call may hear of it as well.
    else if (kind === 'move') this.#world.clock.after(0, () => this.#move());
    else this.#failOver();
  }

  #crash(process: Process, downMs: number): void {
    if (!this.#processes.delete(process)) return;
    this.restarts += 1;
    this.#watch.ended(process, 'crash');
    process.kill();
    this.#world.clock.after(downMs, () => this.#beginAgain());
  }

  #stop(process: Process, downMs: number): void {
    // It would not hear the signal.
    if (process.isFrozen) return;
    this.#processes.delete(process);
    this.restarts += 1;
    this.#watch.ended(process, 'stop');
    process.close().then(
      () => this.#world.clock.after(downMs, () => this.#beginAgain()),
      (error) => this.#world.faults.push(String(error)),
    );
  }

  #freeze(process: Process, { forMs, isExpelled, isFatal }: Incident): void {
    if (process.isFrozen) return;
    this.#watch.met('frozen process');
    this.#zombies += 1;
    process.freeze();
    if (isExpelled) process.expel();
    this.#world.clock.after(forMs, () => {
      if (isFatal) this.#crash(process, 0);
      process.thaw();
      this.#world.clock.after(this.#random.int(0, HEARS_MS), () => this.#readmit(process));
    });
  }

  #cutOff(process: Process, { forMs, isFatal }: Incident): void {
    this.#watch.met('process cut off from its group');
    this.#zombies += 1;
    process.expel();
    this.#world.clock.after(forMs, () => {
      if (isFatal) this.#crash(process, 0);
      this.#readmit(process);
    });
  }

  #readmit(process: Process): void {
    this.#zombies -= 1;
    process.readmit();
  }

  /** Each group deals out its partitions as chance has it. */
  #move(): void {
    if (this.#processes.size < 2) return;
    this.#watch.met('partitions dealt anew');
    for (const group of [WORKER_GROUP, LOADER_GROUP]) {
      const deal = Array.from({ length: this.#plan.partitions }, () => this.#random.int(0, 5));
      this.#world.log.deal(group, deal);
    }
  }

  #failOver(): void {
    const saves = this.#world.store.lose(this.#random.int(1, LOST_MAX));
    this.#world.note(`-- ${saves} saves are lost`);
    this.#watch.met('failover');
    if (saves > 0) this.#watch.met('failover that lost a save');
    for (const process of this.#processes) process.breakStore();
  }
}
