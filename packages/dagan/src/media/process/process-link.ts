// The codec process's end of the line to the program.

/** Sends a report; resolves when it has been handed to the system. */
export function report(message: { type: string }): void {
  process.send?.(message, undefined, {}, () => undefined);
}

/**
 * Calls `begin` with the job, the first message, and the function it returns with every order after it. The process ends
 * with the program that started it. Errors that nothing catches go to `onUncaught`.
 */
export function serve<Job, Order>(
  begin: (job: Job) => Promise<(order: Order) => void>,
  onUncaught: (error: unknown) => void,
): void {
  if (!process.send) throw new Error('this file is run by the media layer only');
  process.on('disconnect', () => process.exit());
  // On a damaged file the demuxer can fail where nobody waits for it.
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUncaught);
  let follow: Promise<(order: Order) => void> | undefined;
  process.on('message', (message) => {
    if (follow) void follow.then((handle) => handle(message as Order));
    else follow = begin(message as Job);
  });
}
