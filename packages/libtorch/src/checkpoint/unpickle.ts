// A pickle machine that cannot run code: it builds numbers, strings and containers, and calls only the given builders.
//
// Written here because the pickle parsers of npm construct whatever class a file names, cut integers to 64 bits (PyTorch's
// own file marker has 80), or keep dictionaries as plain objects, and none bounds what a hostile file makes it allocate.
// It knows the opcodes that Python's protocols 2 to 5 write; older text opcodes and extension codes are refused.

/** A Python value: `None` is null, lists and tuples are arrays, dictionaries are Maps, bytes are Uint8Arrays. */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyValue[]
  | Map<PyValue, PyValue>
  | Set<PyValue>
  | PyGlobal
  | PyObject;

/** Anything that a builder returns beyond Python's own types. */
export abstract class PyObject {
  /** Takes the state that a pickle sets after construction; the default is to have none. */
  setState(_state: PyValue): void {
    throw new PickleError(`sets the state of a ${this.constructor.name}`);
  }
}

/** A class or function that a pickle names. Only what the whitelist holds ever becomes one. */
export class PyGlobal {
  /**
   * @param name module and name, as `collections.OrderedDict`
   * @param call what calling it builds; undefined for names that are only passed around
   */
  constructor(
    readonly name: string,
    readonly call?: (args: readonly PyValue[], copies: CopyBudget) => PyValue,
  ) {}
}

/** What a restricted pickle may name and refer to. */
export type PickleRules = {
  /** The whitelisted global, or undefined to refuse it. */
  global(module: string, name: string): PyGlobal | undefined;
  /** The object outside the pickle that a persistent id stands for. */
  persistent(id: PyValue): PyValue;
};

/** The pickle is malformed or asks for something that is refused; the message continues "its pickle ...". */
export class PickleError extends Error {}

/** The pickle names a global that is not whitelisted. */
export class ForbiddenGlobal extends PickleError {
  /** The name, cut to what an error message can hold. */
  readonly global: string;

  constructor(global: string) {
    super('names something that is not on the whitelist');
    this.global = global.length > 100 ? `${global.slice(0, 100)}...` : global;
  }
}

/** The bytes end before the pickle does. */
export class PickleEnd extends PickleError {
  constructor() {
    super('ends too early');
  }
}

/**
 * Counts the elements that builders copy out of shared values. A file of n bytes cannot hold more than n distinct elements,
 * so one that copies more repeats a shared value in order to fill the memory.
 */
export class CopyBudget {
  #left: number;

  constructor(left: number) {
    this.#left = left;
  }

  /** Accounts for a copy of `count` elements. */
  take(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new PickleError('copies the same values over and over');
  }
}

/** Longest integer accepted, in bytes. */
const MAX_INTEGER = 255;
/** Containers, byte strings and built objects accepted, of which PyTorch writes about ten a tensor. */
const MAX_OBJECTS = 2 ** 20;
/** Remembered values accepted, likewise about ten a tensor. */
const MAX_MEMO = 2 ** 21;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Evaluates the pickle at `start`.
 * @returns its value and the position behind it
 * @throws PickleError if it is malformed, truncated (`PickleEnd`) or refused (`ForbiddenGlobal`)
 */
