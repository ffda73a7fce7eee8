/** Counters and gauges in Prometheus' form. The only file that imports prom-client. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** One set for each process; names begin with `tributary_`. Asking twice for a name gives the same metric. */
export class Metrics {
  readonly #registry = new Registry();

  counter<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
  ): Counter<Label> {
    const existing = this.#registry.getSingleMetric(name);
    if (existing) return existing as Counter<Label>;
    return new Counter({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels: readonly Label[] = [],
  ): Gauge<Label> {
    const existing = this.#registry.getSingleMetric(name);
    if (existing) return existing as Gauge<Label>;
    return new Gauge({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  /** A gauge that is read when it is asked for; asking twice for a name leaves the later one. */
  measure(name: string, help: string, read: () => number): void {
    this.#registry.removeSingleMetric(name);
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** `buckets` in seconds. */
  histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels: readonly Label[] = [],
  ): Histogram<Label> {
    const existing = this.#registry.getSingleMetric(name);
    if (existing) return existing as Histogram<Label>;
    return new Histogram({
      name,
      help,
      buckets: [...buckets],
      labelNames: labels,
      registers: [this.#registry],
    });
  }

  /** Memory, CPU and event loop of this process as well. */
  withProcessMetrics(): this {
    collectDefaultMetrics({ register: this.#registry });
    return this;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
