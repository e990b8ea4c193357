/**
 * Counters and gauges in Prometheus' text format. One registry per program, so that tests start clean.
 */
import { Gauge, Registry } from 'prom-client';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** A registry that also answers how much memory the process holds, read when it is asked. */
export function createRegistry(residentBytes: () => number): Registry {
  const registry = new Registry();
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process in bytes',
    registers: [registry],
    collect() {
      this.set(residentBytes());
    },
  });
  return registry;
}
