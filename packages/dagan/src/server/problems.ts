// What may be wrong with a request, as codes that stay the same between versions, each with its HTTP status.

export const REQUEST_PROBLEMS = {
  /** A body that cannot be read as a form, or a part that is missing or there twice. */
  'bad-request': 400,
  /** Options that are unknown or out of range; `values.problems` lists them. */
  'bad-options': 400,
  unauthorized: 401,
  /** The name that the server was asked by is not its own. */
  'foreign-name': 403,
  /** A page of another site asks. */
  'foreign-origin': 403,
  'no-such-address': 404,
  /** There is no job of this name, or it is no longer kept. */
  'no-such-job': 404,
  /** The job has no result: it is not done, or has failed or been cancelled. */
  'no-result': 409,
  /** More bytes than are taken; `values.most`. */
  'too-large': 413,
  /** A file of a kind that is not taken here; `values.kinds`. */
  'unknown-kind': 415,
  /** A fault of the server, which says more in its own log. */
  internal: 500,
  /** As many jobs wait as may; `Retry-After` says when to ask again. */
  'queue-full': 503,
  /** The server has no room on its disk for what was sent; `Retry-After` says when to ask again. */
  'disk-full': 507,
} as const;

export type RequestProblemCode = keyof typeof REQUEST_PROBLEMS;

/** What is told of a problem: the body of every answer that is not a success. */
export type ProblemAnswer = { error: { code: string; message: string; values?: unknown } };

/** A request that is refused. `message` is one line. */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem';
  readonly code: RequestProblemCode;
  readonly values: Readonly<Record<string, unknown>> | undefined;

  constructor(code: RequestProblemCode, message: string, values?: Readonly<Record<string, unknown>>) {
    super(message);
    this.code = code;
    this.values = values;
  }

  get status(): (typeof REQUEST_PROBLEMS)[RequestProblemCode] {
    return REQUEST_PROBLEMS[this.code];
  }

  get answer(): ProblemAnswer {
    return { error: { code: this.code, message: this.message, values: this.values } };
  }
}
