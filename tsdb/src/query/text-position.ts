/**
 * Places in a text as people and editors count them. DuckDB counts from 0, and not everywhere the same: its parser
 * counts characters, its tree and everything that works on it bytes of UTF-8 (seen with 1.5.6).
 */

/** All three count characters (Unicode code points) from 1. */
export interface TextPosition {
  readonly position: number;
  readonly line: number;
  readonly column: number;
}

/** @param offset characters from 0 */
export function positionOfCharacter(text: string, offset: number): TextPosition {
  return positionAfter(Array.from(text).slice(0, offset));
}

/** @param offset bytes of UTF-8 from 0 */
export function positionOfByte(text: string, offset: number): TextPosition {
  return positionAfter(Array.from(Buffer.from(text).subarray(0, offset).toString()));
}

function positionAfter(characters: readonly string[]): TextPosition {
  return {
    position: characters.length + 1,
    line: characters.filter((character) => character === '\n').length + 1,
    column: characters.length - characters.lastIndexOf('\n'),
  };
}
