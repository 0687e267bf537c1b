// The one kind of error of this package.

/**
 * Something went wrong. `name` is to program against, `message` is for people: a name of the API (`ErrRecordNotFound`,
 * …), whether a node said it or we did, or one of ours: `ErrUnreachable` (no node answered), `ErrWrongAnswer` (an answer
 * that is not what was asked for). What an AbortSignal stops is rejected with the signal's reason instead.
 */
export class LfError extends Error {
  override readonly name: string;
  /** The HTTP status of a node's refusal, else 0. */
  readonly status: number;

  constructor(name: string, message: string, status = 0) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

/** A parameter that cannot be used. */
export function invalid(message: string): LfError {
  return new LfError('ErrInvalidParameter', message);
}

/** Bytes or text that are not what they should be. */
export function malformed(message: string): LfError {
  return new LfError('ErrInvalidObject', message);
}

/** An answer that is not what was asked for. */
export function wrongAnswer(url: string, problem: string): LfError {
  return new LfError('ErrWrongAnswer', `${url} gave a wrong answer: ${problem}`);
}
