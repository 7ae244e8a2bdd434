// Streams of frames beside each other, for several faces at once.

/** The same items for several readers, who read in step: each item is kept until the last of them has it. */
export function forReaders<T>(items: AsyncIterable<T>, readers: number): AsyncGenerator<T>[] {
  const source = items[Symbol.asyncIterator]();
  const waiting = Array.from({ length: readers }, (): Promise<IteratorResult<T>>[] => []);
  async function* reader(own: Promise<IteratorResult<T>>[]): AsyncGenerator<T> {
    try {
      while (true) {
        if (own.length === 0) {
          const next = source.next();
          next.catch(() => {}); // thrown where it is awaited; a reader who has left awaits it no more
          for (const each of waiting) each.push(next);
        }
        const { done, value } = await own.shift()!;
        if (done) return;
        yield value;
      }
    } finally {
      await source.return?.();
    }
  }
  return waiting.map(reader);
}

/** What several streams give at a time, until one of them ends; then all are closed. */
export async function* inStep<T>(streams: readonly AsyncGenerator<T>[]): AsyncGenerator<T[]> {
  try {
    while (true) {
      const row: T[] = [];
      for (const stream of streams) {
        const next = await stream.next();
        if (next.done) return;
        row.push(next.value);
      }
      yield row;
    }
  } finally {
    for (const stream of streams) await stream.return(undefined);
  }
}
