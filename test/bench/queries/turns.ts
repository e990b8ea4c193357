/**
 * In which order contestants are asked in a round: the rounds of a cycle are all their orders, in which each comes right
 * after each of the others equally often.
 *
 * @param round counted from 0
 */
export function turnsOf<T>(contestants: readonly T[], round: number): T[] {
  const left = [...contestants];
  const turns: T[] = [];
  // The digits of `round` in the factorial number system say which of those that are left comes next.
  for (let rest = round; left.length > 0;) {
    turns.push(...left.splice(rest % left.length, 1));
    rest = Math.floor(rest / (left.length + 1));
  }
  return turns;
}
