/** Remembers what became of held events, for those who ask, and tells now and then that events are held. */
import type { Clock } from '../clock.ts';
import type { Entry } from './entry.ts';
import type { Held } from './held.ts';
import type { HeldId } from './held-id.ts';
import type { HoldNotice, HoldReport, ReleaseReason } from './hold-report.ts';

export interface HoldWatchOptions {
  readonly clock: Clock;
  /** Released events that are remembered. */
  readonly releasesMax: number;
  /** Between two notices. */
  readonly noticeEveryMs: number;
  readonly onHeld: (notice: HoldNotice) => void;
}

export class HoldWatch {
  readonly #options: HoldWatchOptions;
  /** By the event's uuid, the oldest first. */
  readonly #releases = new Map<string, HoldReport>();
  #noticedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HoldWatchOptions) {
    this.#options = options;
  }

  held({ distinctId, dueAtMs }: HeldId, ids: number, events: number): void {
    const { clock, noticeEveryMs, onHeld } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs - this.#noticedAtMs < noticeEveryMs) return;
    this.#noticedAtMs = nowMs;
    onHeld({ distinctId, untilMs: dueAtMs, ids, events });
  }

  released(events: readonly Held[], by: ReleaseReason, entry: Entry | undefined): void {
    const byEvent = entry && { uuid: entry.event.uuid, name: entry.event.name };
    for (const { uuid, distinctId } of events) {
      this.#releases.set(uuid, { state: 'released', distinctId, by, byEvent });
      if (this.#releases.size <= this.#options.releasesMax) continue;
      for (const oldest of this.#releases.keys()) {
        this.#releases.delete(oldest);
        break;
      }
    }
  }

  find(eventUuid: string): HoldReport | undefined {
    return this.#releases.get(eventUuid);
  }
}