export function unpickle(bytes: Uint8Array, start: number, rules: PickleRules): { value: PyValue; end: number } {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const copies = new CopyBudget(bytes.length);
  const memo = new Map<number, PyValue>();
  const stack: PyValue[] = [];
  const marks: number[] = [];
  let at = start;
  let objects = 0;

  /** Steps over `count` bytes and returns where they begin. */
  const step = (count: number): number => {
    if (count > bytes.length - at) throw new PickleEnd();
    at += count;
    return at - count;
  };
  const take = (count: number): Uint8Array => {
    const from = step(count);
    return bytes.subarray(from, from + count);
  };
  const length8 = (): number => {
    const value = data.getBigUint64(step(8), true);
    if (value > bytes.length) throw new PickleEnd();
    return Number(value);
  };
  const text = (raw: Uint8Array): string => {
    try {
      return utf8.decode(raw);
    } catch {
      throw new PickleError('holds a string that is not UTF-8');
    }
  };
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw new PickleEnd();
    const value = text(take(end - at));
    step(1);
    return value;
  };

  /** The stack may be emptied down to the newest mark and no further. */
  const floor = (): number => marks.at(-1) ?? 0;
  const pop = (): PyValue => {
    if (stack.length <= floor()) throw new PickleError('takes a value that it never made');
    return stack.pop()!;
  };
  const top = (): PyValue => {
    if (stack.length <= floor()) throw new PickleError('takes a value that it never made');
    return stack.at(-1)!;
  };
  const popToMark = (): PyValue[] => {
    const mark = marks.pop();
    if (mark === undefined) throw new PickleError('closes a group that it never opened');
    return stack.splice(mark);
  };
  /** Pushes something that takes more memory than the opcode that made it. */
  const pushObject = (value: PyValue): void => {
    if (++objects > MAX_OBJECTS) throw new PickleError(`makes more than ${MAX_OBJECTS} objects`);
    stack.push(value);
  };
  const remember = (index: number): void => {
    if (memo.size >= MAX_MEMO) throw new PickleError(`remembers more than ${MAX_MEMO} values`);
    memo.set(index, top());
  };
  const recall = (index: number): PyValue => {
    const value = memo.get(index);
    if (value === undefined) throw new PickleError(`refers to value ${index}, which it never stored`);
    return value;
  };
  const find = (module: PyValue, name: PyValue): PyGlobal => {
    if (typeof module !== 'string' || typeof name !== 'string') throw new PickleError('names a global by no string');
    const found = rules.global(module, name);
    if (!found) throw new ForbiddenGlobal(`${module}.${name}`);
    return found;
  };
  const append = (items: readonly PyValue[]): void => {
    const list = top();
    if (list instanceof Set) for (const item of items) list.add(item);
    else if (Array.isArray(list)) for (const item of items) list.push(item);
    else throw new PickleError('appends to something that is no list');
  };
  const assign = (items: readonly PyValue[]): void => {
    const map = top();
    if (!(map instanceof Map) || items.length % 2 !== 0) {
      throw new PickleError('sets items of something that is no dictionary');
    }
    for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!);
  };
  const call = (): PyValue => {
    const args = pop();
    const callee = pop();
    if (!(callee instanceof PyGlobal) || !callee.call || !Array.isArray(args)) {
      throw new PickleError(`calls ${callee instanceof PyGlobal ? callee.name : 'something that is no function'}`);
    }
    return callee.call(args, copies);
  };
  const build = (): void => {
    const state = pop();
    const target = top();
    if (target instanceof PyObject) target.setState(state);
    // Attributes of an ordered dictionary are notes of PyTorch on its modules' versions.
    else if (!(target instanceof Map)) throw new PickleError('sets the state of something that has none');
  };

  for (;;) {
    const opcode = data.getUint8(step(1));
    switch (opcode) {
      case 0x80: {
        const protocol = data.getUint8(step(1));
        if (protocol > 5) throw new PickleError(`is of protocol ${protocol}, newer than the known 2 to 5`);
        break;
      }
      case 0x95: // FRAME, whose length says nothing new
        step(8);
        break;
      case 0x2e: // STOP
        return { value: pop(), end: at };

      case 0x28: // MARK
        marks.push(stack.length);
        break;
      case 0x30: // POP, which drops a mark if that is on top
        if (marks.length > 0 && marks.at(-1) === stack.length) marks.pop();
        else pop();
        break;
      case 0x31: // POP_MARK
        popToMark();
        break;
      case 0x32: // DUP
        stack.push(top());
        break;

      case 0x71: // BINPUT
        remember(data.getUint8(step(1)));
        break;
      case 0x72: // LONG_BINPUT
        remember(data.getUint32(step(4), true));
        break;
      case 0x94: // MEMOIZE
        remember(memo.size);
        break;
      case 0x68: // BINGET
        stack.push(recall(data.getUint8(step(1))));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(recall(data.getUint32(step(4), true)));
        break;

      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4b: // BININT1
        stack.push(data.getUint8(step(1)));
        break;
      case 0x4d: // BININT2
        stack.push(data.getUint16(step(2), true));
        break;
      case 0x4a: // BININT
        stack.push(data.getInt32(step(4), true));
        break;
      case 0x8a: // LONG1
        pushObject(integer(take(data.getUint8(step(1)))));
        break;
      case 0x8b: // LONG4
        pushObject(integer(take(data.getUint32(step(4), true))));
        break;
      case 0x47: // BINFLOAT, the one big-endian number
        stack.push(data.getFloat64(step(8), false));
        break;

      case 0x8c: // SHORT_BINUNICODE
        stack.push(text(take(data.getUint8(step(1)))));
        break;
      case 0x58: // BINUNICODE
        stack.push(text(take(data.getUint32(step(4), true))));
        break;
      case 0x8d: // BINUNICODE8
        stack.push(text(take(length8())));
        break;
      case 0x55: // SHORT_BINSTRING, a string of Python 2
        stack.push(latin1(take(data.getUint8(step(1)))));
        break;
      case 0x54: // BINSTRING
        stack.push(latin1(take(data.getUint32(step(4), true))));
        break;
      case 0x43: // SHORT_BINBYTES
        pushObject(take(data.getUint8(step(1))));
        break;
      case 0x42: // BINBYTES
        pushObject(take(data.getUint32(step(4), true)));
        break;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        pushObject(take(length8()));
        break;

      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
        pushObject([]);
        break;
      case 0x85: // TUPLE1
        pushObject([pop()]);
        break;
      case 0x86: // TUPLE2
        pushObject([pop(), pop()].reverse());
        break;
      case 0x87: // TUPLE3
        pushObject([pop(), pop(), pop()].reverse());
        break;
      case 0x74: // TUPLE
        pushObject(popToMark());
        break;
      case 0x61: // APPEND
        append([pop()]);
        break;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        append(popToMark());
        break;
      case 0x7d: // EMPTY_DICT
        pushObject(new Map());
        break;
      case 0x73: // SETITEM
        assign([pop(), pop()].reverse());
        break;
      case 0x75: // SETITEMS
        assign(popToMark());
        break;
      case 0x8f: // EMPTY_SET
        pushObject(new Set());
        break;
      case 0x91: // FROZENSET
        pushObject(new Set(popToMark()));
        break;

      case 0x63: // GLOBAL
        stack.push(find(line(), line()));
        break;
      case 0x93: {
        // STACK_GLOBAL
        const name = pop();
        stack.push(find(pop(), name));
        break;
      }
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ, the same for builders that construct nothing but values
        pushObject(call());
        break;
      case 0x62: // BUILD
        build();
        break;
      case 0x51: // BINPERSID
        pushObject(rules.persistent(pop()));
        break;
      default:
        throw new PickleError(
          `uses opcode 0x${opcode.toString(16).padStart(2, '0')} at byte ${at - 1}, which checkpoints do not need`,
        );
    }
  }
}

/** A little-endian two's complement integer, as a number where a double holds it. */
function integer(raw: Uint8Array): number | bigint {
  if (raw.length > MAX_INTEGER) throw new PickleError(`holds an integer of ${raw.length} bytes`);
  if (raw.length === 0) return 0;
  const digits = Buffer.from(raw).reverse().toString('hex');
  const value = BigInt.asIntN(raw.length * 8, BigInt(`0x${digits}`));
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function latin1(raw: Uint8Array): string {
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1');
}
