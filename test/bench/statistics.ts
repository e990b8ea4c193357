/** What the benches say of their samples. */

export interface Sample {
  readonly x: number;
  readonly y: number;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Nearest rank. NaN of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

/** Of the straight line with the least squares; y per x. NaN where all x are the same. */
export function slope(samples: readonly Sample[]): number {
  const meanX = mean(samples.map(({ x }) => x));
  const meanY = mean(samples.map(({ y }) => y));
  const covariance = mean(samples.map(({ x, y }) => (x - meanX) * (y - meanY)));
  return covariance / mean(samples.map(({ x }) => (x - meanX) ** 2));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
