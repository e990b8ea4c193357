/**
 * Whether a work that is tried again and again succeeds, by the code of its failure: so that an outage is one line in the
 * log, not one for every try. Messages would not do: they name temporary files.
 */
import type { FailureCode, Failure } from '@varve/common/errors.js';

export class Trouble {
  #code: FailureCode | undefined;

  /** It failed the last time it was tried. */
  get isThere(): boolean {
    return this.#code !== undefined;
  }

  /** True where it did not fail like this the time before. */
  begins({ code }: Pick<Failure, 'code'>): boolean {
    const isNew = this.#code !== code;
    this.#code = code;
    return isNew;
  }

  /** It succeeded. True where it had failed the time before. */
  ends(): boolean {
    const wasThere = this.isThere;
    this.#code = undefined;
    return wasThere;
  }
}
