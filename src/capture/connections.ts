/** How many connections there are, and no more than there may be. */
import { readFileSync } from 'node:fs';
import type { Metrics } from '../metrics.ts';
import type { Door } from './door.ts';
import type { HttpResponse, UwsApp } from './uws.ts';

export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly filesReserved: number;
}

/** One past the bound is closed at once: whoever has one already goes on. */
export function boundConnections(app: UwsApp, limits: ConnectionLimits, door: Door, metrics: Metrics): void {
  const most = Math.min(limits.connectionsMax, Math.max(1, openFilesMax() - limits.filesReserved));
  let open = 0;
  metrics.measure('tributary_capture_connections', 'Connections of clients', () => open);
  metrics.measure('tributary_capture_connections_max', 'At most so many are kept', () => most);
  const onChange = (res: HttpResponse, change: number): void => {
    open += change;
    if (change < 0 || open <= most) return;
    door.cut('too_many_connections');
    res.close();
  };
  app.filter(onChange);
}

/** Files that this process may open; past them connections could not even be refused. */
function openFilesMax(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    // Not Linux.
    return Number.POSITIVE_INFINITY;
  }
}
