/** What the doctor found, and how it is shown. */

export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'problem';
  readonly found: string;
  /** What to do about it; absent where nothing is to be done. */
  readonly advice?: string;
}

export interface Diagnosis {
  readonly dataDir: string;
  readonly findings: readonly Finding[];
}

export const ok = (check: string, found: string): Finding => ({ check, verdict: 'ok', found });
export const warning = (check: string, found: string, advice: string): Finding => ({
  ...{ check, verdict: 'warning', found, advice },
});
export const problem = (check: string, found: string, advice: string): Finding => ({
  ...{ check, verdict: 'problem', found, advice },
});

export function hasProblems({ findings }: Diagnosis): boolean {
  return findings.some(({ verdict }) => verdict === 'problem');
}

export function describeDiagnosis(diagnosis: Diagnosis): string {
  const { dataDir, findings } = diagnosis;
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, verdict, found, advice }) => [
    `${check.padEnd(width)}  ${verdict.padEnd(7)}  ${found}`,
    ...(advice === undefined ? [] : [`${' '.repeat(width + 11)}what to do: ${advice}`]),
  ]);
  const problems = findings.filter(({ verdict }) => verdict === 'problem').length;
  const sum = problems === 0 ? 'healthy' : `${problems} ${problems === 1 ? 'problem' : 'problems'}`;
  return [`data_dir ${dataDir}`, ...lines, sum, ''].join('\n');
}
