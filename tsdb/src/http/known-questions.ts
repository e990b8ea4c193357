/**
 * Questions that were read before, by the text in which they came: dashboards send few, again and again, and to check one takes as
 * long as to plan it. Bounds: the last `questionsMax`, texts of up to `charactersMax`.
 */
const questionsMax = 500;
const charactersMax = 4_000;

export class KnownQuestions<Question> {
  /** The oldest first. */
  readonly #known = new Map<string, Question>();

  /**
   * @param text all that `read` looks at
   * @throws what `read` does; that is not kept
   */
  of(text: string, read: () => Question): Question {
    const known = this.#known.get(text);
    if (known) return known;
    const asked = read();
    if (text.length > charactersMax) return asked;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= questionsMax) this.#known.delete(oldest);
    this.#known.set(text, asked);
    return asked;
  }
}
