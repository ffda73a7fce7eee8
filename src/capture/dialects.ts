/** Which dialect is spoken where. */
import type { StartDialect } from './dialect.ts';
import type { EventKind } from './event-routes.ts';
import { Segment } from './segment.ts';
import { SEGMENT_PATHS } from './segment-table.ts';
import { ENGAGE, V0 } from './v0.ts';
import { V1 } from './v1.ts';

export function dialectOf(path: string, kind: EventKind): StartDialect {
  switch (kind) {
    case 'events':
      return () => V0;
    case 'engage':
      return () => ENGAGE;
    case 'events_v1':
      return (req) => new V1(req);
    case 'segment':
      return (req) => new Segment(SEGMENT_PATHS[path] ?? 'batch', req);
  }
}
