// Which operators the time goes to, the backward pass included.
import { addon, type OperatorTime } from './native.js';

/**
 * Runs `body` and adds up what every operator took in it, of all threads of this process, dearest first. To observe costs a
 * few microseconds per operator.
 *
 * @throws Error if a profile is being taken already
 */
export function profile<T>(body: () => T): { result: T; operators: OperatorTime[] } {
  addon().startProfile();
  let result: T;
  let operators: OperatorTime[];
  try {
    result = body();
  } finally {
    operators = addon().stopProfile();
  }
  return { result, operators: operators.sort((a, b) => b.milliseconds - a.milliseconds) };
}
